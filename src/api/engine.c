#include "api/api.h"
#include "api/calls.h"
#include "audio/describe.h"
#include "base/clock.h"
#include "base/file_map.h"
#include "base/log.h"
#include "base/memory.h"
#include "cpu/cpu_device.h"
#include "run/card_rates.h"
#include "run/probe.h"
#include "run/recovery.h"
#include "sample/solver.h"
#include "text/audio_codes.h"
#include "weights/demo_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REPORTED_KERNELS = 100 };

acestep_status acestep_engine_open(const acestep_request *request, acestep_engine **out,
                                   acestep_error *err)
{
    ace_error *inner = ace_inner_error(err);
    *out = NULL;
    ace_embedded_files_set(ace_demo_model_files());
    acestep_engine *e = ace_calloc(1, sizeof *e);
    if (e == NULL) {
        return ace_fail(inner, ACESTEP_MEMORY, "engine: no host memory");
    }
    double start = ace_clock_seconds();
    ace_status status = ace_workshop_open(request->options, &e->workshop, inner);
    e->opening_seconds = ace_clock_seconds() - start;
    if (status != ACESTEP_OK) {
        ace_free(e);
        return status;
    }
    *out = e;
    return ACESTEP_OK;
}

void acestep_engine_close(acestep_engine *engine)
{
    if (engine != NULL) {
        ace_workshop_close(&engine->workshop);
        ace_free(engine);
    }
}

acestep_status acestep_engine_reopen_device(acestep_engine *engine, const acestep_request *request,
                                            acestep_error *err)
{
    return ace_workshop_reopen(&engine->workshop, request->options, ace_inner_error(err));
}

const char *acestep_engine_note(const acestep_engine *engine)
{
    return engine->workshop.models.set.card.note;
}

static json_t *health_json(const ace_workshop *w)
{
    const ace_card_health *h = &w->health;
    return json_pack("{s:s, s:s?, s:s?, s:i, s:i}", "state", ace_card_health_state(w), "cause",
                     h->cause[0] != '\0' ? h->cause : NULL, "problem",
                     h->problem[0] != '\0' ? h->problem : NULL, "losses", h->losses, "reopened",
                     h->reopened);
}

char *acestep_engine_json(const acestep_engine *engine)
{
    const ace_workshop *w = &engine->workshop;
    const ace_models *m = &w->models;
    json_t *root = json_pack(
        "{s:s?, s:o, s:s, s:i, s:s, s:{s:s, s:s, s:s, s:s, s:s}, s:{s:s, s:s, s:f, s:f, s:b, s:b, "
        "s:b}}",
        "device", w->device != NULL ? w->device->name : NULL, "health", health_json(w), "cpu",
        ace_cpu_level_name(ace_cpu_device_level(w->cpu)), "threads", ace_cpu_device_threads(w->cpu),
        "precision", ace_dtype_name(w->precisions.plain), "models", "name", m->set.dit_name, "dit",
        m->set.dit, "vae", m->set.vae, "text_encoder", m->set.text_encoder, "lm", m->set.lm, "card",
        "name", m->name, "note", m->set.card.note, "min_duration", m->set.card.min_duration,
        "max_duration", m->set.card.max_duration, "lm", (int)m->set.card.lm, "audio_input",
        (int)m->set.card.audio_input, "turbo", (int)m->dit_config.turbo);
    char *text = root != NULL ? json_dumps(root, JSON_INDENT(2)) : NULL;
    json_decref(root);
    return text;
}

/* ---- planning
 * ---------------------------------------------------------------------------------------------- */

/* Products at the device's usual rate, weights packed and copied at one gigabyte a second; on a
 * card what the bench has measured there, 0 where it has not. */
static double expect_seconds(const ace_workshop *w, const ace_job *job, const ace_stage_log *log)
{
    if (w->card != NULL) {
        return ace_card_rates_seconds(w->cache.base, w, job, log);
    }
    static const double bytes_per_second = 1e9;
    double flops = 0;
    for (int i = 0; i < log->count; i++) {
        flops += log->stage[i].counters.flops;
    }
    return flops / ace_cpu_device_flops(w->cpu, w->precisions.plain) +
           ace_stage_log_uploaded(log) / bytes_per_second;
}

/* 0 where there is no diffusion, or where a schedule cannot be made: the run will say so. */
static int count_steps(const ace_job *job)
{
    ace_schedule *schedule = ace_calloc(1, sizeof *schedule);
    int cover_steps = 0;
    int steps = 0;
    if (schedule != NULL && job->goal == ACE_GOAL_SONGS &&
        ace_solver_schedule(&job->settings.sampling, schedule, &cover_steps, NULL) == ACESTEP_OK) {
        steps = schedule->steps;
    }
    ace_free(schedule);
    return steps;
}

