/* The order of things within a step, against a second loop that spells it out for one item:
 * evaluate, guide, shorten, smooth, (look ahead,) step, correct, put the source back. */
#include "sample/noise.h"
#include "sample/repaint.h"
#include "sample/solver.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { FRAMES = 9, CHANNELS = 4, N = FRAMES * CHANNELS };

static void swirl(const float *x, float t, float *v_cond, float *v_null)
{
    for (int i = 0; i < N; i++) {
        v_cond[i] = sinf(2.0f * x[(i + 5) % N]) + x[i] - t;
        v_null[i] = cosf(x[(i + 5) % N]) * 0.7f + x[i];
    }
}

static ace_status velocity(void *context, const float *x, float t, int condition, bool guided,
                           float *v_cond, float *v_null)
{
    (void)context;
    (void)condition;
    float unused[N];
    swirl(x, t, v_cond, guided ? v_null : unused);
    return ACESTEP_OK;
}

static ace_status step_noise(void *context, int64_t item, int step, float *out)
{
    (void)context;
    (void)item;
    ace_noise_stream(9, ACE_NOISE_SDE, (uint32_t)step, 0, N, out);
    return ACESTEP_OK;
}

typedef struct inputs {
    float noise[N], source[N], region[FRAMES];
} inputs;

static void make_inputs(inputs *in)
{
    ace_noise_normal(9, 0, N, 0, in->noise);
    for (int i = 0; i < N; i++) {
        in->source[i] = cosf(0.37f * (float)i);
    }
    for (int f = 0; f < FRAMES; f++) {
        in->region[f] = f >= 3 && f < 6 ? 1.0f : 0.0f;
    }
}

/* The velocity to follow at x, t; on the main evaluation of a step or on Heun's second. */
static void follow(const ace_sampling *s, ace_apg *apg, bool main_evaluation, const float *x,
                   float t, const float *mix, float *v)
{
    float v_null[N];
    swirl(x, t, v, v_null);
    bool guided = !s->turbo && t >= (float)s->cfg_interval_start && t <= (float)s->cfg_interval_end;
    if (guided && s->guidance == ACE_GUIDANCE_APG && main_evaluation) {
        ace_apg_guide(apg, 0, s->guidance_scale, v_null, v);
    } else if (guided && s->guidance == ACE_GUIDANCE_ADG && t > 0.0f) {
        ace_adg_guide(FRAMES, CHANNELS, s->guidance_scale, t, x, v_null, v);
    } else if (guided) {
        ace_cfg_guide(N, s->guidance_scale, v_null, v);
    }
    if (s->velocity_norm_threshold > 0.0) {
        ace_velocity_clamp(N, s->velocity_norm_threshold, x, v);
    }
    if (mix != NULL) {
        ace_velocity_smooth(N, s->velocity_ema_factor, mix, v);
    }
}

/* v becomes the mean of both ends. */
static void heun(const ace_sampling *s, ace_apg *apg, const float *x, float t, float next, float *v)
{
    float ahead[N];
    float v2[N];
    for (int i = 0; i < N; i++) {
        ahead[i] = x[i] - v[i] * (t - next);
    }
    follow(s, apg, false, ahead, next, s->velocity_ema_factor > 0.0 ? v : NULL, v2);
    for (int i = 0; i < N; i++) {
        v[i] = 0.5f * (v[i] + v2[i]);
    }
}

