/* Properties of the generate loop, with small made-up velocity fields in place of a network. */
#include "base/memory.h"
#include "sample/noise.h"
#include "sample/solver.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { ITEMS = 3, FRAMES = 9, CHANNELS = 4, ITEM = FRAMES * CHANNELS, ALL = ITEMS * ITEM };
enum { MOST_CALLS = 64 };

typedef struct call {
    float t;
    int condition;
    bool guided;
} call;

typedef struct field {
    int64_t items;
    uint64_t seeds[ITEMS]; /* of the items' step noise */
    call calls[MOST_CALLS];
    int n;
    int fail_at;      /* call that fails, counted from 1; 0: none */
    ace_status fails; /* OK: by a number that is not finite */
    bool fails_null;  /* that number is in the velocity without condition */
    int traced, correctors;
} field;

/* Couples frames and channels within an item, nothing across items. */
static ace_status swirl(void *context, const float *x, float t, int condition, bool guided,
                        float *v_cond, float *v_null)
{
    field *f = context;
    assert_true(f->n < MOST_CALLS);
    f->calls[f->n++] = (call){t, condition, guided};
    if (f->n == f->fail_at && f->fails != ACESTEP_OK) {
        return f->fails;
    }
    for (int64_t i = 0; x != NULL && i < f->items * ITEM; i++) {
        int64_t first = i / ITEM * ITEM;
        int64_t neighbour = first + (i - first + 5) % ITEM;
        v_cond[i] = sinf(2.0f * x[neighbour]) + x[i] - t + 0.5f * (float)condition;
        if (guided) {
            v_null[i] = cosf(x[neighbour]) * 0.7f + x[i];
        }
    }
    if (x != NULL && f->n == f->fail_at) {
        (f->fails_null ? v_null : v_cond)[ITEM + 2] = NAN;
    }
    return ACESTEP_OK;
}

static ace_status own_noise(void *context, int64_t item, int step, float *out)
{
    field *f = context;
    ace_noise_stream(f->seeds[item], ACE_NOISE_SDE, (uint32_t)step, 0, ITEM, out);
    return ACESTEP_OK;
}

static void count(void *context, const ace_evaluation *e)
{
    field *f = context;
    f->traced++;
    f->correctors += e->corrector ? 1 : 0;
    assert_float_equal(e->t, f->calls[f->n - 1].t, 0.0f);
    assert_int_equal(e->v_null != NULL, f->calls[f->n - 1].guided);
}

/* A batch: which item stands where. */
typedef struct batch {
    int64_t items;
    int order[ITEMS];
} batch;

static const batch whole = {ITEMS, {0, 1, 2}};

static void gather(const batch *b, const float *all, int64_t size, float *out)
{
    for (int64_t k = 0; k < b->items; k++) {
        memcpy(out + k * size, all + b->order[k] * size, (size_t)size * sizeof *out);
    }
}

/* Runs the items of b, each with its own noise, source and region. */
static ace_status sample(const ace_sampling *s, const batch *b, field *f, float *latents,
                         ace_error *err)
{
    float all[ALL];
    float noise[ALL];
    float source[ALL];
    float region[ITEMS * FRAMES];
    float regions[ITEMS * FRAMES];
    f->items = b->items;
    for (int i = 0; i < ITEMS; i++) {
        ace_noise_normal(100 + (uint64_t)i, 0, ITEM, 0, all + i * ITEM);
    }
    gather(b, all, ITEM, noise);
    for (int i = 0; i < ALL; i++) {
        all[i] = cosf(0.37f * (float)i);
    }
    gather(b, all, ITEM, source);
    for (int i = 0; i < ITEMS * FRAMES; i++) {
        regions[i] = i / FRAMES == 1 || (i % FRAMES >= 3 && i % FRAMES < 6) ? 1.0f : 0.0f;
    }
    gather(b, regions, FRAMES, region);
    for (int64_t k = 0; k < b->items; k++) {
        f->seeds[k] = 100 + (uint64_t)b->order[k];
    }
    bool repaint = s->repaint_injection > 0.0 || s->repaint_crossfade > 0;
    ace_solver_io io = {.items = b->items,
                        .frames = FRAMES,
                        .channels = CHANNELS,
                        .noise = noise,
                        .source = source,
                        .region = repaint ? region : NULL,
                        .latents = latents,
                        .velocity = swirl,
                        .step_noise = own_noise,
                        .trace = count,
                        .context = f};
    return ace_solver_run(s, &io, err);
}

