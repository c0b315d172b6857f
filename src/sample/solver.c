#include "sample/solver.h"

#include "base/checked.h"
#include "base/memory.h"
#include "sample/repaint.h"

#include <math.h>
#include <string.h>

/* One run. Buffers are [items, frames, channels] unless said otherwise, and NULL when planning or
 * when the settings do not need them. */
typedef struct run {
    const ace_sampling *s;
    const ace_solver_io *io;
    ace_error *err;
    ace_schedule schedule;
    int cover_steps, injected_steps;
    bool guided;                   /* by the settings, before looking at the interval */
    int64_t item_size, batch_size; /* numbers */
    float *x;                      /* the caller's result */
    float *v, *v_null;
    float *predicted, *v_predicted; /* Heun: the Euler step and the velocity there */
    float *v_previous;              /* smoothing: what the previous step followed */
    float *estimate;                /* DCW: x − t·v of one item */
    float *fresh;                   /* SDE: normals for one item */
    ace_apg apg;
} run;

/* ---- setting up ------------------------------------------------------------------------------ */

ace_status ace_solver_schedule(const ace_sampling *s, ace_schedule *schedule, int *cover_steps,
                               ace_error *err)
{
    ace_schedule_request request = {.turbo = s->turbo,
                                    .steps = s->steps,
                                    .shift = s->shift,
                                    .timesteps = s->timesteps,
                                    .n_timesteps = s->n_timesteps};
    ace_status status = ace_sampling_check(s, err);
    if (status == ACESTEP_OK) {
        status = ace_schedule_make(&request, schedule, err);
    }
    if (status != ACESTEP_OK) {
        return status;
    }
    if (s->cover_noise_strength > 0.0) {
        ace_schedule_start_at(schedule, 1.0 - s->cover_noise_strength);
    }
    *cover_steps = ace_schedule_cover_steps(schedule, s->cover_strength);
    return ACESTEP_OK;
}

static ace_status check_inputs(const ace_sampling *s, const ace_solver_io *io, ace_error *err)
{
    if (io->velocity == NULL || io->items < 1 || io->frames < 1 || io->channels < 1) {
        return ace_fail(err, ACESTEP_ARGUMENT, "sampling: no network or no latents to sample");
    }
    if (io->noise == NULL) {
        return ACESTEP_OK;
    }
    if (io->latents == NULL) {
        return ace_fail(err, ACESTEP_ARGUMENT, "sampling: no place for the latents");
    }
    if (io->source == NULL && s->cover_noise_strength > 0.0) {
        return ace_fail(err, ACESTEP_ARGUMENT, "cover_noise_strength: needs source audio");
    }
    if (io->source == NULL && io->region != NULL) {
        return ace_fail(err, ACESTEP_ARGUMENT, "repaint: needs source audio");
    }
    if (io->step_noise == NULL && s->method == ACE_METHOD_SDE) {
        return ace_fail(err, ACESTEP_ARGUMENT, "infer_method: sde needs a source of noise");
    }
    return ACESTEP_OK;
}

static bool sizes_overflow(run *r)
{
    size_t item = 0;
    size_t batch = 0;
    size_t bytes = 0;
    bool overflows = ace_mul_overflows((size_t)r->io->frames, (size_t)r->io->channels, &item) ||
                     ace_mul_overflows(item, (size_t)r->io->items, &batch) ||
                     ace_mul_overflows(batch, sizeof(float), &bytes) || bytes > PTRDIFF_MAX;
    r->item_size = (int64_t)item;
    r->batch_size = (int64_t)batch;
    return overflows;
}

/* A buffer of n numbers if it is needed; clears *ok when there is no memory for it. */
static float *buffer(bool needed, int64_t n, bool *ok)
{
    float *b = needed ? ace_malloc_array((size_t)n, sizeof *b) : NULL;
    *ok = *ok && (!needed || b != NULL);
    return b;
}