static void by_the_book(const ace_sampling *s, const inputs *in, float *x)
{
    ace_apg apg;
    ace_schedule schedule;
    int cover_steps;
    float previous[N];
    assert_int_equal(ace_solver_schedule(s, &schedule, &cover_steps, NULL), ACESTEP_OK);
    assert_int_equal(ace_apg_create(1, FRAMES, CHANNELS, &apg, NULL), ACESTEP_OK);
    int injected = ace_repaint_injected_steps(schedule.steps, s->repaint_injection);
    memcpy(x, in->noise, sizeof in->noise);
    for (int step = 0; step < schedule.steps; step++) {
        float v[N];
        float data[N];
        float fresh[N] = {0};
        float t = schedule.t[step];
        float next = schedule.t[step + 1];
        bool smooth = s->velocity_ema_factor > 0.0 && step > 0;
        follow(s, &apg, true, x, t, smooth ? previous : NULL, v);
        for (int i = 0; i < N; i++) {
            data[i] = x[i] - v[i] * t;
        }
        if (s->turbo && step == schedule.steps - 1) {
            memcpy(x, data, sizeof data);
            break;
        }
        if (s->method == ACE_METHOD_SDE) {
            next = s->turbo ? next : (float)(1.0 - (step + 1.0) / schedule.steps);
            (void)step_noise(NULL, 0, step, fresh);
        } else if (s->method == ACE_METHOD_HEUN) {
            heun(s, &apg, x, t, next, v);
        }
        for (int i = 0; i < N; i++) {
            x[i] = s->method == ACE_METHOD_SDE ? next * fresh[i] + (1.0f - next) * data[i]
                                               : x[i] - v[i] * (t - next);
        }
        memcpy(previous, v, sizeof v);
        ace_dcw_apply(&s->dcw, t, FRAMES, CHANNELS, data, x);
        if (step < injected) {
            ace_repaint_inject(FRAMES, CHANNELS, next, in->noise, in->source, in->region, x);
        }
    }
    if (s->repaint_crossfade > 0) {
        ace_repaint_blend(FRAMES, CHANNELS, s->repaint_crossfade, in->source, in->region, x);
    }
    ace_apg_free(&apg);
}

/* One bit for each option, on top of model, method and guidance. */
static ace_sampling settings(int model, int method, int guidance, int options)
{
    ace_sampling s;
    ace_sampling_defaults(model == 1, &s);
    s.steps = 5;
    s.shift = 2.0;
    s.method = (ace_method)method;
    s.guidance = (ace_guidance)guidance;
    s.guidance_scale = 3.0;
    s.cfg_interval_end = 0.9;
    s.velocity_norm_threshold = (options & 1) != 0 ? 1.1 : 0.0;
    s.velocity_ema_factor = (options & 2) != 0 ? 0.2 : 0.0;
    s.dcw.mode = (options & 4) != 0 ? ACE_DCW_DOUBLE : ACE_DCW_OFF;
    s.repaint_injection = (options & 8) != 0 ? 0.4 : 0.0;
    s.repaint_crossfade = (options & 16) != 0 ? 2 : 0;
    if ((options & 24) == 24) {
        s.repaint_injection = 1.0;
    }
    return s;
}

static void expect_by_the_book(const ace_sampling *s)
{
    inputs in;
    float expected[N];
    float latents[N];
    ace_error err = {.code = ACESTEP_OK};
    make_inputs(&in);
    bool repaint = s->repaint_injection > 0.0 || s->repaint_crossfade > 0;
    ace_solver_io io = {.items = 1,
                        .frames = FRAMES,
                        .channels = CHANNELS,
                        .noise = in.noise,
                        .source = in.source,
                        .region = repaint ? in.region : NULL,
                        .latents = latents,
                        .velocity = velocity,
                        .step_noise = step_noise};
    by_the_book(s, &in, expected);
    if (ace_solver_run(s, &io, &err) != ACESTEP_OK) {
        fail_msg("%s", err.message);
    }
    for (int i = 0; i < N; i++) {
        assert_float_equal(latents[i], expected[i], 2e-5f);
    }
}

static void test_order_within_a_step(void **unused)
{
    (void)unused;
    for (int model = 0; model < 2; model++) {
        for (int method = 0; method < 3; method++) {
            for (int guidance = 0; guidance < 3; guidance++) {
                for (int options = 0; options < 32; options++) {
                    ace_sampling s = settings(model, method, guidance, options);
                    expect_by_the_book(&s);
                }
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_within_a_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