ace_status ace_plan_for(const ace_workshop *w, const ace_request *request, ace_job *job,
                        acestep_plan *plan, ace_error *err)
{
    (void)snprintf(plan->model, sizeof plan->model, "%s", w->models.name);
    ace_status status = ace_job_plan(w, request, job, &plan->warnings, &plan->stages, err);
    plan->settings = job->memory;
    plan->layers = (int)w->models.dit_config.layers;
    plan->expected_seconds = expect_seconds(w, job, &plan->stages);
    plan->choice = job->plan;
    plan->on_card = w->card != NULL;
    plan->steps = count_steps(job);
    (void)snprintf(plan->device, sizeof plan->device, "%s", w->hardware.device_name);
    plan->cap_bytes = w->hardware.device == ACE_DEVICE_CPU ? 0 : (size_t)w->hardware.cap_bytes;
    for (int b = 0; b < job->n_briefs; b++) {
        int n = job->brief[b].n_songs;
        n = plan->songs + n > job->plan.songs ? job->plan.songs - plan->songs : n;
        plan->songs += n;
        plan->seconds += n * (double)job->brief[b].frames / (double)ACE_LATENT_RATE;
    }
    return status;
}

static ace_status plan(ace_workshop *w, const ace_request *request, acestep_call call, ace_job *job,
                       acestep_plan *out, ace_error *err)
{
    ace_goal goal = ace_call_goal(call);
    ace_status status = ace_call_check(call, request, err);
    if (status == ACESTEP_OK) {
        status = ace_workshop_recover(w, request, err);
    }
    if (status == ACESTEP_OK) {
        status = goal == ACE_GOAL_SONGS
                     ? ace_job_create(w, &request, 1, &out->warnings, job, err)
                     : ace_job_create_for(w, request, goal, &out->warnings, job, err);
    }
    return status == ACESTEP_OK ? ace_plan_for(w, request, job, out, err) : status;
}

acestep_status acestep_plan_call(acestep_engine *engine, const acestep_request *request,
                                 acestep_call call, acestep_plan **out, acestep_error *err)
{
    ace_error *inner = ace_inner_error(err);
    acestep_plan *made = ace_calloc(1, sizeof *made);
    ace_job *job = ace_calloc(1, sizeof *job);
    *out = NULL;
    ace_status status = made != NULL && job != NULL
                            ? plan(&engine->workshop, request->options, call, job, made, inner)
                            : ace_fail(inner, ACESTEP_MEMORY, "plan: no host memory");
    if (job != NULL) {
        ace_job_free(job);
    }
    ace_free(job);
    if (status != ACESTEP_OK) {
        ace_free(made);
        return status;
    }
    *out = made;
    return ACESTEP_OK;
}

acestep_status acestep_plan_create(acestep_engine *engine, const acestep_request *request,
                                   acestep_plan **out, acestep_error *err)
{
    return acestep_plan_call(engine, request, ACESTEP_CALL_GENERATE, out, err);
}

void acestep_plan_free(acestep_plan *plan)
{
    ace_free(plan);
}

uint64_t acestep_plan_peak_bytes(const acestep_plan *plan)
{
    return ace_stage_log_peak(&plan->stages);
}

char *acestep_plan_text(const acestep_plan *plan)
{
    return ace_plan_table(plan);
}

char *acestep_plan_json(const acestep_plan *plan)
{
    json_t *root = ace_plan_choice_json(plan);
    json_t *stages = ace_stage_log_json(&plan->stages, ace_stage_log_peak(&plan->stages));
    json_object_update(root, stages);
    json_decref(stages);
    json_object_set_new(root, "model", json_string(plan->model));
    json_object_set_new(root, "songs", json_integer(plan->songs));
    json_object_set_new(root, "audio_seconds", json_real(plan->seconds));
    json_object_set_new(root, "warnings", ace_warnings_json(&plan->warnings));
    char *text = json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(12));
    json_decref(root);
    return text;
}

/* ---- songs
 * --------------------------------------------------------------------------------------------------
 */

