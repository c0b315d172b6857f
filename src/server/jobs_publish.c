/* What happens to jobs, told to everybody who listens. */
#include "server/jobs_state.h"

#include "base/log.h"

#include <string.h>

static void add(ace_jobs *jobs, const char *id, const char *name, json_t *data)
{
    ace_events_add(&jobs->events, id, name, json_dumps(data, JSON_COMPACT));
    json_decref(data);
    if (jobs->options.changed != NULL) {
        jobs->options.changed(jobs->options.server);
    }
}

/* A line to each event; progress would fill the log. */
static void log_event(const char *id, const char *name, const json_t *data)
{
    const char *stage = json_string_value(json_object_get(data, "stage"));
    if (strcmp(name, "progress") != 0) {
        ace_log(ACE_LOG_INFO, ACE_JOB_LOG_AREA, "%s %s%s%s", id, name, stage != NULL ? " " : "",
                stage != NULL ? stage : "");
    }
}

void ace_job_tell(ace_jobs *jobs, const ace_jobs_entry *e, const char *name, json_t *more)
{
    json_t *data = json_pack("{s:s, s:s, s:s}", "id", e->id, "kind", ace_job_kind_name(e->kind),
                             "status", ace_job_status_name(e->status));
    json_object_update(data, more);
    json_decref(more);
    log_event(e->id, name, data);
    add(jobs, e->id, name, data);
}

void ace_engine_tell(ace_jobs *jobs)
{
    static const char *const names[] = {"unloaded", "loading", "loaded", "running", "unloading"};
    add(jobs, "", "engine",
        json_pack("{s:s, s:s?}", "state", names[jobs->engine_state], "error",
                  jobs->engine_error[0] != '\0' ? jobs->engine_error : NULL));
}

uint64_t ace_jobs_events(ace_jobs *jobs, const char *id, uint64_t after, bool *lost,
                         ace_job_event_visitor *visit, void *context)
{
    (void)pthread_mutex_lock(&jobs->lock);
    uint64_t last = ace_events_visit(&jobs->events, id, after, lost, visit, context);
    (void)pthread_mutex_unlock(&jobs->lock);
    return last;
}

uint64_t ace_jobs_last_event(ace_jobs *jobs)
{
    (void)pthread_mutex_lock(&jobs->lock);
    uint64_t last = jobs->events.next - 1;
    (void)pthread_mutex_unlock(&jobs->lock);
    return last;
}
