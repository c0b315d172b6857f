/* Plans without waiting: a second engine that only walks through jobs and computes nothing. */
#include "server/jobs_state.h"

#include "base/clock.h"

#include <stdio.h>
#include <string.h>

bool ace_is_hopeless(ace_status status)
{
    return status == ACESTEP_ARGUMENT || status == ACESTEP_UNSUPPORTED || status == ACESTEP_MODEL ||
           status == ACESTEP_AUDIO;
}

/* With the second engine for this request, and the lock that guards it. */
typedef ace_status walk(ace_jobs *jobs, const acestep_request *request, void *context,
                        ace_error *err);

/* The engine is opened with exec=shape; the request has its exec back afterwards. */
static ace_status with_engine(ace_jobs *jobs, acestep_request *request, walk *then, void *context,
                              ace_error *err)
{
    bool opened = false;
    ace_status status = ace_request_put(request, "exec", "shape", err);
    if (status == ACESTEP_OK) {
        (void)pthread_mutex_lock(&jobs->preview_lock);
        status = ace_slot_open(&jobs->preview, jobs->options.engine, request, &opened, err);
        if (status == ACESTEP_OK && then != NULL) {
            status = then(jobs, request, context, err);
        }
        jobs->preview_used = ace_clock_seconds();
        (void)pthread_mutex_unlock(&jobs->preview_lock);
    }
    (void)ace_request_put(request, "exec", "full", NULL);
    return status;
}

typedef struct planned {
    ace_job_kind kind;
    char *json, **svg;
} planned;

static ace_status plan_walk(ace_jobs *jobs, const acestep_request *request, void *context,
                            ace_error *err)
{
    planned *p = context;
    acestep_error failure = {.code = ACESTEP_OK};
    ace_status status = jobs->options.engine->plan(jobs->preview.engine, p->kind, request, &p->json,
                                                   p->svg, &failure);
    return status == ACESTEP_OK ? ACESTEP_OK : ace_fail(err, status, "%s", failure.message);
}

ace_status ace_jobs_plan(ace_jobs *jobs, ace_job_kind kind, acestep_request *request, json_t **plan,
                         char **svg, ace_error *err)
{
    planned p = {.kind = kind, .svg = svg};
    *plan = NULL;
    ace_status status = with_engine(jobs, request, plan_walk, &p, err);
    if (status == ACESTEP_OK) {
        *plan = p.json != NULL ? json_loads(p.json, 0, NULL) : NULL;
        status = *plan != NULL ? ACESTEP_OK : ace_fail(err, ACESTEP_MEMORY, "plan: no host memory");
    }
    acestep_free(p.json);
    return status;
}

ace_status ace_jobs_look_at_models(ace_jobs *jobs, acestep_request *request, ace_error *err)
{
    return with_engine(jobs, request, NULL, NULL, err);
}

/* Opens an engine that only walks, and closes it. */
static ace_status try_defaults(ace_jobs *jobs, ace_error *err)
{
    const ace_job_wish wish = {.kind = ACE_JOB_SONG, .admin = true};
    ace_engine_slot slot = {NULL, NULL};
    acestep_request *request = NULL;
    json_t *asked = NULL;
    bool opened = false;
    ace_status status = ace_jobs_request_make(jobs, &wish, &asked, err);
    if (status == ACESTEP_OK) {
        status = ace_jobs_request_open(jobs, asked, &request, err);
    }
    if (status == ACESTEP_OK) {
        status = ace_request_put(request, "exec", "shape", err);
    }
    if (status == ACESTEP_OK) {
        status = ace_slot_open(&slot, jobs->options.engine, request, &opened, err);
    }
    ace_slot_close(&slot, jobs->options.engine);
    acestep_request_free(request);
    json_decref(asked);
    ace_folder_hide(jobs->folder, err);
    return status;
}

ace_status ace_jobs_ready(ace_jobs *jobs, ace_error *err)
{
    (void)pthread_mutex_lock(&jobs->lock);
    bool full = jobs->queued >= jobs->options.queue_limit;
    bool open = jobs->engine_json != NULL;
    (void)pthread_mutex_unlock(&jobs->lock);
    if (full) {
        return ace_fail(err, ACESTEP_BUSY, "the queue is full");
    }
    if (open) {
        return ACESTEP_OK;
    }
    if (pthread_mutex_trylock(&jobs->preview_lock) != 0) {
        return ACESTEP_OK; /* somebody plans with it */
    }
    open = jobs->preview.engine != NULL;
    (void)pthread_mutex_unlock(&jobs->preview_lock);
    return open ? ACESTEP_OK : try_defaults(jobs, err);
}

void ace_preview_unload(ace_jobs *jobs, double idle_seconds)
{
    (void)pthread_mutex_lock(&jobs->preview_lock);
    if (ace_clock_seconds() - jobs->preview_used >= idle_seconds) {
        ace_slot_close(&jobs->preview, jobs->options.engine);
    }
    (void)pthread_mutex_unlock(&jobs->preview_lock);
}

/* Files by what the client calls them, not by where they lie. */
static void tell_names(json_t *options)
{
    static const char *const files[] = {"src_audio", "src_latents", "reference_audio",
                                        "reference_latents", "lora"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char label[40];
        (void)snprintf(label, sizeof label, "%s_label", files[i]);
        const char *name = json_string_value(json_object_get(options, label));
        if (name != NULL && name[0] != '\0') {
            json_object_set(options, files[i], json_object_get(options, label));
            json_object_set_new(options, label, json_string(""));
        }
    }
}

static json_t *options_of(const acestep_request *request)
{
    char *text = acestep_request_json(request, false);
    json_t *all = text != NULL ? json_loads(text, 0, NULL) : NULL;
    acestep_free(text);
    tell_names(all);
    return all;
}

ace_status ace_jobs_preview(ace_jobs *jobs, const ace_job_wish *wish, json_t **out, ace_error *err)
{
    json_t *asked = NULL;
    json_t *plan = NULL;
    char *svg = NULL;
    acestep_request *request = NULL;
    *out = NULL;
    ace_status status = ace_jobs_request_make(jobs, wish, &asked, err);
    if (status == ACESTEP_OK) {
        status = ace_jobs_request_open(jobs, asked, &request, err);
    }
    bool shows_plan = wish->kind == ACE_JOB_SONG;
    if (status == ACESTEP_OK) {
        status = ace_jobs_plan(jobs, wish->kind, request, &plan, shows_plan ? &svg : NULL, err);
    }
    json_t *warnings = plan != NULL ? json_incref(json_object_get(plan, "warnings")) : NULL;
    if (!shows_plan) { /* it has told that this can be done */
        json_decref(plan);
        plan = NULL;
    }
    if (status == ACESTEP_OK) {
        (void)pthread_mutex_lock(&jobs->lock);
        ace_estimate e = ace_times_expect(jobs, wish->kind, request, plan);
        (void)pthread_mutex_unlock(&jobs->lock);
        *out = json_pack("{s:o, s:O?, s:s?, s:f, s:s, s:O?}", "request", options_of(request),
                         "plan", plan, "plan_svg", svg, "seconds", e.seconds, "basis", e.basis,
                         "warnings", warnings);
        status = *out != NULL ? ACESTEP_OK : ace_fail(err, ACESTEP_MEMORY, "plan: no host memory");
    }
    ace_folder_hide(jobs->folder, err);
    acestep_free(svg);
    acestep_request_free(request);
    json_decref(warnings);
    json_decref(plan);
    json_decref(asked);
    return status;
}
