#include "run/job.h"

#include "base/clock.h"
#include "base/memory.h"
#include "device/sim_device.h"
#include "run/repaint.h"

#include <stdlib.h>
#include <string.h>

/* ---- settings
 * ---------------------------------------------------------------------------------------------- */

/* "0.9, 0.5, 0.1" → owned array. */
static ace_status read_timesteps(const char *text, double **out, int *n, ace_error *err)
{
    *out = ace_calloc(ACE_MAX_STEPS + 1, sizeof **out);
    *n = 0;
    if (*out == NULL) {
        return ace_fail(err, ACESTEP_MEMORY, "timesteps: no host memory");
    }
    while (*text != '\0') {
        char *end = NULL;
        double value = strtod(text, &end);
        end += strspn(end, " ");
        if (end == text || (*end != ',' && *end != '\0')) {
            return ace_fail(err, ACESTEP_ARGUMENT, "timesteps: \"%.40s\" is no number", text);
        }
        if (*n > ACE_MAX_STEPS) {
            return ace_fail(err, ACESTEP_ARGUMENT, "timesteps: more than %d", ACE_MAX_STEPS);
        }
        (*out)[(*n)++] = value;
        text = *end == ',' ? end + 1 : end;
    }
    return ACESTEP_OK;
}

static ace_status read_sampling(const ace_request *r, const ace_models *m, ace_sampling *s,
                                ace_warnings *warnings, ace_error *err)
{
    enum { ODE, SDE };
    ace_sampling_defaults(m->dit_config.turbo, s);
    s->method = r->infer_method == SDE ? ACE_METHOD_SDE
                : r->sampler_mode == 1 ? ACE_METHOD_HEUN
                                       : ACE_METHOD_EULER;
    s->steps = r->inference_steps > 0 ? (int)r->inference_steps : s->steps;
    s->shift = r->shift > 0 ? r->shift : s->shift;
    if (m->dit_config.turbo && r->guidance_scale > 1) {
        ace_warn(warnings, "", "guidance_scale", "guidance", "none",
                 "%s is a turbo model: guidance is distilled into it", m->name);
    } else if (r->guidance_scale > 0) {
        s->guidance_scale = r->guidance_scale;
    }
    s->guidance = r->use_adg ? ACE_GUIDANCE_ADG : ACE_GUIDANCE_APG;
    s->cfg_interval_start = r->cfg_interval_start;
    s->cfg_interval_end = r->cfg_interval_end;
    s->cover_strength = r->audio_cover_strength;
    s->cover_noise_strength = r->cover_noise_strength;
    s->velocity_norm_threshold = r->velocity_norm_threshold;
    s->velocity_ema_factor = r->velocity_ema_factor;
    if (r->dcw_enabled) {
        s->dcw = (ace_dcw){(ace_dcw_mode)(r->dcw_mode + 1), r->dcw_scaler, r->dcw_high_scaler};
    }
    ace_repaint_choice repaint = ace_repaint_choose(r);
    s->repaint_injection = repaint.injection;
    s->repaint_crossfade = repaint.latent_crossfade;
    if (r->timesteps[0] != '\0') {
        double *timesteps = NULL;
        ace_status status = read_timesteps(r->timesteps, &timesteps, &s->n_timesteps, err);
        s->timesteps = timesteps;
        if (status != ACESTEP_OK) {
            return status;
        }
    }
    return ace_sampling_check(s, err);
}

static ace_status read_settings(const ace_request *r, const ace_models *m, ace_job_settings *out,
                                ace_warnings *warnings, ace_error *err)
{
    out->latent_shift = r->latent_shift;
    out->latent_rescale = r->latent_rescale;
    out->mask_value = r->chunk_mask_mode == 1 ? 2.0f : 1.0f;
    out->noise_grid = (uint64_t)r->noise_grid;
    out->vae_sample = r->vae_sample;
    out->lm_cfg_scale = r->lm_cfg_scale;
    return read_sampling(r, m, &out->sampling, warnings, err);
}

/* ---- jobs
 * --------------------------------------------------------------------------------------------------
 */