static void sample_well(const ace_sampling *s, const batch *b, field *f, float *latents)
{
    ace_error err = {.code = ACESTEP_OK};
    if (sample(s, b, f, latents, &err) != ACESTEP_OK) {
        fail_msg("%s", err.message);
    }
}

/* Settings that together visit every branch. */
enum { SETTINGS = 2 * 3 * 3 * 2 };

static ace_sampling settings(int k)
{
    ace_sampling s;
    ace_sampling_defaults(k % 2 == 1, &s);
    s.steps = 6;
    s.method = (ace_method)(k / 2 % 3);
    s.guidance = (ace_guidance)(k / 6 % 3);
    s.guidance_scale = 3.0;
    s.cfg_interval_start = 0.2;
    s.cfg_interval_end = 0.9;
    if (k / 18 == 1) {
        s.cover_strength = 0.6;
        s.cover_noise_strength = 0.15;
        s.velocity_norm_threshold = 1.1;
        s.velocity_ema_factor = 0.1;
        s.dcw.mode = ACE_DCW_DOUBLE;
        s.repaint_injection = 0.5;
        s.repaint_crossfade = 2;
    }
    return s;
}

static void test_an_item_is_as_alone(void **unused)
{
    (void)unused;
    for (int k = 0; k < SETTINGS; k++) {
        ace_sampling s = settings(k);
        float together[ALL];
        field f = {0};
        sample_well(&s, &whole, &f, together);
        for (int i = 0; i < ITEMS; i++) {
            float single[ITEM];
            batch alone = {1, {i}};
            field g = {0};
            sample_well(&s, &alone, &g, single);
            assert_memory_equal(single, together + i * ITEM, sizeof single);
        }
    }
}

static void test_order_does_not_matter(void **unused)
{
    (void)unused;
    const batch turned = {ITEMS, {2, 0, 1}};
    for (int k = 0; k < SETTINGS; k++) {
        ace_sampling s = settings(k);
        float a[ALL];
        float b[ALL];
        float expected[ALL];
        field f = {0};
        field g = {0};
        sample_well(&s, &whole, &f, a);
        sample_well(&s, &turned, &g, b);
        gather(&turned, a, ITEM, expected);
        assert_memory_equal(b, expected, sizeof b);
    }
}

/* Each setting does something: no two of them give the same latents, but for what turbo ignores. */
static void test_settings_differ(void **unused)
{
    (void)unused;
    static float results[SETTINGS][ALL];
    for (int k = 0; k < SETTINGS; k++) {
        ace_sampling s = settings(k);
        field f = {0};
        sample_well(&s, &whole, &f, results[k]);
        for (int j = 0; j < k; j++) {
            bool same = memcmp(results[j], results[k], sizeof results[k]) == 0;
            bool turbo_ignores_guidance = k % 2 == 1 && j % 6 == k % 6 && j / 18 == k / 18;
            assert_int_equal(same, turbo_ignores_guidance);
        }
    }
}