static ace_status write_songs(const ace_workshop *w, const ace_output *output,
                              acestep_result *result, ace_error *err)
{
    for (int i = 0; i < result->n_songs; i++) {
        ace_finished *song = &result->song[i];
        const ace_request *request = result->job.request[song->brief];
        const ace_brief *brief = &result->job.brief[song->brief];
        ace_status status = ace_output_level(request, &song->audio, err);
        if (status != ACESTEP_OK) {
            return status;
        }
        char *sidecar = ace_sidecar_json(request, w, brief, song, result);
        status = sidecar != NULL ? ace_output_write(request, output, i, song, brief,
                                                    w->models.set.dit_name, sidecar, err)
                                 : ace_fail(err, ACESTEP_MEMORY, "sidecar: no host memory");
        free(sidecar);
        result->path[i] = status == ACESTEP_OK ? ace_strdup(output->path[i]) : NULL;
        if (status == ACESTEP_OK && result->path[i] == NULL) {
            status = ace_fail(err, ACESTEP_MEMORY, "result: no host memory");
        }
        if (status != ACESTEP_OK) {
            return status;
        }
    }
    return ACESTEP_OK;
}

static ace_status prepare_output(const ace_request *request, const ace_job *job, ace_output *output,
                                 ace_error *err)
{
    uint64_t seeds[ACE_MAX_SONGS];
    int n = 0;
    for (int b = 0; b < job->n_briefs; b++) {
        for (int i = 0; i < job->brief[b].n_songs && n < ACE_MAX_SONGS; i++) {
            seeds[n++] = job->brief[b].seed[i];
        }
    }
    return ace_output_prepare(request, seeds, n, output, err);
}

/* A trace that a song or its sidecar would replace is refused before anything is computed. */
static ace_status check_trace_name(const ace_request *request, const ace_output *output,
                                   ace_error *err)
{
    for (int i = 0; i < ACE_MAX_SONGS && output->path[i][0] != '\0'; i++) {
        char sidecar[ACE_OUTPUT_PATH_BYTES];
        ace_output_beside(output->path[i], "json", sidecar, sizeof sidecar);
        if (strcmp(request->trace, output->path[i]) == 0 ||
            (request->sidecar && strcmp(request->trace, sidecar) == 0)) {
            return ace_fail(err, ACESTEP_ARGUMENT,
                            "trace: %s is a file of the song itself; give the trace another name",
                            request->trace);
        }
    }
    return ACESTEP_OK;
}

static ace_status generate(ace_workshop *w, const ace_request *const *requests, int n,
                           acestep_progress *progress, void *context, ace_output *output,
                           acestep_result *result, ace_error *err)
{
    double start = ace_clock_seconds();
    bool computes = requests[0]->exec == 0;
    ace_status status = ace_workshop_recover(w, requests[0], err);
    if (status == ACESTEP_OK) {
        status = ace_job_create(w, requests, n, &result->plan.warnings, &result->job, err);
    }
    if (status == ACESTEP_OK && computes) {
        status = prepare_output(requests[0], &result->job, output, err);
    }
    if (status == ACESTEP_OK) {
        status = check_trace_name(requests[0], output, err);
    }
    if (status == ACESTEP_OK) {
        status = ace_plan_for(w, requests[0], &result->job, &result->plan, err);
    }
    result->planning_seconds = ace_clock_seconds() - start;
    if (status == ACESTEP_OK) {
        status = ace_job_run(w, requests[0], &result->job, &result->plan.stages, progress, context,
                             &result->plan.warnings, &result->found, result->song, &result->n_songs,
                             err);
        ace_workshop_look(w);
    }
    double written = ace_clock_seconds();
    if (status == ACESTEP_OK && computes) {
        status = write_songs(w, output, result, err);
    }
    result->writing_seconds = ace_clock_seconds() - written;
    result->wall_seconds = ace_clock_seconds() - start - result->found.aside_seconds;
    return status;
}

/* keeps: a cancelled run leaves what was measured of it, without songs. */
static ace_status generate_result(acestep_engine *engine, const ace_request *const *requests, int n,
                                  bool keeps, acestep_progress *progress, void *context,
                                  acestep_result **out, ace_error *err)
{
    acestep_result *result = ace_calloc(1, sizeof *result);
    ace_output *output = ace_calloc(1, sizeof *output);
    ace_status status = ACESTEP_OK;
    *out = NULL;
    if (result == NULL || output == NULL) {
        status = ace_fail(err, ACESTEP_MEMORY, "result: no host memory");
    } else {
        status = generate(&engine->workshop, requests, n, progress, context, output, result, err);
        result->opening_seconds = engine->opening_seconds;
        engine->opening_seconds = 0;
    }
    ace_free(output);
    if (status == ACESTEP_CANCELLED && keeps && result->found.log.count > 0) {
        result->n_songs = 0;
        *out = result;
    } else if (status == ACESTEP_OK) {
        *out = result;
    } else {
        acestep_result_free(result);
    }
    return status;
}