static bool same_sampling(const ace_sampling *a, const ace_sampling *b)
{
    return a->method == b->method && a->steps == b->steps && a->shift == b->shift &&
           a->n_timesteps == b->n_timesteps && a->guidance_scale == b->guidance_scale &&
           a->guidance == b->guidance && a->cfg_interval_start == b->cfg_interval_start &&
           a->cfg_interval_end == b->cfg_interval_end && a->cover_strength == b->cover_strength &&
           a->cover_noise_strength == b->cover_noise_strength &&
           a->velocity_norm_threshold == b->velocity_norm_threshold &&
           a->velocity_ema_factor == b->velocity_ema_factor && a->dcw.mode == b->dcw.mode &&
           a->dcw.scaler == b->dcw.scaler && a->dcw.high_scaler == b->dcw.high_scaler &&
           a->repaint_injection == b->repaint_injection &&
           a->repaint_crossfade == b->repaint_crossfade &&
           (a->n_timesteps == 0 ||
            memcmp(a->timesteps, b->timesteps, (size_t)a->n_timesteps * sizeof *a->timesteps) == 0);
}

static void free_settings(ace_job_settings *s)
{
    ace_free((void *)(uintptr_t)s->sampling.timesteps);
    s->sampling.timesteps = NULL;
}

static ace_status add_request(const ace_workshop *w, const ace_request *r, ace_warnings *warnings,
                              ace_job *job, ace_error *err)
{
    ace_job_settings settings = {0};
    ace_status status = read_settings(r, &w->models, &settings, warnings, err);
    if (status == ACESTEP_OK && job->n_briefs > 0) {
        if (strcmp(r->lora, job->request[0]->lora) != 0) {
            status = ace_fail(err, ACESTEP_ARGUMENT,
                              "request %d of the batch asks for other adapters than the first",
                              job->n_briefs + 1);
        } else if (!same_sampling(&settings.sampling, &job->settings.sampling)) {
            status =
                ace_fail(err, ACESTEP_ARGUMENT,
                         "request %d of the batch asks for other sampling options than the first",
                         job->n_briefs + 1);
        }
        free_settings(&settings);
    } else if (status == ACESTEP_OK) {
        job->settings = settings;
    } else {
        free_settings(&settings);
    }
    if (status == ACESTEP_OK) {
        status = ace_brief_create(r, &w->models, &job->memory, warnings, &job->brief[job->n_briefs],
                                  err);
    }
    job->request[job->n_briefs] = r;
    job->n_briefs += status == ACESTEP_OK;
    return status;
}

/* Another language model than the last job's: the old one leaves the device. */
static ace_status choose_lm(ace_workshop *w, const ace_settings *s, ace_error *err)
{
    if (!s->lm_runs) {
        return ACESTEP_OK;
    }
    if (w->models.lm != NULL && strcmp(w->models.lm_name, s->lm_model) != 0) {
        ace_residency_drop(&w->residency, ACE_PART_LM);
        ace_residency_drop(&w->host_residency, ACE_PART_LM);
    }
    return ace_models_choose_lm(&w->models, s->lm_model, err);
}

ace_status ace_job_create(ace_workshop *w, const ace_request *const *requests, int n,
                          ace_warnings *warnings, ace_job *out, ace_error *err)
{
    memset(out, 0, sizeof *out);
    out->models = &w->models;
    *warnings = w->warnings;
    ace_resolve_settings(&w->hardware, &w->tiers, &w->models.set.lms, requests[0], warnings,
                         &out->memory);
    int songs = 0;
    ace_status status = ace_models_check_rate(&w->models, err);
    if (status == ACESTEP_OK) {
        status = choose_lm(w, &out->memory, err);
    }
    if (status == ACESTEP_OK && out->memory.lm_runs && requests[0]->genres[0] != '\0') {
        status = ace_lm_genres_open(requests[0]->genres, &out->genres, err);
    }
    if (status == ACESTEP_OK) {
        status =
            ace_job_adapters_open(requests[0]->lora, &w->models.dit_config, &out->adapters, err);
    }
    for (int i = 0; i < n && status == ACESTEP_OK; i++) {
        status = add_request(w, requests[i], warnings, out, err);
        songs += status == ACESTEP_OK ? out->brief[i].n_songs : 0;
    }
    if (status == ACESTEP_OK && songs > ACE_MAX_SONGS) {
        status = ace_fail(err, ACESTEP_ARGUMENT, "batch_size: %d songs are more than %d", songs,
                          ACE_MAX_SONGS);
    }
    if (status != ACESTEP_OK) {
        ace_job_free(out);
    }
    return status;
}

