/* The diffusion transformer's batches, conditions and null branch, and shapes that no recorded
 * model has: the XL models' wide attention and their own encoder width. */
#include "model/dit.h"
#include "support/bench_device.h"
#include "support/golden.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A loaded network, and numbers to feed it with. */
typedef struct rig {
    test_bench bench;
    ace_dit_config config;
    ace_dit dit;
    ace_dit_session session;
} rig;

static rig *open_rig(ace_device *device, const char *model, const ace_dit_config *config)
{
    rig *r = malloc(sizeof *r);
    assert_non_null(r);
    r->config = *config;
    bench_open(&r->bench, device, model, ACE_F32);
    ace_dit_load(&r->bench.loader, config, &r->dit);
    bench_loaded(&r->bench);
    return r;
}

static void close_rig(rig *r)
{
    bench_check(&r->bench);
    bench_close(&r->bench);
    free(r);
}

static ace_dit_config small_config(void)
{
    return bench_dit_config("acestep-v15-turbo");
}

/* As XL: heads · head_dim (128) is not hidden (80), four query heads to a key head, and the
 * conditions are narrower (48) than the decoder. */
static ace_dit_config wide_config(void)
{
    ace_dit_config c = small_config();
    c.decoder.hidden = 80;
    c.decoder.heads = 8;
    c.decoder.intermediate = 208;
    c.encoder.hidden = 48;
    return c;
}

/* Numbers with a spread of about 1 that differ everywhere; free with free(). */
static float *numbers(int64_t n, unsigned seed)
{
    float *out = malloc((size_t)n * sizeof *out);
    assert_non_null(out);
    for (int64_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        out[i] = (float)((double)seed / 2147483648.0 - 1.0) * 1.7f;
    }
    return out;
}

static double largest_difference(const float *a, const float *b, int64_t n)
{
    double worst = 0;
    for (int64_t i = 0; i < n; i++) {
        double d = fabs((double)a[i] - (double)b[i]);
        worst = d > worst || isnan(d) ? d : worst;
    }
    return worst;
}

/* ---- a batch of three songs under two conditions --------------------------------------------- */

enum { SONGS = 3, FRAMES = 41, LONG = 19, SHORT = 7 };

static const float times[SONGS] = {0.9f, 0.3f, 0.55f};
static const int32_t condition_of[SONGS] = {1, 0, 1};
static const int64_t condition_length[2] = {SHORT, LONG};
static const int32_t the_only_one[] = {0};

typedef struct feed {
    float *context, *x, *condition[2];
    int64_t context_size, x_size; /* of one song */
} feed;

static feed open_feed(const ace_dit_config *c)
{
    feed f = {.context_size = FRAMES * (c->in_channels - c->latent_channels),
              .x_size = FRAMES * c->latent_channels};
    f.context = numbers(SONGS * f.context_size, 1);
    f.x = numbers(SONGS * f.x_size, 2);
    f.condition[0] = numbers(SHORT * c->encoder.hidden, 3);
    f.condition[1] = numbers(LONG * c->encoder.hidden, 4);
    return f;
}

static void close_feed(feed *f)
{
    free(f->context);
    free(f->x);
    free(f->condition[0]);
    free(f->condition[1]);
}

/* Velocities of songs first … first + n - 1, computed together. */
static void evaluate(rig *r, const feed *f, int first, int n, bool null_branch, float *v)
{
    const float *conditions[] = {f->condition[0], f->condition[1]};
    ace_stream *s = &r->bench.stream;
    ace_dit_inputs in = {.batch = n,
                         .frames = FRAMES,
                         .context = f->context + first * f->context_size,
                         .n_conditions = 2,
                         .condition = conditions,
                         .condition_length = condition_length,
                         .condition_of = condition_of + first,
                         .guided = null_branch};
    if (n == 1) { /* alone, with its own condition only */
        in.n_conditions = 1;
        in.condition = conditions + condition_of[first];
        in.condition_length = condition_length + condition_of[first];
        in.condition_of = the_only_one;
    }
    ace_arena_mark mark = ace_mark(s);
    ace_dit_begin(s, &r->dit, &in, &r->session);
    ace_dit_velocity(&r->session, f->x + first * f->x_size, times + first, times + first,
                     null_branch, v);
    ace_reset(s, &mark);
    bench_check(&r->bench);
}

static void check_batch(rig *r)
{
    feed f = open_feed(&r->config);
    float *together = malloc((size_t)(SONGS * f.x_size) * sizeof *together);
    float *alone = malloc((size_t)f.x_size * sizeof *alone);
    assert_true(together != NULL && alone != NULL);
    for (int null_branch = 0; null_branch < 2; null_branch++) {
        evaluate(r, &f, 0, SONGS, null_branch != 0, together);
        for (int b = 0; b < SONGS; b++) {
            evaluate(r, &f, b, 1, null_branch != 0, alone);
            assert_true(largest_difference(together + b * f.x_size, alone, f.x_size) < 2e-5);
        }
    }
    free(together);
    free(alone);
    close_feed(&f);
}

