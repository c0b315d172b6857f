/* Songs that are there: to latents and back, and when they sing their words. */
#include "api/api.h"
#include "api/calls.h"
#include "base/clock.h"
#include "base/file_write.h"
#include "base/memory.h"
#include "run/latents_file.h"
#include "run/recovery.h"

#include <string.h>
#include <unistd.h>

typedef ace_status write_files(acestep_result *result, const ace_output *output, ace_error *err);

typedef struct task {
    acestep_call call;
    const char *const *extensions; /* of its files; NULL: audio */
    int n_extensions;
    write_files *write;
} task;

/* ---- what is written ------------------------------------------------------------------------- */

static ace_status keep_name(const ace_output *output, char **out, ace_error *err)
{
    *out = ace_strdup(output->path[0]);
    return *out != NULL ? ACESTEP_OK : ace_fail(err, ACESTEP_MEMORY, "result: no host memory");
}

static ace_status write_latents(acestep_result *result, const ace_output *output, ace_error *err)
{
    char path[ACE_OUTPUT_PATH_BYTES];
    ace_output_beside(output->path[0], "latents", path, sizeof path);
    ace_status status = keep_name(output, &result->beside, err);
    return status == ACESTEP_OK ? ace_latents_write(path, &result->song[0].latents, err) : status;
}

static ace_status write_audio(acestep_result *result, const ace_output *output, ace_error *err)
{
    const ace_request *request = result->job.request[0];
    ace_finished *song = &result->song[0];
    ace_status status = ace_output_level(request, &song->audio, err);
    if (status == ACESTEP_OK) {
        status = ace_output_write(request, output, 0, song, &result->job.brief[0],
                                  result->plan.model, NULL, err);
    }
    return status == ACESTEP_OK ? keep_name(output, &result->path[0], err) : status;
}

static ace_status write_lyrics(acestep_result *result, const ace_output *output, ace_error *err)
{
    const ace_song_lyrics *lyrics = &result->song[0].lyrics;
    char lrc[ACE_OUTPUT_PATH_BYTES];
    char vtt[ACE_OUTPUT_PATH_BYTES];
    if (lyrics->lrc == NULL || lyrics->vtt == NULL) {
        return ace_fail(err, ACESTEP_ARGUMENT, "lyrics: there are no words to sing");
    }
    ace_output_beside(output->path[0], "lrc", lrc, sizeof lrc);
    ace_output_beside(output->path[0], "vtt", vtt, sizeof vtt);
    ace_status status = keep_name(output, &result->beside, err);
    if (status == ACESTEP_OK) {
        status = ace_file_write(lrc, lyrics->lrc, strlen(lyrics->lrc), err);
    }
    if (status == ACESTEP_OK) {
        status = ace_file_write(vtt, lyrics->vtt, strlen(lyrics->vtt), err);
        if (status != ACESTEP_OK) { /* nothing half done is left */
            (void)unlink(lrc);
        }
    }
    return status;
}

/* ---- running --------------------------------------------------------------------------------- */

static ace_status prepare(const task *t, const acestep_result *result, ace_output *output,
                          ace_error *err)
{
    const ace_request *request = result->job.request[0];
    const uint64_t *seed = result->job.brief[0].seed;
    return t->extensions == NULL ? ace_output_prepare(request, seed, 1, output, err)
                                 : ace_output_prepare_beside(request, seed[0], t->extensions,
                                                             t->n_extensions, output, err);
}

static ace_status run(ace_workshop *w, const task *t, const ace_request *request,
                      acestep_progress *progress, void *context, ace_output *output,
                      acestep_result *result, ace_error *err)
{
    double start = ace_clock_seconds();
    bool computes = request->exec == 0;
    ace_warnings *warnings = &result->plan.warnings;
    ace_status status = ace_workshop_recover(w, request, err);
    if (status == ACESTEP_OK) {
        status =
            ace_job_create_for(w, request, ace_call_goal(t->call), warnings, &result->job, err);
    }
    if (status == ACESTEP_OK && computes) {
        status = prepare(t, result, output, err);
    }
    if (status == ACESTEP_OK) {
        status = ace_plan_for(w, request, &result->job, &result->plan, err);
    }
    result->planning_seconds = ace_clock_seconds() - start;
    if (status == ACESTEP_OK) {
        status = ace_job_run(w, request, &result->job, &result->plan.stages, progress, context,
                             warnings, &result->found, result->song, &result->n_songs, err);
    }
    double written = ace_clock_seconds();
    if (status == ACESTEP_OK && computes) {
        status = t->write(result, output, err);
    }
    result->writing_seconds = ace_clock_seconds() - written;
    result->wall_seconds = ace_clock_seconds() - start - result->found.aside_seconds;
    return status;
}

static acestep_status make(acestep_engine *engine, const task *t, const acestep_request *request,
                           acestep_progress *progress, void *context, acestep_result **out,
                           acestep_error *err)
{
    ace_error *inner = ace_inner_error(err);
    *out = NULL;
    ace_status status = ace_call_check(t->call, request->options, inner);
    if (status != ACESTEP_OK) {
        return status;
    }
    acestep_result *result = ace_calloc(1, sizeof *result);
    ace_output *output = ace_calloc(1, sizeof *output);
    status =
        result != NULL && output != NULL
            ? run(&engine->workshop, t, request->options, progress, context, output, result, inner)
            : ace_fail(inner, ACESTEP_MEMORY, "result: no host memory");
    ace_free(output);
    if (status != ACESTEP_OK) {
        acestep_result_free(result);
        return status;
    }
    *out = result;
    return ACESTEP_OK;
}

char *acestep_latents_json(const char *path, acestep_error *err)
{
    int64_t numbers = 0;
    if (ace_latents_count(path, &numbers, ace_inner_error(err)) != ACESTEP_OK) {
        return NULL;
    }
    json_t *root = json_pack("{s:s, s:I}", "format", "latents", "numbers", (json_int_t)numbers);
    char *text = root != NULL ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    if (text == NULL) {
        (void)ace_fail(ace_inner_error(err), ACESTEP_MEMORY, "latents: no host memory");
    }
    return text;
}

/* ---- what can be asked ----------------------------------------------------------------------- */

acestep_status acestep_encode(acestep_engine *engine, const acestep_request *request,
                              acestep_progress *progress, void *context, acestep_result **out,
                              acestep_error *err)
{
    static const char *const extensions[] = {"latents"};
    static const task encode = {ACESTEP_CALL_ENCODE, extensions, 1, write_latents};
    return make(engine, &encode, request, progress, context, out, err);
}

acestep_status acestep_decode(acestep_engine *engine, const acestep_request *request,
                              acestep_progress *progress, void *context, acestep_result **out,
                              acestep_error *err)
{
    static const task decode = {ACESTEP_CALL_DECODE, NULL, 0, write_audio};
    return make(engine, &decode, request, progress, context, out, err);
}

acestep_status acestep_time_lyrics(acestep_engine *engine, const acestep_request *request,
                                   acestep_progress *progress, void *context, acestep_result **out,
                                   acestep_error *err)
{
    static const char *const extensions[] = {"lrc", "vtt"};
    static const task time = {ACESTEP_CALL_TIME_LYRICS, extensions, 2, write_lyrics};
    return make(engine, &time, request, progress, context, out, err);
}
