/* The engines of the service: opened when needed, used again where the options allow it. */
#include "server/jobs_state.h"

#include "base/memory.h"

#include <stdio.h>
#include <string.h>

/* ---- the public API as a table
 * ---------------------------------------------------------------------- */

static acestep_status open_engine(const acestep_request *request, void **engine, acestep_error *err)
{
    acestep_engine *e = NULL;
    acestep_status status = acestep_engine_open(request, &e, err);
    *engine = e;
    return status;
}

static void close_engine(void *engine)
{
    acestep_engine_close(engine);
}

static char *describe(void *engine)
{
    return acestep_engine_json(engine);
}

typedef acestep_status make_result(acestep_engine *engine, const acestep_request *request,
                                   acestep_progress *progress, void *context, acestep_result **out,
                                   acestep_error *err);
typedef acestep_status make_words(acestep_engine *engine, const acestep_request *request,
                                  acestep_progress *progress, void *context, acestep_words **out,
                                  acestep_error *err);

/* One of the two functions, and its name where a plan is wanted. */
static const struct {
    make_result *result;
    make_words *words;
    acestep_call call;
} calls[ACE_JOB_KINDS] = {
    [ACE_JOB_SONG] = {acestep_generate, NULL, ACESTEP_CALL_GENERATE},
    [ACE_JOB_SAMPLE] = {NULL, acestep_compose, ACESTEP_CALL_COMPOSE},
    [ACE_JOB_FORMAT] = {NULL, acestep_compose, ACESTEP_CALL_COMPOSE},
    [ACE_JOB_UNDERSTAND] = {NULL, acestep_understand, ACESTEP_CALL_UNDERSTAND},
    [ACE_JOB_ENCODE] = {acestep_encode, NULL, ACESTEP_CALL_ENCODE},
    [ACE_JOB_DECODE] = {acestep_decode, NULL, ACESTEP_CALL_DECODE},
    [ACE_JOB_SCORE] = {NULL, acestep_score, ACESTEP_CALL_SCORE},
    [ACE_JOB_TIMES] = {acestep_time_lyrics, NULL, ACESTEP_CALL_TIME_LYRICS},
};

static acestep_status run(void *engine, ace_job_kind kind, const acestep_request *request,
                          acestep_progress *progress, void *context, char **report,
                          acestep_error *err)
{
    acestep_result *result = NULL;
    acestep_words *words = NULL;
    acestep_status status = ACESTEP_OK;
    *report = NULL;
    if (calls[kind].result != NULL) {
        status = calls[kind].result(engine, request, progress, context, &result, err);
        *report = status == ACESTEP_OK ? acestep_result_json(result) : NULL;
    } else {
        status = calls[kind].words(engine, request, progress, context, &words, err);
        *report = status == ACESTEP_OK ? acestep_words_json(words) : NULL;
    }
    acestep_result_free(result);
    acestep_words_free(words);
    return status;
}

static acestep_status plan(void *engine, ace_job_kind kind, const acestep_request *request,
                           char **json, char **svg, acestep_error *err)
{
    acestep_plan *p = NULL;
    acestep_status status = acestep_plan_call(engine, request, calls[kind].call, &p, err);
    if (status == ACESTEP_OK) {
        *json = acestep_plan_json(p);
        if (svg != NULL) {
            *svg = acestep_plan_svg(p);
        }
    }
    acestep_plan_free(p);
    return status;
}

static acestep_status reopen(void *engine, const acestep_request *request, acestep_error *err)
{
    return acestep_engine_reopen_device(engine, request, err);
}

const ace_jobs_engine ace_jobs_public_engine = {open_engine, close_engine, describe,
                                                run,         plan,         reopen};

/* ---- slots
 * ------------------------------------------------------------------------------------------ */

void ace_slot_close(ace_engine_slot *slot, const ace_jobs_engine *functions)
{
    if (slot->engine != NULL) {
        functions->close(slot->engine);
    }
    acestep_free(slot->key);
    *slot = (ace_engine_slot){NULL, NULL};
}

static bool will_do(const ace_engine_slot *slot, const char *key)
{
    return slot->engine != NULL && strcmp(slot->key, key) == 0;
}

ace_status ace_slot_open(ace_engine_slot *slot, const ace_jobs_engine *functions,
                         const acestep_request *request, bool *opened, ace_error *err)
{
    acestep_error failure = {.code = ACESTEP_OK};
    char *key = acestep_engine_options_json(request);
    *opened = false;
    if (key == NULL) {
        return ace_fail(err, ACESTEP_MEMORY, "engine: no host memory");
    }
    if (will_do(slot, key)) {
        acestep_free(key);
        return ACESTEP_OK;
    }
    ace_slot_close(slot, functions); /* first: there may be no room for two */
    ace_status status = functions->open(request, &slot->engine, &failure);
    if (status != ACESTEP_OK) {
        acestep_free(key);
        slot->engine = NULL;
        return ace_fail(err, status, "%s", failure.message);
    }
    slot->key = key;
    *opened = true;
    return ACESTEP_OK;
}

/* ---- the worker's
 * ----------------------------------------------------------------------------------- */