static void test_planning_takes_the_same_calls(void **unused)
{
    (void)unused;
    for (int k = 0; k < SETTINGS; k++) {
        ace_sampling s = settings(k);
        float latents[ALL];
        field real = {0};
        field planned = {.items = ITEMS};
        sample_well(&s, &whole, &real, latents);
        ace_solver_io io = {.items = ITEMS,
                            .frames = FRAMES,
                            .channels = CHANNELS,
                            .velocity = swirl,
                            .trace = count,
                            .context = &planned};
        uint64_t allocations = ace_memory_count();
        assert_int_equal(ace_solver_run(&s, &io, NULL), ACESTEP_OK);
        assert_int_equal(ace_memory_count(), allocations);
        assert_int_equal(planned.n, real.n);
        assert_int_equal(planned.traced, 0);
        assert_int_equal(real.traced, real.n);
        for (int i = 0; i < real.n; i++) {
            assert_float_equal(planned.calls[i].t, real.calls[i].t, 0.0f);
            assert_int_equal(planned.calls[i].condition, real.calls[i].condition);
            assert_int_equal(planned.calls[i].guided, real.calls[i].guided);
        }
    }
}

static void test_heun_evaluates_twice(void **unused)
{
    (void)unused;
    for (int turbo = 0; turbo < 2; turbo++) {
        ace_sampling s;
        float latents[ALL];
        field f = {0};
        ace_sampling_defaults(turbo == 1, &s);
        s.steps = 8;
        s.method = ACE_METHOD_HEUN;
        sample_well(&s, &whole, &f, latents);
        assert_int_equal(f.correctors, turbo == 1 ? 7 : 8); /* turbo ends at the data estimate */
        assert_int_equal(f.n, 8 + f.correctors);
        assert_float_equal(f.calls[f.n - 1].t, turbo == 1 ? 0.3f : 0.0f, 1e-7f);
        assert_float_equal(f.calls[1].t, f.calls[2].t, 0.0f);
    }
}

static void test_no_null_branch_without_guidance(void **unused)
{
    (void)unused;
    for (int turbo = 0; turbo < 2; turbo++) {
        ace_sampling s;
        float latents[ALL];
        field f = {0};
        ace_sampling_defaults(turbo == 1, &s);
        s.guidance_scale = turbo == 1 ? 7.0 : 1.0;
        s.always_evaluate_null = true;
        sample_well(&s, &whole, &f, latents);
        for (int i = 0; i < f.n; i++) {
            assert_false(f.calls[i].guided);
        }
    }
}

/* Ends of the interval belong to it, also where the level is only the f32 nearest to the limit. */
static void test_interval_is_closed(void **unused)
{
    (void)unused;
    static const double levels[] = {0.9, 0.7, 0.3, 0.1};
    ace_sampling s;
    float latents[ALL];
    field f = {0};
    ace_sampling_defaults(false, &s);
    s.timesteps = levels;
    s.n_timesteps = 4;
    s.cfg_interval_start = 0.3;
    s.cfg_interval_end = 0.7;
    sample_well(&s, &whole, &f, latents);
    assert_false(f.calls[0].guided);
    assert_true(f.calls[1].guided);
    assert_true(f.calls[2].guided);
    assert_false(f.calls[3].guided);
}

static void test_cover_share(void **unused)
{
    (void)unused;
    static const double shares[] = {0.0, 0.3, 0.7, 1.0};
    static const int covered[] = {0, 3, 7, 10};
    for (int k = 0; k < 4; k++) {
        ace_sampling s;
        float latents[ALL];
        field f = {0};
        ace_sampling_defaults(false, &s);
        s.steps = 10;
        s.cover_strength = shares[k];
        sample_well(&s, &whole, &f, latents);
        for (int i = 0; i < 10; i++) {
            assert_int_equal(f.calls[i].condition, i < covered[k] ? 0 : 1);
        }
    }
}

/* ---- accuracy -------------------------------------------------------------------------------- */

/* dx/dt = x, whose solution from x at t = 1 is x/e at t = 0. */
static ace_status exponential(void *context, const float *x, float t, int condition, bool guided,
                              float *v_cond, float *v_null)
{
    (void)context;
    (void)t;
    (void)condition;
    (void)guided;
    (void)v_null;
    v_cond[0] = x[0];
    return ACESTEP_OK;
}

