/* Noise to latents. Songs of one length run as one batch through the transformer; the loop itself
 * is on the host (sample/solver.h). */
#include "base/memory.h"
#include "run/context.h"
#include "run/diffusion_session.h"
#include "run/pipeline.h"
#include "sample/noise.h"

#include <string.h>

typedef struct diffusion_run {
    ace_runner *runner;
    const ace_job *job;
    const ace_conditions *conditions;
    const ace_heard *heard;
    const ace_hints *hints;
    ace_stage stage;
    ace_arena_mark empty; /* the arena before the first session */

    /* the batch at hand */
    ace_finished *song[ACE_MAX_SONGS];
    int n;
    int64_t frames, channels;
    ace_dit_session session;
    int begun; /* condition of the session, -1: none yet */
    int evaluations, expected;
} diffusion_run;

/* ---- a session per condition
 * ------------------------------------------------------------------------------ */

static const float *hints_of(const diffusion_run *run, int item)
{
    return ace_hints_of(&run->hints[run->song[item]->brief], run->song[item]->index);
}

/* Context of all items, [n, frames, 2·channels]; NULL while measuring. */
static float *write_contexts(const diffusion_run *run, bool plain)
{
    int64_t per_item = run->frames * 2 * run->channels;
    float *context = ace_malloc_array((size_t)(run->n * per_item), sizeof *context);
    for (int i = 0; context != NULL && i < run->n; i++) {
        int b = run->song[i]->brief;
        ace_context_write(run->job, &run->job->brief[b], &run->heard[b], hints_of(run, i), plain,
                          context + i * per_item);
    }
    return context;
}

/* Songs that share a condition share its keys and values. */
static void begin_session(diffusion_run *run, int condition)
{
    const float *states[ACE_MAX_SONGS];
    int64_t lengths[ACE_MAX_SONGS];
    int32_t of[ACE_MAX_SONGS];
    ace_stream *s = &run->stage.stream;
    bool computes = run->runner->device->computes;
    ace_dit_inputs in = {
        .batch = run->n,
        .frames = run->frames,
        .condition = states,
        .condition_length = lengths,
        .condition_of = of,
        .guided =
            !run->job->settings.sampling.turbo && run->job->settings.sampling.guidance_scale > 1,
    };
    for (int i = 0; i < run->n; i++) {
        const ace_array *c = ace_song_condition(run->conditions, run->song[i], condition == 1);
        int k = 0;
        while (k < in.n_conditions && states[k] != c->values) {
            k++;
        }
        if (k == in.n_conditions) {
            states[k] = c->values;
            lengths[k] = c->rows;
            in.n_conditions++;
        }
        of[i] = k;
    }
    float *context = computes ? write_contexts(run, condition == 1) : NULL;
    if (computes && context == NULL) {
        ace_stream_fail(s, ACESTEP_MEMORY, "diffusion: no host memory");
        return;
    }
    in.context = context;
    ace_reset(s, &run->empty);
    ace_diffusion_begin(&run->stage, run->job, &in, &run->session);
    ace_free(context);
    run->begun = condition;
}

/* ---- the solver's callbacks
 * -------------------------------------------------------------------------------- */

static ace_status velocity(void *context, const float *x, float t, int condition, bool guided,
                           float *v_cond, float *v_null)
{
    diffusion_run *run = context;
    float times[ACE_MAX_SONGS];
    for (int i = 0; i < run->n; i++) {
        times[i] = t;
    }
    if (run->begun != condition) {
        begin_session(run, condition);
    }
    if (ace_stream_status(&run->stage.stream) != ACESTEP_OK) {
        return ace_stream_status(&run->stage.stream); /* there may be no session */
    }
    ace_ledger_step(&run->runner->residency->ledger, run->evaluations);
    double evaluation = run->expected > 0 ? 1.0 / run->expected : 0;
    run->session.progress = run->evaluations * evaluation;
    run->session.progress_share = guided ? evaluation / 2 : evaluation;
    ace_dit_velocity(&run->session, x, times, times, false, v_cond);
    if (guided) {
        run->session.progress += evaluation / 2;
        run->session.same_x = true;
        ace_dit_velocity(&run->session, x, times, times, true, v_null);
    }
    run->evaluations++;
    ace_stream_progress(&run->stage.stream,
                        run->expected > 0 ? (double)run->evaluations / run->expected : 1);
    return run->stage.stream.status;
}

