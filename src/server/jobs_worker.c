/* The thread that owns the engine: takes the first job of the queue, runs it, and keeps house in
 * between. */
#include "server/jobs_state.h"

#include "base/clock.h"
#include "base/log.h"

#include <time.h>

static const double HOUSE_SECONDS = 30; /* between two looks at what may go */

/* ---- begin and end of a job
 * ------------------------------------------------------------------------- */

/* Notes in the journal that it runs, so that the next start knows. With the lock. */
static bool begin(ace_jobs *jobs, ace_jobs_entry *e, ace_error *err)
{
    ace_status status = ace_jobs_fix_seeds(e, err);
    e->status = ACE_JOB_RUNNING;
    e->started = ace_unix_seconds();
    e->began = ace_clock_seconds();
    e->runs++;
    if (status == ACESTEP_OK) {
        status = ace_journal_update(jobs->journal, e, err);
    }
    if (status == ACESTEP_OK) {
        ace_job_tell(jobs, e, "started", json_pack("{s:f}", "started", e->started));
    }
    return status == ACESTEP_OK;
}

/* The server stops: the job is as if it had never begun, but with its seeds. */
static void give_back(ace_jobs *jobs, ace_jobs_entry *e)
{
    ace_error err = {.code = ACESTEP_OK};
    e->status = ACE_JOB_QUEUED;
    e->started = 0;
    e->began = 0;
    e->runs--;
    e->stage[0] = '\0';
    e->fraction = 0;
    e->whole = 0;
    if (ace_journal_update(jobs->journal, e, &err) != ACESTEP_OK) {
        ace_log(ACE_LOG_ERROR, "jobs", "%s: %s", e->id,
                err.message); /* then it counts as interrupted */
    }
    ace_queue_insert(jobs, e);
    ace_job_tell(jobs, e, "queued", NULL);
}

static void tell_list(ace_jobs *jobs, const ace_jobs_entry *e, const char *name, json_t *list)
{
    size_t i = 0;
    json_t *one = NULL;
    if (e->removed) {
        return; /* nobody knows it any more */
    }
    json_array_foreach (list, i, one) {
        json_t *copy = json_deep_copy(one);
        json_object_del(copy, "codes");
        json_object_del(copy, "id"); /* of a warning; the event's own is the job's */
        json_object_set(copy, "warning", json_object_get(one, "id"));
        ace_job_tell(jobs, e, name, copy);
    }
}

static void end(ace_jobs *jobs, ace_jobs_entry *e, ace_status status, ace_error *err)
{
    jobs->running = NULL;
    if (status == ACESTEP_OK) {
        tell_list(jobs, e, "warning", e->warnings);
        tell_list(jobs, e, "item", e->items);
        ace_job_end(jobs, e, ACE_JOB_DONE);
    } else if (status == ACESTEP_CANCELLED && !e->cancel) {
        give_back(jobs, e);
    } else if (status == ACESTEP_CANCELLED) {
        ace_job_end(jobs, e, ACE_JOB_CANCELLED);
    } else {
        ace_log(ACE_LOG_WARNING, "jobs", "%s: %s", e->id, err->message);
        ace_folder_hide(jobs->folder, err);
        ace_entry_put(&e->error, ace_entry_error(status, err->message));
        ace_job_end(jobs, e, ACE_JOB_FAILED);
    }
}

/* With the lock, which is open while the engine works. */
static void run_first(ace_jobs *jobs)
{
    ace_error err = {.code = ACESTEP_OK};
    ace_jobs_entry *e = jobs->queue;
    (void)ace_queue_take_out(jobs, e);
    jobs->running = e;
    ace_status status = begin(jobs, e, &err) ? ACESTEP_OK : err.code;
    if (status == ACESTEP_OK) {
        (void)pthread_mutex_unlock(&jobs->lock);
        status = ace_job_run_it(jobs, e, &err);
        (void)pthread_mutex_lock(&jobs->lock);
    }
    end(jobs, e, status, &err);
}

/* ---- between jobs
 * ----------------------------------------------------------------------------------- */

/* Loading, unloading and opening anew that was asked for. With the lock, which is open meanwhile.
 */
static void obey(ace_jobs *jobs)
{
    acestep_request *load = jobs->load;
    bool reopen = jobs->reopen && load == NULL && !jobs->unload;
    jobs->load = NULL;
    jobs->unload = false;
    jobs->reopen = jobs->reopen && !reopen;
    (void)pthread_mutex_unlock(&jobs->lock);
    if (reopen) {
        ace_device_reopen(jobs);
    } else if (load != NULL) {
        ace_error err = {.code = ACESTEP_OK};
        if (ace_worker_engine(jobs, load, &err) != ACESTEP_OK) {
            ace_log(ACE_LOG_WARNING, "jobs", "the engine was not loaded: %s", err.message);
        }
        acestep_request_free(load);
    } else {
        ace_worker_unload(jobs);
        ace_preview_unload(jobs, 0);
    }
    (void)pthread_mutex_lock(&jobs->lock);
}

static void keep_house(ace_jobs *jobs, double idle)
{
    double limit = jobs->options.idle_unload_seconds;
    if (limit > 0 && idle >= limit) {
        ace_worker_unload(jobs);
    }
    if (limit > 0) {
        ace_preview_unload(jobs, limit);
    }
    ace_jobs_retain(jobs);
}

static void wait_for_work(ace_jobs *jobs, double seconds)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)seconds;
    until.tv_nsec += (long)((seconds - (double)(time_t)seconds) * 1e9);
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    (void)pthread_cond_timedwait(&jobs->wakeup, &jobs->lock, &until);
}

/* Seconds until there is something to do without anybody asking. */
static double patience(const ace_jobs *jobs, double idle)
{
    double left = jobs->options.idle_unload_seconds - idle;
    return left > 0 && left < HOUSE_SECONDS ? left : HOUSE_SECONDS;
}

void *ace_jobs_work(void *context)
{
    ace_jobs *jobs = context;
    double busy = ace_clock_seconds(); /* when the engine was last of use */
    ace_jobs_retain(jobs);
    (void)pthread_mutex_lock(&jobs->lock);
    while (!jobs->stopping) {
        bool worked = true;
        if (jobs->load != NULL || jobs->unload || jobs->reopen) {
            obey(jobs);
        } else if (jobs->queue != NULL) {
            run_first(jobs);
        } else {
            worked = false;
            wait_for_work(jobs, patience(jobs, ace_clock_seconds() - busy));
        }
        busy = worked ? ace_clock_seconds() : busy;
        ace_job_save_again(jobs);
        (void)pthread_mutex_unlock(&jobs->lock);
        keep_house(jobs, ace_clock_seconds() - busy);
        (void)pthread_mutex_lock(&jobs->lock);
    }
    (void)pthread_mutex_unlock(&jobs->lock);
    ace_worker_unload(jobs);
    return NULL;
}