static void songs_do_not_hear_each_other(void **state)
{
    (void)state;
    ace_device *device = NULL;
    for (int i = 0; (device = bench_device(i)) != NULL; i++) {
        ace_dit_config small = small_config();
        ace_dit_config wide = wide_config();
        rig *r = open_rig(device, "acestep-v15-turbo", &small);
        check_batch(r);
        close_rig(r);
        r = open_rig(bench_device(i), NULL, &wide);
        check_batch(r);
        close_rig(r);
    }
}

/* ---- the null branch ------------------------------------------------------------------------- */

/* The null condition as the original passes it: its one row repeated in place of a condition. */
static void evaluate_explicit_null(rig *r, const feed *f, float *v)
{
    int64_t hidden = r->config.encoder.hidden;
    float *rows = malloc((size_t)(LONG * hidden) * sizeof *rows);
    assert_non_null(rows);
    ace_download(&r->bench.stream, rows, r->dit.condition.null_condition);
    for (int i = 1; i < LONG; i++) {
        memcpy(rows + i * hidden, rows, (size_t)hidden * sizeof *rows);
    }
    feed with_null = *f;
    with_null.condition[0] = rows;
    with_null.condition[1] = rows;
    evaluate(r, &with_null, 0, SONGS, false, v);
    free(rows);
}

static void check_null(rig *r)
{
    feed f = open_feed(&r->config);
    size_t bytes = (size_t)(SONGS * f.x_size) * sizeof(float);
    float *constant = malloc(bytes);
    float *explicit_rows = malloc(bytes);
    float *conditional = malloc(bytes);
    assert_true(constant != NULL && explicit_rows != NULL && conditional != NULL);
    evaluate(r, &f, 0, SONGS, true, constant);
    evaluate(r, &f, 0, SONGS, false, conditional);
    evaluate_explicit_null(r, &f, explicit_rows);
    assert_true(largest_difference(constant, explicit_rows, SONGS * f.x_size) < 2e-5);
    assert_true(largest_difference(constant, conditional, SONGS * f.x_size) > 1e-2);
    free(constant);
    free(explicit_rows);
    free(conditional);
    close_feed(&f);
}

static void null_branch_equals_the_repeated_null_condition(void **state)
{
    (void)state;
    ace_device *device = NULL;
    for (int i = 0; (device = bench_device(i)) != NULL; i++) {
        ace_dit_config base = bench_dit_config("acestep-v15-base");
        ace_dit_config wide = wide_config();
        rig *r = open_rig(device, "acestep-v15-base", &base);
        check_null(r);
        close_rig(r);
        r = open_rig(bench_device(i), NULL, &wide);
        check_null(r);
        close_rig(r);
    }
}

/* Every evaluation of recorded runs, guided ones with both branches: [conditional, null] rows. */
static void check_trajectory(ace_device *device, const char *name, const char *model)
{
    golden g = golden_open(name);
    ace_dit_config config = bench_dit_config(model);
    const ace_weight *shape = golden_tensor(&g, "out.traj_v");
    const ace_weight *states = golden_tensor(&g, "out.encoder_hidden_states");
    int64_t size = shape->dim[2] * shape->dim[3];
    bool guided = shape->dim[1] == 2;
    float *x = golden_f32(&g, "out.traj_x");
    float *t = golden_f32(&g, "out.timesteps");
    float *context = golden_f32(&g, "out.context_latents");
    float *condition = golden_f32(&g, "out.encoder_hidden_states");
    float *v = malloc((size_t)golden_elements(shape) * sizeof *v);
    assert_non_null(v);
    rig *r = open_rig(device, model, &config);
    const float *conditions[] = {condition};
    ace_dit_inputs in = {.batch = 1,
                         .frames = shape->dim[2],
                         .context = context,
                         .n_conditions = 1,
                         .condition = conditions,
                         .condition_length = &states->dim[1],
                         .condition_of = the_only_one,
                         .guided = guided};
    ace_dit_begin(&r->bench.stream, &r->dit, &in, &r->session);
    for (int64_t k = 0; k < shape->dim[0]; k++) {
        int64_t at = k * shape->dim[1] * size;
        ace_dit_velocity(&r->session, x + at, t + k, t + k, false, v + at);
        if (guided) {
            ace_dit_velocity(&r->session, x + at, t + k, t + k, true, v + at + size);
        }
    }
    bench_check(&r->bench);
    assert_true(golden_matches(&g, "out.traj_v", v));
    close_rig(r);
    free(x);
    free(t);
    free(context);
    free(condition);
    free(v);
    golden_close(&g);
}

static void recorded_runs_match_in_both_branches(void **state)
{
    (void)state;
    ace_device *device = NULL;
    for (int i = 0; (device = bench_device(i)) != NULL; i++) {
        check_trajectory(device, "sample_base_cover_noise05_apg3", "acestep-v15-base");
        check_trajectory(bench_device(i), "sample_turbo_cover_noise03", "acestep-v15-turbo");
        check_trajectory(bench_device(i), "sample_turbo_hints", "acestep-v15-turbo");
    }
}