/* The request as this goal reads it. */
static void read_as(const ace_request *request, ace_goal goal, ace_request *out)
{
    *out = *request;
    bool hears = goal != ACE_GOAL_WORDS && goal != ACE_GOAL_LYRIC_TIMES;
    out->task_type = hears ? (int)ACE_TASK_COVER : (int)ACE_TASK_TEXT2MUSIC;
    out->use_cot_metas = ACE_SWITCH_OFF;
    out->thinking = ACE_SWITCH_OFF; /* no codes are written */
    out->auto_lrc = goal == ACE_GOAL_LYRIC_TIMES;
    out->best_of = goal == ACE_GOAL_SCORE ? 1 : out->best_of;
}

typedef ace_status create_brief(const ace_request *request, const ace_models *models,
                                const ace_settings *limits, ace_warnings *warnings, ace_brief *out,
                                ace_error *err);

static ace_status create_words_brief(const ace_request *request, const ace_models *models,
                                     const ace_settings *limits, ace_warnings *warnings,
                                     ace_brief *out, ace_error *err)
{
    (void)warnings;
    return ace_brief_words(request, models, limits, out, err);
}

static create_brief *const briefs[] = {
    [ACE_GOAL_SONGS] = ace_brief_create,
    [ACE_GOAL_WORDS] = create_words_brief,
    [ACE_GOAL_UNDERSTANDING] = ace_brief_understand,
    [ACE_GOAL_LATENTS] = ace_brief_encode,
    [ACE_GOAL_RECORDING] = ace_brief_decode,
    [ACE_GOAL_LYRIC_TIMES] = ace_brief_align,
    [ACE_GOAL_SCORE] = ace_brief_score,
};

/* It is needed, whatever the tier starts by itself. */
static ace_status require_lm(ace_workshop *w, ace_warnings *warnings, ace_job *out, ace_error *err)
{
    if (w->models.set.lms.count == 0) {
        return ace_fail(err, ACESTEP_UNSUPPORTED,
                        "this needs a language model, and %s has none beside it; it is a folder "
                        "such as acestep-5Hz-lm-0.6B",
                        w->models.name);
    }
    char none[1] = "";
    ace_request asking = *out->request[0];
    asking.task_type = (int)ACE_TASK_TEXT2MUSIC; /* the one that the model works for */
    asking.thinking = ACE_SWITCH_ON;
    asking.audio_codes = none; /* given codes are to be read, they do not replace it */
    ace_resolve_settings(&w->hardware, &w->tiers, &w->models.set.lms, &asking, warnings,
                         &out->memory);
    if (!out->memory.lm_runs) {
        const char *why = warnings->count > 0 ? warnings->item[warnings->count - 1].reason
                                              : "none is among the models";
        return ace_fail(err, ACESTEP_UNSUPPORTED, "this needs a language model: %s", why);
    }
    ace_status status = choose_lm(w, &out->memory, err);
    return status == ACESTEP_OK && asking.genres[0] != '\0'
               ? ace_lm_genres_open(asking.genres, &out->genres, err)
               : status;
}

/* Settings of the song, as the one that is looked at was made. */
static ace_status do_without_lm(ace_workshop *w, ace_warnings *warnings, ace_job *out,
                                ace_error *err)
{
    ace_request *r = &out->follows[0];
    r->init_llm = ACE_SWITCH_OFF;
    ace_resolve_settings(&w->hardware, &w->tiers, &w->models.set.lms, r, warnings, &out->memory);
    ace_status status = read_settings(r, &w->models, &out->settings, warnings, err);
    return status == ACESTEP_OK && out->goal == ACE_GOAL_LYRIC_TIMES
               ? ace_job_adapters_open(r->lora, &w->models.dit_config, &out->adapters, err)
               : status;
}