acestep_status acestep_generate_batch(acestep_engine *engine,
                                      const acestep_request *const *requests, int n,
                                      acestep_progress *progress, void *context,
                                      acestep_result **out, acestep_error *err)
{
    ace_error *inner = ace_inner_error(err);
    const ace_request *options[ACE_MAX_BRIEFS];
    *out = NULL;
    if (n < 1 || n > ACE_MAX_BRIEFS) {
        return ace_fail(inner, ACESTEP_ARGUMENT, "a batch holds 1 to %d requests", ACE_MAX_BRIEFS);
    }
    for (int i = 0; i < n; i++) {
        options[i] = requests[i]->options;
    }
    return generate_result(engine, options, n, false, progress, context, out, inner);
}

acestep_status acestep_generate(acestep_engine *engine, const acestep_request *request,
                                acestep_progress *progress, void *context, acestep_result **out,
                                acestep_error *err)
{
    return acestep_generate_batch(engine, &request, 1, progress, context, out, err);
}

acestep_status acestep_measure(acestep_engine *engine, const acestep_request *request,
                               acestep_progress *progress, void *context, acestep_result **out,
                               acestep_error *err)
{
    const ace_request *options = request->options;
    return generate_result(engine, &options, 1, true, progress, context, out, ace_inner_error(err));
}

void acestep_result_free(acestep_result *result)
{
    if (result == NULL) {
        return;
    }
    for (int i = 0; i < ACE_MAX_SONGS; i++) {
        ace_finished_free(&result->song[i]);
        ace_free(result->path[i]);
    }
    ace_free(result->beside);
    ace_job_free(&result->job);
    ace_job_report_free(&result->found);
    ace_free(result);
}

int acestep_result_songs(const acestep_result *result)
{
    return result->n_songs;
}

acestep_song acestep_result_song(const acestep_result *result, int index)
{
    acestep_song song = {0};
    if (index >= 0 && index < result->n_songs) {
        const ace_finished *f = &result->song[index];
        song.samples = f->audio.samples;
        song.frames = f->audio.frames;
        song.sample_rate = f->audio.rate;
        song.seed = f->seed;
        song.path = result->path[index];
    }
    return song;
}

char *acestep_result_text(const acestep_result *result)
{
    char *stages = ace_result_table(result);
    char *operations = ace_operations_table(&result->found.operations);
    if (stages == NULL || operations == NULL) {
        free(operations);
        return stages;
    }
    size_t room = strlen(stages) + strlen(operations) + 1;
    char *text = malloc(room); /* acestep_free's kind of memory */
    if (text != NULL) {
        (void)snprintf(text, room, "%s%s", stages, operations);
    }
    free(stages);
    free(operations);
    return text;
}

static void put_file(json_t *output, const char *path, const char *extension, bool there)
{
    char file[ACE_OUTPUT_PATH_BYTES];
    if (path != NULL && there) {
        ace_output_beside(path, extension, file, sizeof file);
        json_object_set_new(output, extension, json_string(file));
    }
}

/* Beside the audio, or what there is in its place. */
static void put_files(json_t *output, const acestep_result *result, int i)
{
    const ace_finished *finished = &result->song[i];
    const ace_request *request = result->job.request[finished->brief];
    bool encoded = result->job.goal == ACE_GOAL_LATENTS;
    const char *path = result->path[i] != NULL ? result->path[i] : result->beside;
    put_file(output, path, "latents", request->save_latents || encoded);
    put_file(output, result->beside, "lrc", finished->lyrics.lrc != NULL);
    put_file(output, result->beside, "vtt", finished->lyrics.vtt != NULL);
    if (finished->codes != NULL && path != NULL) { /* with exec shape nothing has been heard */
        char *codes = ace_codes_format(finished->codes, finished->n_codes);
        json_object_set_new(output, "codes", json_string(codes != NULL ? codes : ""));
        ace_free(codes);
    }
}

