/* The generate loop against recorded runs of the original: a network that answers with the recorded
 * velocities must be asked at the recorded latents and levels, and the loop must end where the
 * original did. */
#include "support/sampling_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const cases[] = {
    "sample_base_adg5_6steps",
    "sample_base_apg4_shift3_interval",
    "sample_base_apg7_shift1_8steps",
    "sample_base_batch2_apg7",
    "sample_base_cover_noise05_apg3",
    "sample_base_cover_switch05_apg5",
    "sample_base_nocfg_6steps",
    "sample_base_repaint_apg7",
    "sample_base_sde_apg3_shift2",
    "sample_sft_timesteps_apg7",
    "sample_turbo_batch2_padded",
    "sample_turbo_cover_noise03",
    "sample_turbo_cover_switch05",
    "sample_turbo_custom_timesteps",
    "sample_turbo_hints",
    "sample_turbo_ode_shift1",
    "sample_turbo_ode_shift2_4",
    "sample_turbo_ode_shift3",
    "sample_turbo_repaint",
    "sample_turbo_sde_shift3",
};

enum { MOST_CALLS = 64 };

typedef struct recording {
    const sampling_case *c;
    const float *traj_v; /* [calls, rows, frames, channels], or NULL: velocity 0 */
    float *traj_x;
    float t[MOST_CALLS];
    int condition[MOST_CALLS];
    bool guided[MOST_CALLS];
    int calls;
} recording;

static ace_status replay(void *context, const float *x, float t, int condition, bool guided,
                         float *v_cond, float *v_null)
{
    recording *r = context;
    size_t batch = (size_t)(r->c->items * r->c->frames * r->c->channels);
    size_t row_of_call = (size_t)(r->calls * r->c->rows);
    size_t at = row_of_call * batch / (size_t)r->c->items;
    assert_true(r->calls < MOST_CALLS);
    r->t[r->calls] = t;
    r->condition[r->calls] = condition;
    r->guided[r->calls] = guided;
    r->calls++;
    if (r->traj_v == NULL) {
        memset(v_cond, 0, batch * sizeof *v_cond);
        return ACESTEP_OK;
    }
    memcpy(r->traj_x + at, x, batch * sizeof *x);
    memcpy(v_cond, r->traj_v + at, batch * sizeof *v_cond);
    if (r->c->rows > r->c->items) {
        memcpy(r->traj_x + at + batch, x, batch * sizeof *x);
    }
    if (guided) {
        memcpy(v_null, r->traj_v + at + batch, batch * sizeof *v_null);
    }
    return ACESTEP_OK;
}

static ace_status recorded_noise(void *context, int64_t item, int step, float *out)
{
    recording *r = context;
    int64_t n = r->c->frames * r->c->channels;
    memcpy(out, r->c->step_noise + (step * r->c->items + item) * n, (size_t)n * sizeof *out);
    return ACESTEP_OK;
}

/* Runs the case; the caller frees the latents and r->traj_x with free(). */
static float *run_case(const sampling_case *c, recording *r)
{
    ace_error err = {.code = ACESTEP_OK};
    size_t batch = (size_t)(c->items * c->frames * c->channels);
    float *latents = calloc(batch, sizeof *latents);
    *r = (recording){.c = c};
    if (c->has_trajectory) {
        r->traj_v = golden_f32(&c->g, "out.traj_v");
        r->traj_x =
            calloc((size_t)golden_elements(golden_tensor(&c->g, "out.traj_v")), sizeof *r->traj_x);
    }
    ace_solver_io io = {.items = c->items,
                        .frames = c->frames,
                        .channels = c->channels,
                        .noise = c->noise,
                        .source = c->source,
                        .latents = latents,
                        .velocity = replay,
                        .step_noise = recorded_noise,
                        .context = r};
    if (ace_solver_run(&c->sampling, &io, &err) != ACESTEP_OK) {
        fail_msg("%s: %s", c->g.name, err.message);
    }
    free((void *)r->traj_v);
    return latents;
}

static void test_follows_the_recorded_trajectory(void **unused)
{
    (void)unused;
    bool all = true;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        recording r;
        sampling_case c;
        sampling_case_open(cases[i], &c);
        float *latents = run_case(&c, &r);
        assert_int_equal(r.calls, golden_tensor(&c.g, "out.timesteps")->dim[0]);
        all = golden_matches(&c.g, "out.timesteps", r.t) && all;
        if (c.has_trajectory) {
            all = golden_matches(&c.g, "out.traj_x", r.traj_x) && all;
            all = golden_matches(&c.g, "out.target_latents", latents) && all;
        }
        free(r.traj_x);
        free(latents);
        sampling_case_close(&c);
    }
    assert_true(all);
}

/* Levels are computed as the original's tensor library computes them, to the last bit but one. */
static void test_levels_to_the_last_bits(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        recording r;
        sampling_case c;
        sampling_case_open(cases[i], &c);
        float *latents = run_case(&c, &r);
        float *recorded = golden_f32(&c.g, "out.timesteps");
        for (int k = 0; k < r.calls; k++) {
            assert_in_range(ace_f32_bits(r.t[k]), ace_f32_bits(recorded[k]) - 1,
                            ace_f32_bits(recorded[k]) + 1);
        }
        free(recorded);
        free(r.traj_x);
        free(latents);
        sampling_case_close(&c);
    }
}

static void test_condition_switches_at_half(void **unused)
{
    (void)unused;
    static const char *const names[] = {"sample_base_cover_switch05_apg5",
                                        "sample_turbo_cover_switch05"};
    for (size_t i = 0; i < 2; i++) {
        recording r;
        sampling_case c;
        sampling_case_open(names[i], &c);
        float *latents = run_case(&c, &r);
        for (int k = 0; k < r.calls; k++) {
            assert_int_equal(r.condition[k], k < r.calls / 2 ? 0 : 1);
        }
        free(r.traj_x);
        free(latents);
        sampling_case_close(&c);
    }
}

/* Leaving the null branch out where guidance is off changes no bit of the result. */
static void test_null_branch_is_skipped_outside_the_interval(void **unused)
{
    (void)unused;
    recording always;
    recording sparing;
    sampling_case c;
    sampling_case_open("sample_base_apg4_shift3_interval", &c);
    float *expected = run_case(&c, &always);
    c.sampling.always_evaluate_null = false;
    float *latents = run_case(&c, &sparing);
    for (int k = 0; k < sparing.calls; k++) {
        assert_true(always.guided[k]);
        assert_int_equal(sparing.guided[k], sparing.t[k] >= 0.4f && sparing.t[k] <= 0.95f);
    }
    assert_memory_equal(latents, expected,
                        (size_t)(c.items * c.frames * c.channels) * sizeof *latents);
    free(always.traj_x);
    free(sparing.traj_x);
    free(expected);
    free(latents);
    sampling_case_close(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_follows_the_recorded_trajectory),
        cmocka_unit_test(test_levels_to_the_last_bits),
        cmocka_unit_test(test_condition_switches_at_half),
        cmocka_unit_test(test_null_branch_is_skipped_outside_the_interval),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