/* ---- shapes without a recording -------------------------------------------------------------- */

static void wide_shapes_agree_on_all_devices(void **state)
{
    (void)state;
    ace_dit_config c = wide_config();
    feed f = open_feed(&c);
    int64_t n = SONGS * f.x_size;
    float *expected = malloc((size_t)n * sizeof *expected);
    float *got = malloc((size_t)n * sizeof *got);
    assert_true(expected != NULL && got != NULL);
    ace_device *device = NULL;
    for (int i = 0; (device = bench_device(i)) != NULL; i++) {
        rig *r = open_rig(device, NULL, &c);
        evaluate(r, &f, 0, SONGS, false, i == 0 ? expected : got);
        assert_true(i == 0 || largest_difference(expected, got, n) < 5e-5);
        close_rig(r);
    }
    assert_true(fabsf(expected[0]) > 1e-3f);
    free(expected);
    free(got);
    close_feed(&f);
}

/* ---- requests that cannot be served, progress, cancelling ------------------------------------ */

static void refuse_inputs(const ace_dit_inputs *in)
{
    ace_dit_config c = small_config();
    rig *r = open_rig(bench_device(1), "acestep-v15-turbo", &c);
    float v[4] = {7, 7, 7, 7};
    ace_dit_begin(&r->bench.stream, &r->dit, in, &r->session);
    assert_int_equal(ace_stream_status(&r->bench.stream), ACESTEP_FAILED);
    ace_dit_velocity(&r->session, v, v, v, false, v); /* stands still */
    assert_true(v[0] == 7.0f && v[3] == 7.0f);
    bench_close(&r->bench);
    free(r);
}

static void impossible_batches_are_refused(void **state)
{
    (void)state;
    float rows[4096] = {0};
    const float *conditions[] = {rows};
    int64_t length = 3;
    int32_t of[ACE_DIT_MAX_BATCH + 1] = {0};
    const ace_dit_inputs good = {1, 8, rows, 1, conditions, &length, of, false};
    ace_dit_inputs in = good;
    in.batch = 0;
    refuse_inputs(&in);
    in.batch = ACE_DIT_MAX_BATCH + 1;
    refuse_inputs(&in);
    in = good;
    in.frames = 0;
    refuse_inputs(&in);
    in = good;
    in.n_conditions = ACE_DIT_MAX_CONDITIONS + 1;
    refuse_inputs(&in);
    in = good;
    of[0] = 1;
    refuse_inputs(&in);
    of[0] = -1;
    refuse_inputs(&in);
    of[0] = 0;
    length = 0;
    refuse_inputs(&in);
}

typedef struct meter {
    double last;
    int calls, limit;
} meter;

static bool watch(void *context, double fraction)
{
    meter *m = context;
    assert_true(fraction > m->last);
    m->last = fraction;
    m->calls++;
    return m->calls < m->limit;
}

static void layers_report_and_can_be_cancelled(void **state)
{
    (void)state;
    ace_dit_config c = small_config();
    feed f = open_feed(&c);
    const float *conditions[] = {f.condition[0]};
    int64_t length = SHORT;
    int32_t of = 0;
    float v[1024];
    for (int limit = 2; limit <= 100; limit += 98) {
        meter m = {.last = 0.25, .limit = limit};
        rig *r = open_rig(bench_device(1), "acestep-v15-turbo", &c);
        ace_dit_inputs in = {1, FRAMES, f.context, 1, conditions, &length, &of, false};
        r->bench.stream.progress = watch;
        r->bench.stream.progress_context = &m;
        ace_dit_begin(&r->bench.stream, &r->dit, &in, &r->session);
        ace_dit_velocity(&r->session, f.x, times, times, false, v);
        assert_int_equal(m.calls, 0); /* nobody has said what an evaluation is worth */
        r->session.progress = 0.25;
        r->session.progress_share = 0.5;
        ace_dit_velocity(&r->session, f.x, times, times, false, v);
        assert_int_equal(m.calls, limit == 2 ? 2 : (int)c.layers);
        assert_true(limit == 2 || fabs(m.last - 0.75) < 1e-12);
        assert_int_equal(ace_stream_status(&r->bench.stream),
                         limit == 2 ? ACESTEP_CANCELLED : ACESTEP_OK);
        bench_close(&r->bench);
        free(r);
    }
    close_feed(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(songs_do_not_hear_each_other),
        cmocka_unit_test(null_branch_equals_the_repeated_null_condition),
        cmocka_unit_test(recorded_runs_match_in_both_branches),
        cmocka_unit_test(wide_shapes_agree_on_all_devices),
        cmocka_unit_test(impossible_batches_are_refused),
        cmocka_unit_test(layers_report_and_can_be_cancelled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