static ace_status allocate(run *r)
{
    const ace_sampling *s = r->s;
    bool heun = s->method == ACE_METHOD_HEUN;
    bool ok = true;
    r->v = buffer(true, r->batch_size, &ok);
    r->v_null = buffer(r->guided, r->batch_size, &ok);
    r->predicted = buffer(heun, r->batch_size, &ok);
    r->v_predicted = buffer(heun, r->batch_size, &ok);
    r->v_previous = buffer(s->velocity_ema_factor > 0.0, r->batch_size, &ok);
    r->estimate = buffer(s->dcw.mode != ACE_DCW_OFF, r->item_size, &ok);
    r->fresh = buffer(s->method == ACE_METHOD_SDE, r->item_size, &ok);
    if (!ok) {
        return ace_fail(r->err, ACESTEP_MEMORY, "sampling: no memory for %lld items of %lld frames",
                        (long long)r->io->items, (long long)r->io->frames);
    }
    if (r->guided && s->guidance == ACE_GUIDANCE_APG) {
        return ace_apg_create(r->io->items, r->io->frames, r->io->channels, &r->apg, r->err);
    }
    return ACESTEP_OK;
}

static void release(run *r)
{
    ace_free(r->v);
    ace_free(r->v_null);
    ace_free(r->predicted);
    ace_free(r->v_predicted);
    ace_free(r->v_previous);
    ace_free(r->estimate);
    ace_free(r->fresh);
    ace_apg_free(&r->apg);
}

/* x at the first level: noise, or the source noised up to it. */
static void start(run *r)
{
    const ace_solver_io *io = r->io;
    if (!(r->s->cover_noise_strength > 0.0)) {
        memmove(r->x, io->noise, (size_t)r->batch_size * sizeof(float));
        return;
    }
    float t = r->schedule.t[0];
    for (int64_t i = 0; i < r->batch_size; i++) {
        r->x[i] = t * io->noise[i] + (1.0f - t) * io->source[i];
    }
}

/* ---- velocities ------------------------------------------------------------------------------ */

static bool in_interval(const run *r, float t)
{
    return r->guided && t >= (float)r->s->cfg_interval_start && t <= (float)r->s->cfg_interval_end;
}

static ace_status check_finite(const run *r, const float *v, int step)
{
    for (int64_t i = 0; i < r->batch_size; i++) {
        if (!isfinite(v[i])) {
            return ace_fail(r->err, ACESTEP_FAILED,
                            "sampling: step %d of %d gave numbers that are not finite for item "
                            "%lld; try another precision or device",
                            step + 1, r->schedule.steps, (long long)(i / r->item_size) + 1);
        }
    }
    return ACESTEP_OK;
}

/* The network at e->x and e->t, into v and r->v_null. */
static ace_status evaluate(run *r, ace_evaluation e, float *v)
{
    const ace_solver_io *io = r->io;
    bool both = in_interval(r, e.t) || (r->guided && r->s->always_evaluate_null);
    int condition = e.step >= r->cover_steps ? 1 : 0;
    e.v_cond = v;
    e.v_null = both ? r->v_null : NULL;
    ace_status status =
        io->velocity(io->context, e.x, e.t, condition, both, v, both ? r->v_null : NULL);
    if (status != ACESTEP_OK) {
        return ace_fail(r->err, status, "sampling: stopped in step %d of %d", e.step + 1,
                        r->schedule.steps);
    }
    if (io->noise == NULL) {
        return ACESTEP_OK;
    }
    if (io->trace != NULL) {
        io->trace(io->context, &e);
    }
    status = check_finite(r, v, e.step);
    if (status == ACESTEP_OK && both) {
        status = check_finite(r, r->v_null, e.step);
    }
    return status;
}

/* From the network's velocity at x, t to the one to follow, per item. The corrector of a Heun step
 * takes plain guidance instead of APG, whose memory belongs to the main steps, and instead of ADG
 * at t = 0, where there is no angle to measure. mix: velocity for the smoothing, or NULL. */
