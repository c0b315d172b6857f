/* The card behind the engine: when it is lost, when it is back, and what is said of it. */
#include "server/jobs_state.h"

#include "base/log.h"

#include <stdio.h>
#include <string.h>

static void put(char *to, size_t room, const json_t *text)
{
    const char *value = json_string_value(text);
    (void)snprintf(to, room, "%s", value != NULL ? value : "");
}

static void read_record(const json_t *engine, ace_device_record *out)
{
    const json_t *health = json_object_get(engine, "health");
    put(out->state, sizeof out->state, json_object_get(health, "state"));
    put(out->cause, sizeof out->cause, json_object_get(health, "cause"));
    put(out->problem, sizeof out->problem, json_object_get(health, "problem"));
    out->losses = (uint64_t)json_integer_value(json_object_get(health, "losses"));
    out->reopened = (uint64_t)json_integer_value(json_object_get(health, "reopened"));
}

static bool is_well(const ace_device_record *now)
{
    return now->state[0] == '\0' || strcmp(now->state, "ok") == 0;
}

/* Why a card was lost remains said. */
void ace_device_forget(ace_jobs *jobs)
{
    (void)pthread_mutex_lock(&jobs->lock);
    ace_device_record *d = &jobs->device;
    d->losses = 0;
    d->reopened = 0;
    d->state[0] = '\0';
    d->problem[0] = '\0';
    (void)pthread_mutex_unlock(&jobs->lock);
}

/* True when something has changed. */
static bool take_record(ace_jobs *jobs, ace_device_record *now)
{
    (void)pthread_mutex_lock(&jobs->lock);
    ace_device_record *d = &jobs->device;
    bool news =
        now->losses != d->losses || now->reopened != d->reopened || is_well(now) != is_well(d);
    jobs->counted.device_losses += now->losses - d->losses;
    jobs->counted.device_reopened += now->reopened - d->reopened;
    if (now->cause[0] == '\0') {
        memcpy(now->cause, d->cause, sizeof now->cause);
    }
    *d = *now;
    (void)pthread_mutex_unlock(&jobs->lock);
    return news;
}

void ace_device_look(ace_jobs *jobs)
{
    ace_device_record now = {.losses = 0};
    char *text = jobs->options.engine->describe(jobs->slot.engine);
    json_t *engine = text != NULL ? json_loads(text, 0, NULL) : NULL;
    if (engine != NULL) {
        read_record(engine, &now);
        if (take_record(jobs, &now)) {
            /* the engine that plans has the same card, and holds what is left of it */
            ace_preview_unload(jobs, 0);
            ace_worker_show(jobs, ACE_ENGINE_LOADED, is_well(&now) ? "" : now.cause);
        }
    }
    json_decref(engine);
    acestep_free(text);
}

/* The options that the open engine has been opened with. */
static acestep_request *request_of(const char *key)
{
    acestep_request *request = NULL;
    acestep_error err = {.code = ACESTEP_OK};
    if (acestep_request_create(&request, &err) != ACESTEP_OK ||
        acestep_request_set_json(request, key, strlen(key), &err) != ACESTEP_OK) {
        ace_log(ACE_LOG_ERROR, "jobs", "the device was not opened anew: %s", err.message);
        acestep_request_free(request);
        return NULL;
    }
    return request;
}

void ace_device_reopen(ace_jobs *jobs)
{
    acestep_error err = {.code = ACESTEP_OK};
    acestep_request *request = jobs->slot.engine != NULL ? request_of(jobs->slot.key) : NULL;
    if (request == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&jobs->lock);
    ace_engine_set_state(jobs, ACE_ENGINE_LOADING);
    (void)pthread_mutex_unlock(&jobs->lock);
    ace_preview_unload(jobs, 0);
    if (jobs->options.engine->reopen(jobs->slot.engine, request, &err) != ACESTEP_OK) {
        ace_log(ACE_LOG_WARNING, "jobs", "the device was not opened anew: %s", err.message);
    }
    acestep_request_free(request);
    ace_device_look(jobs);
    (void)pthread_mutex_lock(&jobs->lock);
    ace_engine_set_state(jobs, ACE_ENGINE_LOADED);
    (void)pthread_mutex_unlock(&jobs->lock);
}

void ace_jobs_reopen_device(ace_jobs *jobs)
{
    (void)pthread_mutex_lock(&jobs->lock);
    jobs->reopen = true;
    (void)pthread_cond_signal(&jobs->wakeup);
    (void)pthread_mutex_unlock(&jobs->lock);
}

json_t *ace_jobs_device_state(ace_jobs *jobs)
{
    (void)pthread_mutex_lock(&jobs->lock);
    const ace_device_record *d = &jobs->device;
    json_t *engine = jobs->engine_json != NULL ? json_loads(jobs->engine_json, 0, NULL) : NULL;
    json_t *state =
        json_pack("{s:s?, s:s, s:s?, s:s?, s:I, s:I}", "name",
                  json_string_value(json_object_get(engine, "device")), "state",
                  is_well(d) ? "ok" : d->state, "cause", d->cause[0] != '\0' ? d->cause : NULL,
                  "problem", d->problem[0] != '\0' ? d->problem : NULL, "losses",
                  (json_int_t)jobs->counted.device_losses, "reopened",
                  (json_int_t)jobs->counted.device_reopened);
    (void)pthread_mutex_unlock(&jobs->lock);
    json_decref(engine);
    return state;
}