static double error_of(ace_method method, int steps)
{
    ace_sampling s;
    const float one = 1.0f;
    float x = 0.0f;
    ace_sampling_defaults(false, &s);
    s.method = method;
    s.steps = steps;
    s.guidance_scale = 1.0;
    ace_solver_io io = {.items = 1,
                        .frames = 1,
                        .channels = 1,
                        .noise = &one,
                        .latents = &x,
                        .velocity = exponential};
    assert_int_equal(ace_solver_run(&s, &io, NULL), ACESTEP_OK);
    return fabs((double)x - exp(-1.0));
}

static void test_orders_of_accuracy(void **unused)
{
    (void)unused;
    double first = error_of(ACE_METHOD_EULER, 10) / error_of(ACE_METHOD_EULER, 20);
    double second = error_of(ACE_METHOD_HEUN, 10) / error_of(ACE_METHOD_HEUN, 20);
    assert_true(first > 1.8 && first < 2.3);
    assert_true(second > 3.6 && second < 4.6);
}

/* ---- repainting ------------------------------------------------------------------------------ */

/* Put back after every step, the source comes out untouched outside the region, and an item without
 * one (item 1) is as if the others had none. */
static void test_injection_keeps_the_source(void **unused)
{
    (void)unused;
    ace_sampling s;
    float plain[ALL];
    float kept[ALL];
    field f = {0};
    field g = {0};
    ace_sampling_defaults(false, &s);
    s.steps = 6;
    sample_well(&s, &whole, &f, plain);
    s.repaint_injection = 1.0;
    sample_well(&s, &whole, &g, kept);
    for (int i = 0; i < ITEM; i++) {
        int frame = i / CHANNELS;
        if (frame < 3 || frame >= 6) {
            assert_float_equal(kept[i], cosf(0.37f * (float)i), 0.0f);
        }
    }
    assert_memory_equal(kept + ITEM, plain + ITEM, ITEM * sizeof *kept);
    assert_memory_not_equal(kept, plain, ITEM * sizeof *kept);
}

/* ---- failures -------------------------------------------------------------------------------- */

static void test_not_a_number(void **unused)
{
    (void)unused;
    for (int null = 0; null < 2; null++) {
        ace_sampling s;
        float latents[ALL];
        ace_error err = {.code = ACESTEP_OK};
        field f = {.fail_at = 4, .fails_null = null == 1};
        ace_sampling_defaults(null == 0, &s);
        s.steps = 8;
        uint64_t live = ace_memory_live();
        assert_int_equal(sample(&s, &whole, &f, latents, &err), ACESTEP_FAILED);
        assert_non_null(strstr(err.message, "step 4 of 8"));
        assert_non_null(strstr(err.message, "item 2"));
        assert_int_equal(f.n, 4);
        assert_int_equal(ace_memory_live(), live);
    }
}

static void test_cancelled(void **unused)
{
    (void)unused;
    for (int k = 0; k < SETTINGS; k++) {
        ace_sampling s = settings(k);
        float latents[ALL];
        ace_error err = {.code = ACESTEP_OK};
        field f = {.fail_at = 3, .fails = ACESTEP_CANCELLED};
        uint64_t live = ace_memory_live();
        assert_int_equal(sample(&s, &whole, &f, latents, &err), ACESTEP_CANCELLED);
        assert_int_equal(err.code, ACESTEP_CANCELLED);
        assert_int_equal(f.n, 3);
        assert_int_equal(ace_memory_live(), live);
    }
}

static void test_memory_failures(void **unused)
{
    (void)unused;
    ace_sampling s = settings(18); /* base, Euler, APG, all corrections */
    float expected[ALL];
    float latents[ALL];
    field f = {0};
    sample_well(&s, &whole, &f, expected);
    for (int method = 0; method < 3; method++) {
        s.method = (ace_method)method;
        uint64_t live = ace_memory_live();
        uint64_t failures = 0;
        ace_status status = ACESTEP_MEMORY;
        while (status == ACESTEP_MEMORY) {
            field g = {0};
            ace_memory_fail_at(++failures);
            status = sample(&s, &whole, &g, latents, NULL);
            assert_int_equal(ace_memory_live(), live);
        }
        ace_memory_fail_at(0);
        assert_int_equal(status, ACESTEP_OK);
        assert_true(failures > 6);
    }
}