ace_status ace_job_create_for(ace_workshop *w, const ace_request *request, ace_goal goal,
                              ace_warnings *warnings, ace_job *out, ace_error *err)
{
    memset(out, 0, sizeof *out);
    out->models = &w->models;
    out->goal = goal;
    *warnings = w->warnings;
    read_as(request, goal, &out->follows[0]);
    out->request[0] = &out->follows[0];
    ace_status status = ace_models_check_rate(&w->models, err);
    if (status == ACESTEP_OK) {
        status = ace_goal_needs(goal, ACE_PART_LM) ? require_lm(w, warnings, out, err)
                                                   : do_without_lm(w, warnings, out, err);
    }
    if (status == ACESTEP_OK) {
        status =
            briefs[goal](out->request[0], &w->models, &out->memory, warnings, &out->brief[0], err);
    }
    out->n_briefs = status == ACESTEP_OK;
    if (status != ACESTEP_OK) {
        ace_job_free(out);
    }
    return status;
}

void ace_job_free(ace_job *job)
{
    for (int i = 0; i < job->n_briefs; i++) {
        ace_brief_free(&job->brief[i]);
        ace_lm_written_free(&job->written[i]);
    }
    ace_lm_genres_close(&job->genres);
    free_settings(&job->settings);
    ace_job_adapters_close(&job->adapters);
    memset(job, 0, sizeof *job);
}

ace_status ace_job_plan(const ace_workshop *w, const ace_request *request, ace_job *job,
                        ace_warnings *warnings, ace_stage_log *plan, ace_error *err)
{
    ace_status status = ace_plan_job(w, request, job, warnings, plan, err);
    if (status == ACESTEP_OK && job->adapters.n > 0 && job->plan.int8) {
        const char *name = request->lora_label[0] != '\0' ? request->lora_label : request->lora;
        ace_warn(warnings, "W18", "lora", name, name,
                 "applied beside the INT8 weights, not merged into them");
    }
    return status;
}

/* ---- running --------------------------------------------------------------------------------- */

/* What a second plan in the middle of a job needs. */
typedef struct job_run {
    ace_workshop *workshop;
    const ace_request *request;
    ace_job *job;
    const ace_request *asked[ACE_MAX_BRIEFS]; /* before the language model */
    ace_stage_log second;
} job_run;

/* Everything is dropped that the new plan does not keep; sizes are measured again, and so is what
 * is free. */
static ace_status replan(ace_runner *r)
{
    job_run *run = r->replan_context;
    ace_plan before = run->job->plan;
    ace_residency_settle(r->residency, &(ace_plan){.offload = ACE_OFFLOAD_CPU_DIT});
    ace_status status =
        ace_plan_job(run->workshop, run->request, run->job, r->warnings, &run->second, r->error);
    if (status == ACESTEP_OK && run->job->plan.host) { /* the CPU starts afresh: not from here */
        return ace_fail(r->error, ACESTEP_MEMORY,
                        "another program took the device's memory in the middle of the job");
    }
    if (status == ACESTEP_OK) {
        run->job->plan.songs = before.songs;
        r->expected = &run->second;
        ace_warn(r->warnings, "W24", "device", "the plan", "a new plan",
                 "memory that was planned is gone; the %s stage runs again with what is left",
                 r->residency->ledger.stage);
    }
    return status;
}

/* ---- after the language model
 * --------------------------------------------------------------------- */

/* gpu.md 5: what it chose is clamped like what a user asks for. */
static void clamp_choice(const ace_settings *limits, ace_request *follows, ace_warnings *warnings)
{
    double most = ace_settings_lm_duration_limit(limits);
    if (follows->duration > most) {
        char chosen[32];
        char used[32];
        (void)snprintf(chosen, sizeof chosen, "%g s", follows->duration);
        (void)snprintf(used, sizeof used, "%g s", most);
        ace_warn(warnings, "W15", "duration", chosen, used,
                 "chosen by the language model; the limit of %s with it", limits->tier.key);
        follows->duration = most;
    }
}