static void refine(run *r, bool corrector, float t, const float *x, const float *mix, float *v)
{
    const ace_sampling *s = r->s;
    ace_guidance guidance = s->guidance;
    if (corrector && (guidance == ACE_GUIDANCE_APG || t <= 0.0f)) {
        guidance = ACE_GUIDANCE_CFG;
    }
    for (int64_t item = 0; item < r->io->items; item++) {
        int64_t at = item * r->item_size;
        if (in_interval(r, t) && guidance == ACE_GUIDANCE_APG) {
            ace_apg_guide(&r->apg, item, s->guidance_scale, r->v_null + at, v + at);
        } else if (in_interval(r, t) && guidance == ACE_GUIDANCE_ADG) {
            ace_adg_guide(r->io->frames, r->io->channels, s->guidance_scale, t, x + at,
                          r->v_null + at, v + at);
        } else if (in_interval(r, t)) {
            ace_cfg_guide(r->item_size, s->guidance_scale, r->v_null + at, v + at);
        }
        if (s->velocity_norm_threshold > 0.0) {
            ace_velocity_clamp(r->item_size, s->velocity_norm_threshold, x + at, v + at);
        }
        if (mix != NULL) {
            ace_velocity_smooth(r->item_size, s->velocity_ema_factor, mix + at, v + at);
        }
    }
}

/* to ← from − dt·v */
static void move(int64_t n, float dt, const float *from, const float *v, float *to)
{
    for (int64_t i = 0; i < n; i++) {
        to[i] = from[i] - v[i] * dt;
    }
}

/* Heun: looks at the velocity where the Euler step would end; leaves the mean of both in
 * r->v_predicted. */
static ace_status look_ahead(run *r, int step)
{
    float t = r->schedule.t[step];
    float next = r->schedule.t[step + 1];
    bool dry = r->io->noise == NULL;
    if (!dry) {
        move(r->batch_size, t - next, r->x, r->v, r->predicted);
    }
    ace_evaluation e = {.step = step, .corrector = true, .t = next, .x = r->predicted};
    ace_status status = evaluate(r, e, r->v_predicted);
    if (status != ACESTEP_OK || dry) {
        return status;
    }
    const float *mix = r->v_previous != NULL ? r->v : NULL;
    refine(r, true, next, r->predicted, mix, r->v_predicted);
    for (int64_t i = 0; i < r->batch_size; i++) {
        r->v_predicted[i] = 0.5f * (r->v[i] + r->v_predicted[i]);
    }
    return ACESTEP_OK;
}

/* ---- steps ----------------------------------------------------------------------------------- */

/* The level a step arrives at. The original's stochastic base sampler goes by the unshifted grid,
 * whatever the shift or the custom time steps. */
static float level_after(const run *r, int step)
{
    if (r->s->method == ACE_METHOD_SDE && !r->s->turbo) {
        return (float)(1.0 - (double)(step + 1) / (double)r->schedule.steps);
    }
    return r->schedule.t[step + 1];
}

/* x ← level·ε + (1 − level)·(x − t·v) */
static ace_status renoise(run *r, int step, int64_t item, const float *v, float *x)
{
    float level = level_after(r, step);
    move(r->item_size, r->schedule.t[step], x, v, x);
    if (level <= 0.0f) {
        return ACESTEP_OK;
    }
    ace_status status = r->io->step_noise(r->io->context, item, step, r->fresh);
    if (status != ACESTEP_OK) {
        return ace_fail(r->err, status, "sampling: no noise for step %d", step + 1);
    }
    for (int64_t i = 0; i < r->item_size; i++) {
        x[i] = level * r->fresh[i] + (1.0f - level) * x[i];
    }
    return ACESTEP_OK;
}

/* One item from schedule level `step` to the next. v is what the step follows; r->v what the data
 * estimate of the wavelet correction is taken from, before Heun's mean. direct: the last step of a
 * distilled model, which ends at the data estimate and takes no correction. */