void ace_engine_set_state(ace_jobs *jobs, ace_engine_state state)
{
    if (jobs->engine_state != state) {
        jobs->engine_state = state;
        jobs->engine_since = ace_unix_seconds();
        ace_engine_tell(jobs);
    }
}

/* The slot is the worker's alone. */
void ace_worker_show(ace_jobs *jobs, ace_engine_state state, const char *error)
{
    char *json =
        jobs->slot.engine != NULL ? jobs->options.engine->describe(jobs->slot.engine) : NULL;
    char *key = jobs->slot.key != NULL ? ace_strdup(jobs->slot.key) : NULL;
    (void)pthread_mutex_lock(&jobs->lock);
    acestep_free(jobs->engine_json);
    ace_free(jobs->engine_key);
    jobs->engine_json = json;
    jobs->engine_key = key;
    (void)snprintf(jobs->engine_error, sizeof jobs->engine_error, "%s", error);
    ace_engine_set_state(jobs, state);
    (void)pthread_mutex_unlock(&jobs->lock);
}

static void announce(ace_jobs *jobs, ace_engine_state state)
{
    (void)pthread_mutex_lock(&jobs->lock);
    ace_engine_set_state(jobs, state);
    (void)pthread_mutex_unlock(&jobs->lock);
}

ace_status ace_worker_engine(ace_jobs *jobs, const acestep_request *request, ace_error *err)
{
    bool opened = false;
    char *key = acestep_engine_options_json(request);
    bool ready = key != NULL && will_do(&jobs->slot, key);
    acestep_free(key);
    if (!ready) {
        announce(jobs, ACE_ENGINE_LOADING);
    }
    ace_error failure = {.code = ACESTEP_OK};
    ace_status status =
        ace_slot_open(&jobs->slot, jobs->options.engine, request, &opened, &failure);
    if (!ready || status != ACESTEP_OK) {
        bool open = jobs->slot.engine != NULL;
        ace_worker_show(jobs, open ? ACE_ENGINE_LOADED : ACE_ENGINE_UNLOADED, failure.message);
    }
    if (opened) {
        (void)pthread_mutex_lock(&jobs->lock);
        jobs->counted.engine_loads++;
        (void)pthread_mutex_unlock(&jobs->lock);
        ace_device_forget(jobs);
    }
    return status == ACESTEP_OK ? ACESTEP_OK : ace_fail(err, status, "%s", failure.message);
}

void ace_worker_unload(ace_jobs *jobs)
{
    if (jobs->slot.engine != NULL) {
        announce(jobs, ACE_ENGINE_UNLOADING);
        ace_slot_close(&jobs->slot, jobs->options.engine);
        ace_device_forget(jobs);
        ace_worker_show(jobs, ACE_ENGINE_UNLOADED, "");
    }
}

/* ---- asked from outside
 * ----------------------------------------------------------------------------- */

static json_t *parsed_or_null(const char *text)
{
    json_t *value = text != NULL ? json_loads(text, 0, NULL) : NULL;
    return value != NULL ? value : json_null();
}

json_t *ace_jobs_engine_state(ace_jobs *jobs)
{
    static const char *const names[] = {"unloaded", "loading", "loaded", "running", "unloading"};
    (void)pthread_mutex_lock(&jobs->lock);
    const char *error = jobs->engine_error[0] != '\0' ? jobs->engine_error : NULL;
    const char *job = jobs->running != NULL ? jobs->running->id : NULL;
    json_t *state =
        json_pack("{s:s, s:s?, s:o, s:o, s:f, s:s?}", "state", names[jobs->engine_state], "job",
                  job, "options", parsed_or_null(jobs->engine_key), "engine",
                  parsed_or_null(jobs->engine_json), "since", jobs->engine_since, "error", error);
    (void)pthread_mutex_unlock(&jobs->lock);
    return state;
}

ace_status ace_jobs_load(ace_jobs *jobs, json_t *options, ace_error *err)
{
    json_t *asked = NULL;
    acestep_request *request = NULL;
    const ace_job_wish wish = {.kind = ACE_JOB_SONG, .params = options, .admin = true};
    ace_status status = ace_jobs_request_make(jobs, &wish, &asked, err);
    if (status == ACESTEP_OK) {
        status = ace_jobs_request_open(jobs, asked, &request, err);
    }
    json_decref(asked);
    ace_error failure = {.code = ACESTEP_OK};
    if (status == ACESTEP_OK && ace_is_hopeless(ace_jobs_look_at_models(jobs, request, &failure))) {
        acestep_request_free(request);
        status = ace_fail(err, failure.code, "%s", failure.message);
    }
    if (status == ACESTEP_OK) {
        (void)pthread_mutex_lock(&jobs->lock);
        acestep_request_free(jobs->load);
        jobs->load = request;
        jobs->unload = false;
        (void)pthread_cond_signal(&jobs->wakeup);
        (void)pthread_mutex_unlock(&jobs->lock);
    }
    return status;
}

void ace_jobs_unload(ace_jobs *jobs)
{
    (void)pthread_mutex_lock(&jobs->lock);
    acestep_request_free(jobs->load);
    jobs->load = NULL;
    jobs->unload = true;
    (void)pthread_cond_signal(&jobs->wakeup);
    (void)pthread_mutex_unlock(&jobs->lock);
}