static json_t *output_json(const acestep_result *result, int i)
{
    acestep_song song = acestep_result_song(result, i);
    const ace_finished *finished = &result->song[i];
    int64_t frames = result->job.brief[finished->brief].frames;
    json_t *path = song.path != NULL ? json_string(song.path) : json_null();
    json_t *output =
        json_pack("{s:o, s:I, s:f, s:i}", "path", path, "seed", (json_int_t)song.seed, "seconds",
                  song.path != NULL ? (double)song.frames / song.sample_rate
                                    : (double)frames / (double)ACE_LATENT_RATE,
                  "sample_rate", 48000);
    if (song.path != NULL && finished->lyrics.lrc != NULL) {
        char lrc[ACE_OUTPUT_PATH_BYTES];
        ace_output_beside(song.path, "lrc", lrc, sizeof lrc);
        json_object_set_new(output, "lrc", json_string(lrc));
    }
    put_files(output, result, i);
    if (finished->lyrics.scored) {
        json_object_set_new(output, "lyric_score", ace_lyric_score_json(finished));
    }
    if (finished->lm_score.scored) {
        json_object_set_new(output, "lm_score", ace_lm_score_json(&finished->lm_score));
    }
    return output;
}

static json_t *outputs_json(const acestep_result *result)
{
    json_t *outputs = json_array();
    for (int i = 0; i < result->n_songs; i++) {
        json_array_append_new(outputs, output_json(result, i));
    }
    return outputs;
}

/* One entry to a request; null where the language model had no part in it. */
static json_t *lm_json(const acestep_result *result)
{
    json_t *list = json_array();
    for (int b = 0; b < result->job.n_briefs; b++) {
        const ace_lm_written *w = &result->job.written[b];
        json_t *entry = w->wrote ? ace_lm_report_json(result, b) : json_null();
        if (w->wrote) {
            json_object_set_new(entry, "phases", ace_lm_phases_json(w));
        }
        json_array_append_new(list, entry);
    }
    return list;
}

/* total: from the call on, so that opening is not part of it; loading is part of what the stages take. */
static json_t *timings_json(const acestep_result *result)
{
    double loading = 0;
    for (int i = 0; i < result->found.log.count; i++) {
        loading += result->found.log.stage[i].load_seconds;
    }
    return json_pack("{s:f, s:f, s:f, s:f, s:f}", "opening", result->opening_seconds, "planning",
                     result->planning_seconds, "loading", loading, "writing",
                     result->writing_seconds, "total", result->wall_seconds);
}

char *acestep_result_json(const acestep_result *result)
{
    json_t *plan = ace_plan_choice_json(&result->plan);
    json_t *stages =
        ace_stage_log_json(&result->plan.stages, ace_stage_log_peak(&result->plan.stages));
    json_t *measured = ace_stage_log_json(&result->found.log, result->found.peak_bytes);
    json_object_update(plan, stages);
    json_decref(stages);
    json_object_set_new(measured, "vae_tier",
                        json_string(ace_vae_place_name(result->found.vae_place)));
    json_object_set_new(measured, "vae_chunk", json_integer(result->found.vae_chunk));
    json_object_set_new(measured, "replans", json_integer(result->found.replans));
    if (result->found.operations.n_stages > 0) {
        json_object_set_new(measured, "operations", ace_operations_json(&result->found.operations));
        json_object_set_new(measured, "kernels",
                            ace_kernels_json(&result->found.operations, REPORTED_KERNELS));
    }
    json_t *root = json_pack(
        "{s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "tier", result->plan.settings.tier.key, "outputs",
        outputs_json(result), "warnings", ace_warnings_json(&result->plan.warnings), "plan", plan,
        "lm", lm_json(result), "measured", measured, "timings", timings_json(result));
    char *text = root != NULL ? json_dumps(root, JSON_REAL_PRECISION(12)) : NULL;
    json_decref(root);
    return text;
}

char *acestep_result_operations(const acestep_result *result, int most)
{
    return ace_kernels_table(&result->found.operations, most);
}

acestep_status acestep_probe(const acestep_request *request, const char *case_path,
                             const char *output_path, acestep_error *err)
{
    ace_embedded_files_set(ace_demo_model_files());
    return ace_probe_run(request->options, case_path, output_path, ace_inner_error(err));
}

char *acestep_waveform(const acestep_song *song, int columns, int rows)
{
    if (columns < 1 || columns > ACE_WAVEFORM_MAX_COLUMNS || rows < 1 ||
        rows > ACE_WAVEFORM_MAX_ROWS) {
        return NULL;
    }
    size_t bytes = ace_waveform_bytes(columns, rows);
    char *text = malloc(bytes);
    ace_audio audio = {.samples = (float *)(uintptr_t)song->samples,
                       .frames = song->frames,
                       .channels = 2,
                       .rate = song->sample_rate};
    if (text != NULL) {
        (void)ace_waveform_draw(&audio, columns, rows,
                                rows % 2 == 0 ? ACE_WAVEFORM_MIRRORED : ACE_WAVEFORM_RMS, text,
                                bytes);
    }
    return text;
}