static ace_status advance(run *r, int step, int64_t item, bool direct, const float *v)
{
    const ace_solver_io *io = r->io;
    int64_t at = item * r->item_size;
    float t = r->schedule.t[step];
    float *x = r->x + at;
    bool correct = r->estimate != NULL && !direct;
    ace_status status = ACESTEP_OK;
    if (correct) {
        move(r->item_size, t, x, r->v + at, r->estimate);
    }
    if (r->s->method == ACE_METHOD_SDE) {
        status = renoise(r, step, item, v + at, x);
    } else {
        move(r->item_size, t - r->schedule.t[step + 1], x, v + at, x);
    }
    if (status != ACESTEP_OK) {
        return status;
    }
    if (correct) {
        ace_dcw_apply(&r->s->dcw, t, io->frames, io->channels, r->estimate, x);
    }
    if (io->region != NULL && step < r->injected_steps && !direct) {
        ace_repaint_inject(io->frames, io->channels, level_after(r, step), io->noise + at,
                           io->source + at, io->region + item * io->frames, x);
    }
    return ACESTEP_OK;
}

static ace_status take_step(run *r, int step)
{
    bool direct = r->s->turbo && step == r->schedule.steps - 1;
    bool heun = r->s->method == ACE_METHOD_HEUN && !direct;
    bool dry = r->io->noise == NULL;
    ace_evaluation e = {.step = step, .t = r->schedule.t[step], .x = r->x};
    ace_status status = evaluate(r, e, r->v);
    if (status == ACESTEP_OK && !dry) {
        refine(r, false, e.t, r->x, step > 0 ? r->v_previous : NULL, r->v);
    }
    if (status == ACESTEP_OK && heun) {
        status = look_ahead(r, step);
    }
    if (dry) {
        return status;
    }
    const float *v = heun ? r->v_predicted : r->v;
    for (int64_t item = 0; item < r->io->items && status == ACESTEP_OK; item++) {
        status = advance(r, step, item, direct, v);
    }
    if (status == ACESTEP_OK && r->v_previous != NULL) {
        memcpy(r->v_previous, v, (size_t)r->batch_size * sizeof *v);
    }
    return status;
}

static void blend(run *r)
{
    const ace_solver_io *io = r->io;
    for (int64_t item = 0; item < io->items; item++) {
        int64_t at = item * r->item_size;
        ace_repaint_blend(io->frames, io->channels, r->s->repaint_crossfade, io->source + at,
                          io->region + item * io->frames, r->x + at);
    }
}

static ace_status take_all_steps(run *r)
{
    ace_status status = ACESTEP_OK;
    for (int step = 0; step < r->schedule.steps && status == ACESTEP_OK; step++) {
        status = take_step(r, step);
    }
    return status;
}

ace_status ace_solver_run(const ace_sampling *s, const ace_solver_io *io, ace_error *err)
{
    run r = {.s = s, .io = io, .err = err, .guided = !s->turbo && s->guidance_scale > 1.0};
    ace_status status = check_inputs(s, io, err);
    if (status == ACESTEP_OK) {
        status = ace_solver_schedule(s, &r.schedule, &r.cover_steps, err);
    }
    if (status != ACESTEP_OK) {
        return status;
    }
    r.injected_steps = ace_repaint_injected_steps(r.schedule.steps, s->repaint_injection);
    if (io->noise == NULL) {
        return take_all_steps(&r);
    }
    if (sizes_overflow(&r)) {
        return ace_fail(err, ACESTEP_ARGUMENT, "sampling: the latents are too large");
    }
    r.x = io->latents;
    status = allocate(&r);
    if (status == ACESTEP_OK) {
        start(&r);
        status = take_all_steps(&r);
    }
    if (status == ACESTEP_OK && io->region != NULL && s->repaint_crossfade > 0) {
        blend(&r);
    }
    release(&r);
    return status;
}