/* May come a second time, after the stage had to run again. */
static ace_status take_written(job_run *run, ace_lm_written *written, ace_warnings *warnings,
                               ace_error *err)
{
    ace_job *job = run->job;
    ace_status status = ACESTEP_OK;
    for (int b = 0; b < job->n_briefs && status == ACESTEP_OK; b++) {
        ace_brief *brief = &job->brief[b];
        ace_warnings unheard = {.count = 0}; /* said when the brief was made */
        if (brief->lm == NULL) {
            continue;
        }
        ace_lm_written_free(&job->written[b]);
        job->written[b] = written[b];
        memset(&written[b], 0, sizeof written[b]);
        ace_lm_follow(run->asked[b], brief->lm, &job->written[b], &job->follows[b]);
        clamp_choice(&job->memory, &job->follows[b], warnings);
        job->request[b] = &job->follows[b];
        status = ace_brief_follow(job->request[b], job->models, &job->memory, &job->written[b],
                                  &unheard, brief, err);
    }
    return status;
}

/* The stages that are over stand in the second plan as they stood in the first. */
static void keep_past(const ace_stage_log *first, int stages, ace_stage_log *second)
{
    for (int i = 0; i < stages && i < second->count; i++) {
        second->stage[i] = first->stage[i];
    }
    for (int i = 0; i < ACE_PARTS; i++) {
        bool kept = second->part_bytes[i] == 0;
        second->part_bytes[i] = kept ? first->part_bytes[i] : second->part_bytes[i];
    }
}

/* The songs are known now: length, texts, codes. The rest of the job gets a plan of its own, which
 * takes no more than the first, since that one held for the longest. */
static ace_status after_lm(ace_runner *r, ace_lm_written *written)
{
    job_run *run = r->replan_context;
    ace_job *job = run->job;
    ace_plan before = job->plan;
    ace_warnings unheard = {.count = 0};
    if (job->goal != ACE_GOAL_SONGS) {
        job->written[0] = written[0];
        memset(&written[0], 0, sizeof written[0]);
        return ACESTEP_OK;
    }
    ace_status status = take_written(run, written, r->warnings, r->error);
    if (status == ACESTEP_OK) {
        status = ace_plan_job(run->workshop, run->request, job, &unheard, &run->second, r->error);
    }
    if (status == ACESTEP_OK && job->plan.host != before.host) {
        return ace_fail(r->error, ACESTEP_MEMORY,
                        "another program took the device's memory in the middle of the job");
    }
    if (status == ACESTEP_OK) {
        job->plan.songs = before.songs;
        keep_past(r->expected, r->log.count, &run->second);
        r->expected = &run->second;
    }
    return status;
}

static size_t peak_seen(const ace_workshop *w, const ace_runner *r)
{
    if (r->device == w->device && ace_is_sim_device(w->device)) {
        return ace_sim_device_peak(w->device) + w->device->workspace_bytes;
    }
    return ace_stage_log_peak(&r->log);
}

/* ---- tracing --------------------------------------------------------------------------------- */

static void watch(const ace_workshop *w, ace_ledger *ledger, ace_job_trace *trace)
{
    w->cpu->watch = ace_trace_watch(trace);
    w->device->watch = ace_trace_watch(trace);
    if (w->card != NULL) { /* it waits for each operation, so that times mean something */
        w->card->watch = ace_trace_watch(trace);
    }
    ledger->timeline = trace;
}

/* Where it cannot be measured the shares of it are left out. */
static void measure_limits(const ace_workshop *w, bool memory, ace_roofline *out)
{
    ace_error unheard = {.code = ACESTEP_OK};
    bool measured = memory && ace_roofline_measure(w->cpu, w->card, out, &unheard) == ACESTEP_OK;
    if (!measured && w->card == NULL) {
        ace_roofline_measure_units(w->cpu, out);
    }
}