static void expect_refused(const ace_sampling *s, const ace_solver_io *io, const char *word)
{
    ace_error err = {.code = ACESTEP_OK};
    assert_int_equal(ace_solver_run(s, io, &err), ACESTEP_ARGUMENT);
    assert_non_null(strstr(err.message, word));
}

static void test_missing_inputs(void **unused)
{
    (void)unused;
    float data[ITEM] = {0};
    field f = {.items = 1};
    const ace_solver_io good = {.items = 1,
                                .frames = FRAMES,
                                .channels = CHANNELS,
                                .noise = data,
                                .latents = data,
                                .velocity = swirl,
                                .context = &f};
    ace_solver_io io = good;
    ace_sampling s;
    ace_sampling_defaults(true, &s);
    io.region = data;
    expect_refused(&s, &io, "repaint");
    io = good;
    io.items = 0;
    expect_refused(&s, &io, "sampling");
    io = good;
    io.frames = INT64_MAX / 2;
    expect_refused(&s, &io, "too large");
    s.cover_noise_strength = 0.5;
    expect_refused(&s, &good, "cover_noise_strength");
    s.cover_noise_strength = 0.0;
    s.method = ACE_METHOD_SDE;
    expect_refused(&s, &good, "sde");
    assert_int_equal(f.n, 0);
}

static void test_settings_are_checked(void **unused)
{
    (void)unused;
    static const struct {
        size_t offset;
        double value;
        const char *word;
    } wrong[] = {
        {offsetof(ace_sampling, guidance_scale), NAN, "guidance_scale"},
        {offsetof(ace_sampling, guidance_scale), -1.0, "guidance_scale"},
        {offsetof(ace_sampling, cfg_interval_start), 1.5, "cfg_interval_start"},
        {offsetof(ace_sampling, cfg_interval_end), -0.5, "cfg_interval_end"},
        {offsetof(ace_sampling, cover_strength), 1.01, "audio_cover_strength"},
        {offsetof(ace_sampling, cover_noise_strength), NAN, "cover_noise_strength"},
        {offsetof(ace_sampling, velocity_norm_threshold), -0.1, "velocity_norm_threshold"},
        {offsetof(ace_sampling, velocity_ema_factor), 2.0, "velocity_ema_factor"},
        {offsetof(ace_sampling, repaint_injection), -1.0, "repaint"},
        {offsetof(ace_sampling, dcw.scaler), INFINITY, "dcw_scaler"},
        {offsetof(ace_sampling, shift), 0.0, "shift"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        ace_sampling s;
        ace_schedule schedule;
        int cover_steps;
        ace_error err = {.code = ACESTEP_OK};
        ace_sampling_defaults(false, &s);
        assert_int_equal(ace_solver_schedule(&s, &schedule, &cover_steps, &err), ACESTEP_OK);
        memcpy((char *)&s + wrong[i].offset, &wrong[i].value, sizeof wrong[i].value);
        assert_int_equal(ace_solver_schedule(&s, &schedule, &cover_steps, &err), ACESTEP_ARGUMENT);
        assert_non_null(strstr(err.message, wrong[i].word));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_item_is_as_alone),
        cmocka_unit_test(test_order_does_not_matter),
        cmocka_unit_test(test_settings_differ),
        cmocka_unit_test(test_planning_takes_the_same_calls),
        cmocka_unit_test(test_heun_evaluates_twice),
        cmocka_unit_test(test_no_null_branch_without_guidance),
        cmocka_unit_test(test_interval_is_closed),
        cmocka_unit_test(test_cover_share),
        cmocka_unit_test(test_orders_of_accuracy),
        cmocka_unit_test(test_injection_keeps_the_source),
        cmocka_unit_test(test_not_a_number),
        cmocka_unit_test(test_cancelled),
        cmocka_unit_test(test_memory_failures),
        cmocka_unit_test(test_missing_inputs),
        cmocka_unit_test(test_settings_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
