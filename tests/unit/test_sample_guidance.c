#include "sample/guidance.h"
#include "support/golden.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ITEMS = 2, FRAMES = 15, CHANNELS = 6, ITEM = FRAMES * CHANNELS, ALL = ITEMS * ITEM };

/* Guides both items in place and returns them; the caller frees. */
static float *apg(const golden *g, ace_apg *state, const char *cond, const char *null, double scale)
{
    float *v = golden_f32(g, cond);
    float *v_null = golden_f32(g, null);
    for (int64_t item = 0; item < ITEMS; item++) {
        ace_apg_guide(state, item, scale, v_null + item * ITEM, v + item * ITEM);
    }
    free(v_null);
    return v;
}

static void test_apg_remembers(void **unused)
{
    (void)unused;
    static const char *const steps[][4] = {
        {"in.cond1", "in.uncond1", "out.apg_step1", "out.momentum_after_step1"},
        {"in.cond2", "in.uncond2", "out.apg_step2", "out.momentum_after_step2"},
        {"in.cond2", "in.uncond3", "out.apg_step3_small_diff", "out.momentum_after_step3"},
    };
    golden g = golden_open("guidance");
    ace_apg state;
    assert_int_equal(ace_apg_create(ITEMS, FRAMES, CHANNELS, &state, NULL), ACESTEP_OK);
    for (size_t i = 0; i < 3; i++) {
        float *v = apg(&g, &state, steps[i][0], steps[i][1], 7.0);
        assert_true(golden_matches(&g, steps[i][2], v));
        assert_true(golden_matches(&g, steps[i][3], state.momentum));
        free(v);
    }
    ace_apg_free(&state);
    golden_close(&g);
}

static void test_apg_without_memory(void **unused)
{
    (void)unused;
    golden g = golden_open("guidance");
    ace_apg state;
    assert_int_equal(ace_apg_create(ITEMS, FRAMES, CHANNELS, &state, NULL), ACESTEP_OK);
    float *v = apg(&g, &state, "in.cond2", "in.uncond3", 3.0);
    assert_true(golden_matches(&g, "out.apg_nomomentum_g3_small", v));
    free(v);
    ace_apg_free(&state);
    golden_close(&g);
}

static void test_adg(void **unused)
{
    (void)unused;
    golden g = golden_open("guidance");
    float *x = golden_f32(&g, "in.latents");
    static const char *const pairs[][2] = {{"in.uncond1", "out.adg_t05_g5"},
                                           {"in.uncond3", "out.adg_t09_g5_close"}};
    static const char *const conds[] = {"in.cond1", "in.cond2"};
    static const float levels[] = {0.5f, 0.9f};
    for (size_t i = 0; i < 2; i++) {
        float *v = golden_f32(&g, conds[i]);
        float *v_null = golden_f32(&g, pairs[i][0]);
        ace_adg_guide(FRAMES, CHANNELS, 5.0, levels[i], x, v_null, v);
        assert_true(golden_matches(&g, pairs[i][1], v));
        free(v);
        free(v_null);
    }
    free(x);
    golden_close(&g);
}

static void fill(float *values, int n, float phase)
{
    for (int i = 0; i < n; i++) {
        values[i] = sinf(phase + 1.7f * (float)i) + 0.3f;
    }
}

/* Equal predictions leave nothing to guide by: the velocity stays as it is. */
static void test_equal_predictions_stay(void **unused)
{
    (void)unused;
    float v[ITEM];
    float v_null[ITEM];
    float x[ITEM];
    ace_apg state;
    fill(v_null, ITEM, 0.0f);
    fill(x, ITEM, 2.0f);
    assert_int_equal(ace_apg_create(1, FRAMES, CHANNELS, &state, NULL), ACESTEP_OK);
    memcpy(v, v_null, sizeof v);
    ace_apg_guide(&state, 0, 7.0, v_null, v);
    assert_memory_equal(v, v_null, sizeof v);
    ace_cfg_guide(ITEM, 7.0, v_null, v);
    assert_memory_equal(v, v_null, sizeof v);
    ace_adg_guide(FRAMES, CHANNELS, 7.0, 0.6f, x, v_null, v);
    for (int i = 0; i < ITEM; i++) {
        assert_float_equal(v[i], v_null[i], 1e-5f);
    }
    ace_apg_free(&state);
}

static void test_silence_gives_numbers(void **unused)
{
    (void)unused;
    float v[ITEM] = {0};
    float zero[ITEM] = {0};
    ace_apg state;
    assert_int_equal(ace_apg_create(1, FRAMES, CHANNELS, &state, NULL), ACESTEP_OK);
    ace_apg_guide(&state, 0, 7.0, zero, v);
    assert_memory_equal(v, zero, sizeof v);
    ace_adg_guide(FRAMES, CHANNELS, 7.0, 0.6f, zero, zero, v);
    for (int i = 0; i < ITEM; i++) {
        assert_true(isfinite(v[i]));
    }
    ace_apg_free(&state);
}

/* What APG adds has no share along the conditional velocity, and its norm is bounded. */
static void test_apg_adds_orthogonally(void **unused)
{
    (void)unused;
    float cond[ITEM];
    float v[ITEM];
    float v_null[ITEM];
    ace_apg state;
    fill(cond, ITEM, 0.4f);
    fill(v_null, ITEM, 3.0f);
    memcpy(v, cond, sizeof v);
    assert_int_equal(ace_apg_create(1, FRAMES, CHANNELS, &state, NULL), ACESTEP_OK);
    ace_apg_guide(&state, 0, 4.0, v_null, v);
    for (int c = 0; c < CHANNELS; c++) {
        double dot = 0.0;
        double added = 0.0;
        for (int i = c; i < ITEM; i += CHANNELS) {
            double d = (double)v[i] - (double)cond[i];
            dot += d * (double)cond[i];
            added += d * d;
        }
        assert_true(fabs(dot) < 1e-4);
        assert_true(sqrt(added) <= 3.0 * 2.5 + 1e-4);
    }
    ace_apg_free(&state);
}

static void test_plain_guidance(void **unused)
{
    (void)unused;
    float v[3] = {1.0f, -2.0f, 0.5f};
    const float v_null[3] = {0.5f, -1.0f, 0.5f};
    ace_cfg_guide(3, 3.0, v_null, v);
    assert_float_equal(v[0], 2.0f, 0.0f);
    assert_float_equal(v[1], -4.0f, 0.0f);
    assert_float_equal(v[2], 0.5f, 0.0f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_apg_remembers),
        cmocka_unit_test(test_apg_without_memory),
        cmocka_unit_test(test_adg),
        cmocka_unit_test(test_equal_predictions_stay),
        cmocka_unit_test(test_silence_gives_numbers),
        cmocka_unit_test(test_apg_adds_orthogonally),
        cmocka_unit_test(test_plain_guidance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