static ace_status trace_begin(const ace_workshop *w, const ace_request *request, ace_ledger *ledger,
                              ace_job_trace **out, double *aside, ace_error *err)
{
    ace_trace_options options = {
        .path = request->trace, .profile = request->profile, .timed = !w->shape};
    *out = NULL;
    if (w->trace != NULL) {
        *out = w->trace;
        watch(w, ledger, *out);
        return ACESTEP_OK;
    }
    if (request->trace[0] == '\0' && !request->profile) {
        return ACESTEP_OK;
    }
    if (w->shape && request->trace[0] != '\0') {
        return ace_fail(err, ACESTEP_ARGUMENT,
                        "trace: exec=shape computes nothing that could be timed; leave one of them "
                        "out");
    }
    double start = ace_clock_seconds();
    measure_limits(w, true, &options.limits);
    *aside += ace_clock_seconds() - start;
    ace_status status = ace_trace_open(&options, out, err);
    if (status == ACESTEP_OK) {
        watch(w, ledger, *out);
    }
    return status;
}

/* The song matters more than its trace. */
static void trace_end(const ace_workshop *w, ace_ledger *ledger, ace_job_trace *trace,
                      ace_job_report *report, ace_warnings *warnings)
{
    ace_error failure = {.code = ACESTEP_OK};
    if (trace == NULL) {
        return;
    }
    if (trace == w->trace) { /* goes on */
        ledger->timeline = NULL;
        return;
    }
    watch(w, ledger, NULL);
    ace_roofline after = {0};
    double start = ace_clock_seconds();
    measure_limits(w, false, &after);
    report->aside_seconds += ace_clock_seconds() - start;
    ace_trace_raise(trace, &after);
    if (ace_trace_close(trace, &report->operations, &failure) != ACESTEP_OK) {
        ace_warn(warnings, "", "trace", "a file", "none", "%s", failure.message);
    }
}

void ace_job_report_free(ace_job_report *report)
{
    ace_trace_summary_free(&report->operations);
}

ace_status ace_job_run(ace_workshop *w, const ace_request *request, ace_job *job,
                       ace_stage_log *plan, ace_job_progress *progress, void *context,
                       ace_warnings *warnings, ace_job_report *report, ace_finished *songs,
                       int *n_songs, ace_error *err)
{
    *n_songs = 0;
    ace_runner *r = ace_calloc(1, sizeof *r);
    job_run *run = ace_calloc(1, sizeof *run);
    if (r == NULL || run == NULL) {
        ace_free(r);
        ace_free(run);
        return ace_fail(err, ACESTEP_MEMORY, "job: no host memory");
    }
    ace_residency *residency = ace_residency_for(w, &job->plan);
    *run = (job_run){.workshop = w, .request = request, .job = job};
    memcpy(run->asked, job->request, sizeof run->asked);
    *r = (ace_runner){.device = residency->device,
                      .host = w->shape ? w->cpu_measure : w->cpu,
                      .host_measure = w->cpu_measure,
                      .residency = residency,
                      .plan = &job->plan,
                      .expected = plan,
                      .activation = w->precisions.activation,
                      .matrix = w->precisions.plain,
                      .keeps_steps = job->memory.compile_model,
                      .progress = progress,
                      .progress_context = context,
                      .warnings = warnings,
                      .replan = replan,
                      .replan_context = run,
                      .after_lm = after_lm,
                      .error = err};
    if (ace_is_sim_device(w->device)) {
        ace_sim_device_reset_peak(w->device);
    }
    ace_ledger *ledger = &residency->ledger;
    ledger->high_water = ledger->in_use;
    double aside = 0;
    ace_status status = trace_begin(w, request, ledger, &r->trace, &aside, err);
    ace_ledger_mark(ledger, "plan", ace_stage_log_peak(plan));
    if (status == ACESTEP_OK) {
        status = ace_pipeline_run(r, job, songs, n_songs);
    }
    ledger->stage = "idle";
    ace_ledger_mark(ledger, "end", 0);
    if (r->expected == &run->second) {
        *plan = run->second;
    }
    *report = (ace_job_report){.log = r->log,
                               .peak_bytes = peak_seen(w, r),
                               .vae_place = r->vae_place,
                               .vae_chunk = r->vae_chunk,
                               .replans = r->replans,
                               .aside_seconds = aside};
    trace_end(w, ledger, r->trace, report, warnings);
    ace_free(run);
    ace_free(r);
    return status;
}