static ace_status step_noise(void *context, int64_t item, int step, float *out)
{
    const diffusion_run *run = context;
    ace_noise_stream(run->song[item]->seed, ACE_NOISE_SDE, (uint32_t)step, 0,
                     run->frames * run->channels, out);
    return ACESTEP_OK;
}

/* ---- one batch
 * --------------------------------------------------------------------------------------------- */

/* Host arrays of a batch, [n, frames, channels] and [n, frames]. */
typedef struct batch_arrays {
    float *noise, *source, *region;
    bool has_source, has_region;
} batch_arrays;

static void free_arrays(batch_arrays *a)
{
    ace_free(a->noise);
    ace_free(a->source);
    ace_free(a->region);
}

static bool keeps_outside(const ace_sampling *s)
{
    return s->repaint_injection > 0 || s->repaint_crossfade > 0;
}

static ace_status fill_arrays(const diffusion_run *run, batch_arrays *a)
{
    int64_t per_item = run->frames * run->channels;
    const ace_sampling *sampling = &run->job->settings.sampling;
    a->noise = ace_malloc_array((size_t)(run->n * per_item), sizeof *a->noise);
    a->source = ace_calloc((size_t)(run->n * per_item), sizeof *a->source);
    a->region = ace_malloc_array((size_t)(run->n * run->frames), sizeof *a->region);
    if (a->noise == NULL || a->source == NULL || a->region == NULL) {
        return ace_fail(run->runner->error, ACESTEP_MEMORY, "diffusion: no host memory");
    }
    for (int i = 0; i < run->n; i++) {
        int b = run->song[i]->brief;
        const ace_brief *brief = &run->job->brief[b];
        const float *source = ace_context_source(brief, &run->heard[b], hints_of(run, i));
        if (brief->given_noise != NULL) {
            memcpy(a->noise + i * per_item, brief->given_noise, (size_t)per_item * sizeof *source);
        } else {
            ace_noise_normal(run->song[i]->seed, 0, per_item, run->job->settings.noise_grid,
                             a->noise + i * per_item);
        }
        if (source != NULL) {
            memcpy(a->source + i * per_item, source, (size_t)per_item * sizeof *source);
            a->has_source = true;
        }
        for (int64_t t = 0; t < run->frames; t++) {
            a->region[i * run->frames + t] =
                t >= brief->region_start && t < brief->region_end ? 1.0f : 0.0f;
        }
        a->has_region = a->has_region || (brief->has_region && keeps_outside(sampling));
    }
    return ACESTEP_OK;
}

static ace_status keep_latents(const diffusion_run *run, const float *latents)
{
    int64_t per_item = run->frames * run->channels;
    for (int i = 0; i < run->n; i++) {
        ace_array *out = &run->song[i]->latents;
        ace_status status = ace_array_create(run->frames, run->channels, out, run->runner->error);
        if (status != ACESTEP_OK) {
            return status;
        }
        if (latents != NULL) {
            memcpy(out->values, latents + i * per_item, (size_t)per_item * sizeof *latents);
        }
    }
    return ACESTEP_OK;
}

