/* A wish becomes a job: checked, planned where that is quick, in the journal, in the queue. */
#include "server/jobs_state.h"

#include "base/memory.h"

#include <string.h>

static const double REPEAT_SECONDS = 24 * 3600.0;
static const double SHORTEST_RETRY = 1;

/* A plan finds out what cannot be before anybody waits for it. */
static ace_status plan_early(ace_jobs *jobs, ace_jobs_entry *e, ace_error *err)
{
    acestep_request *request = NULL;
    ace_error failure = {.code = ACESTEP_OK};
    json_t *plan = NULL;
    ace_status status = ace_jobs_request_open(jobs, e->request, &request, err);
    if (status != ACESTEP_OK) {
        return status;
    }
    status = ace_jobs_plan(jobs, e->kind, request, &plan, NULL, &failure);
    bool hopeless = ace_is_hopeless(status);
    if (!hopeless) {
        ace_entry_put(&e->warnings, json_incref(json_object_get(plan, "warnings")));
        if (e->kind != ACE_JOB_SONG) {
            json_decref(plan);
            plan = NULL;
        }
        (void)pthread_mutex_lock(&jobs->lock);
        ace_estimate estimate = ace_times_expect(jobs, e->kind, request, plan);
        (void)pthread_mutex_unlock(&jobs->lock);
        e->expected = estimate.seconds;
        e->basis = estimate.basis;
        ace_entry_put(&e->plan, plan);
    }
    acestep_request_free(request);
    return hopeless ? ace_fail(err, status, "%s", failure.message) : ACESTEP_OK;
}

static ace_status make_entry(ace_jobs *jobs, const ace_job_wish *wish, ace_jobs_entry **out,
                             ace_error *err)
{
    json_t *asked = NULL;
    ace_status status = ace_jobs_request_make(jobs, wish, &asked, err);
    ace_jobs_entry *e = status == ACESTEP_OK ? ace_entry_create(wish->kind, wish->origin) : NULL;
    if (status == ACESTEP_OK && e == NULL) {
        status = ace_fail(err, ACESTEP_MEMORY, "jobs: no host memory");
    }
    if (status != ACESTEP_OK) {
        json_decref(asked);
        return status;
    }
    const char *title = json_string_value(json_object_get(asked, "title"));
    char *copy = title != NULL ? ace_strdup(title) : NULL;
    if (copy != NULL) {
        ace_free(e->title);
        e->title = copy;
    }
    e->request = asked;
    e->params = wish->params != NULL ? json_deep_copy(wish->params) : json_object();
    status = plan_early(jobs, e, err);
    if (status != ACESTEP_OK) {
        ace_entry_free(e);
        e = NULL;
    }
    *out = e;
    return status;
}

static bool is_full(const ace_jobs *jobs)
{
    return jobs->queued >= jobs->options.queue_limit;
}

static ace_status refuse(ace_jobs *jobs, double *retry_seconds, ace_error *err)
{
    double wait =
        ace_queue_wait(jobs, 0); /* then the running one is done, and the first takes its place */
    jobs->counted.refused++;
    if (retry_seconds != NULL) {
        *retry_seconds = wait > SHORTEST_RETRY ? wait : SHORTEST_RETRY;
    }
    return ace_fail(err, ACESTEP_BUSY, "the queue is full: %d jobs wait; try again later",
                    jobs->queued);
}

/* With the lock. The queue may have filled while the plan was made. */
static ace_status enqueue(ace_jobs *jobs, ace_jobs_entry *e, const char *repeat_key,
                          json_t **record, double *retry_seconds, ace_error *err)
{
    const ace_jobs_entry *last = jobs->queue;
    if (is_full(jobs)) {
        return refuse(jobs, retry_seconds, err);
    }
    while (last != NULL && last->next != NULL) {
        last = last->next;
    }
    e->position = last != NULL ? last->position + 1 : 1;
    ace_status status = ace_journal_insert(jobs->journal, e, repeat_key, err);
    if (status != ACESTEP_OK) {
        return status;
    }
    ace_queue_insert(jobs, e);
    jobs->counted.added++;
    ace_entry_place place = ace_queue_place(jobs, e);
    *record = ace_entry_record(e, place, true);
    ace_job_tell(jobs, e, "queued",
                 json_pack("{s:i, s:f, s:f}", "queue_position", place.position, "wait_seconds",
                           place.wait_seconds, "created", e->created));
    (void)pthread_cond_signal(&jobs->wakeup);
    return ACESTEP_OK;
}

/* The job that this key has made before, or room for a new one. */
static ace_status look_before(ace_jobs *jobs, const ace_job_wish *wish, char id[ACE_JOB_ID_BYTES],
                              double *retry_seconds, ace_error *err)
{
    ace_status status = ACESTEP_OK;
    (void)pthread_mutex_lock(&jobs->lock);
    bool repeated =
        wish->repeat_key != NULL && ace_journal_repeated(jobs->journal, wish->repeat_key,
                                                         ace_unix_seconds() - REPEAT_SECONDS, id);
    if (!repeated && jobs->stopping) {
        status = ace_fail(err, ACESTEP_BUSY, "the server is stopping");
    } else if (!repeated && is_full(jobs)) {
        status = refuse(jobs, retry_seconds, err);
    }
    (void)pthread_mutex_unlock(&jobs->lock);
    return status;
}

ace_status ace_jobs_add(ace_jobs *jobs, const ace_job_wish *wish, json_t **record,
                        double *retry_seconds, ace_error *err)
{
    char id[ACE_JOB_ID_BYTES] = "";
    ace_jobs_entry *e = NULL;
    *record = NULL;
    ace_status status = look_before(jobs, wish, id, retry_seconds, err);
    if (status != ACESTEP_OK) {
        return status;
    }
    if (id[0] != '\0' && (*record = ace_jobs_record(jobs, id)) != NULL) {
        return ACESTEP_OK;
    }
    status = make_entry(jobs, wish, &e, err);
    if (status != ACESTEP_OK) {
        ace_folder_hide(jobs->folder, err);
        return status;
    }
    (void)pthread_mutex_lock(&jobs->lock);
    status = enqueue(jobs, e, wish->repeat_key, record, retry_seconds, err);
    (void)pthread_mutex_unlock(&jobs->lock);
    if (status != ACESTEP_OK) {
        ace_folder_hide(jobs->folder, err);
        ace_entry_free(e);
    }
    return status;
}