static ace_status run_batch(diffusion_run *run)
{
    const ace_sampling *sampling = &run->job->settings.sampling;
    ace_error *err = run->runner->error;
    ace_solver_io io = {
        .items = run->n,
        .frames = run->frames,
        .channels = run->channels,
        .velocity = velocity,
        .step_noise = step_noise,
        .context = run,
    };
    batch_arrays a = {0};
    float *latents = NULL;
    ace_status status = ACESTEP_OK;
    run->begun = -1;
    if (run->runner->device->computes) {
        status = fill_arrays(run, &a);
        latents = ace_malloc_array((size_t)(run->n * run->frames * run->channels), sizeof *latents);
        if (status == ACESTEP_OK && latents == NULL) {
            status = ace_fail(err, ACESTEP_MEMORY, "diffusion: no host memory");
        }
        io.noise = a.noise;
        io.latents = latents;
        io.source = a.has_source ? a.source : NULL;
        io.region = a.has_region ? a.region : NULL;
    }
    if (status == ACESTEP_OK) {
        status = ace_solver_run(sampling, &io, err);
    }
    if (status == ACESTEP_OK) {
        status = keep_latents(run, latents);
    }
    ace_free(latents);
    free_arrays(&a);
    return status;
}

/* The next songs of one length that have not run yet, as many as the plan puts into one pass. */
static bool choose_batch(diffusion_run *run, ace_finished *songs, int n_songs)
{
    run->n = 0;
    for (int i = 0; i < n_songs; i++) {
        int64_t frames = run->job->brief[songs[i].brief].frames;
        if (songs[i].latents.rows == 0 && run->n < run->runner->plan->device_batch &&
            (run->n == 0 || frames == run->frames)) {
            run->frames = frames;
            run->song[run->n++] = &songs[i];
        }
    }
    return run->n > 0;
}

static ace_status count_evaluations(diffusion_run *run, const ace_finished *songs, int n_songs)
{
    ace_schedule *schedule = ace_calloc(1, sizeof *schedule);
    int cover_steps = 0;
    int passes = 0;
    if (schedule == NULL) {
        return ace_fail(run->runner->error, ACESTEP_MEMORY, "diffusion: no host memory");
    }
    for (int i = 0; i < n_songs; i++) { /* a pass starts with every device_batch-th of a length */
        int before = 0;
        for (int k = 0; k < i; k++) {
            before +=
                run->job->brief[songs[k].brief].frames == run->job->brief[songs[i].brief].frames;
        }
        passes += before % run->runner->plan->device_batch == 0;
    }
    ace_status status = ace_solver_schedule(&run->job->settings.sampling, schedule, &cover_steps,
                                            run->runner->error);
    int per_step = run->job->settings.sampling.method == ACE_METHOD_HEUN ? 2 : 1;
    run->expected = schedule->steps * per_step * passes;
    ace_free(schedule);
    return status;
}

ace_status ace_run_diffusion(ace_runner *r, const ace_job *job, const ace_conditions *conditions,
                             const ace_heard *heard, const ace_hints *hints, ace_finished *songs,
                             int n_songs)
{
    diffusion_run *run = ace_calloc(1, sizeof *run);
    if (run == NULL) {
        return ace_fail(r->error, ACESTEP_MEMORY, "diffusion: no host memory");
    }
    run->runner = r;
    run->job = job;
    run->conditions = conditions;
    run->heard = heard;
    run->hints = hints;
    run->channels = job->models->dit_config.latent_channels;
    ace_status status = count_evaluations(run, songs, n_songs);
    if (status == ACESTEP_OK) {
        (void)ace_stage_begin_id(r, ACE_STAGE_DIFFUSION, &run->stage);
        status = ace_stage_open(&run->stage);
    }
    run->empty = status == ACESTEP_OK ? ace_mark(&run->stage.stream) : run->empty;
    while (status == ACESTEP_OK && choose_batch(run, songs, n_songs)) {
        status = run_batch(run);
    }
    ace_status end = run->stage.runner != NULL ? ace_stage_end(&run->stage) : ACESTEP_OK;
    ace_free(run);
    return status != ACESTEP_OK ? status : end;
}
