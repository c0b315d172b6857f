/* Beginning and end of the job service. */
#include "server/jobs_state.h"

#include "base/clock.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { QUEUE_LIMIT = 200 };

static bool init_locks(ace_jobs *jobs)
{
    pthread_condattr_t clock;
    bool good = pthread_mutex_init(&jobs->lock, NULL) == 0;
    good = pthread_mutex_init(&jobs->preview_lock, NULL) == 0 && good;
    good = pthread_condattr_init(&clock) == 0 && good;
    good = pthread_condattr_setclock(&clock, CLOCK_MONOTONIC) == 0 && good;
    good = pthread_cond_init(&jobs->wakeup, &clock) == 0 && good;
    (void)pthread_condattr_destroy(&clock);
    return good;
}

ace_status ace_jobs_open(const ace_jobs_options *options, ace_jobs **out, ace_error *err)
{
    bool renewed = false;
    *out = NULL;
    ace_jobs *jobs = ace_calloc(1, sizeof *jobs);
    if (jobs == NULL) {
        return ace_fail(err, ACESTEP_MEMORY, "jobs: no host memory");
    }
    jobs->lock_fd = -1;
    jobs->options = *options;
    jobs->folder = ace_strdup(options->folder);
    jobs->options.folder = jobs->folder;
    if (jobs->options.engine == NULL) {
        jobs->options.engine = &ace_jobs_public_engine;
    }
    if (jobs->options.queue_limit <= 0) {
        jobs->options.queue_limit = QUEUE_LIMIT;
    }
    jobs->engine_since = ace_unix_seconds();
    ace_status status = ACESTEP_OK;
    if (!init_locks(jobs) || jobs->folder == NULL || !ace_events_init(&jobs->events)) {
        status = ace_fail(err, ACESTEP_MEMORY, "jobs: no host memory");
    }
    if (status == ACESTEP_OK) {
        status = ace_folder_prepare(jobs->folder, err);
    }
    if (status == ACESTEP_OK) {
        status = ace_folder_lock(jobs->folder, &jobs->lock_fd, err);
    }
    if (status == ACESTEP_OK) {
        status = ace_journal_open(jobs->folder, &jobs->journal, &renewed, err);
    }
    if (status == ACESTEP_OK) {
        status = ace_jobs_recover(jobs, renewed, err);
    }
    if (status != ACESTEP_OK) {
        ace_jobs_close(jobs);
        return status;
    }
    *out = jobs;
    return ACESTEP_OK;
}

ace_status ace_jobs_start(ace_jobs *jobs, ace_error *err)
{
    int code = pthread_create(&jobs->worker, NULL, ace_jobs_work, jobs);
    if (code != 0) {
        return ace_fail(err, ACESTEP_FAILED, "jobs: no thread: %s", strerror(code));
    }
    jobs->started = true;
    return ACESTEP_OK;
}

static bool is_running(ace_jobs *jobs)
{
    (void)pthread_mutex_lock(&jobs->lock);
    bool running = jobs->running != NULL;
    (void)pthread_mutex_unlock(&jobs->lock);
    return running;
}

void ace_jobs_stop(ace_jobs *jobs, double grace_seconds)
{
    static const struct timespec moment = {0, 20000000};
    double end = ace_clock_seconds() + grace_seconds;
    (void)pthread_mutex_lock(&jobs->lock);
    jobs->stopping = true;
    (void)pthread_cond_signal(&jobs->wakeup);
    (void)pthread_mutex_unlock(&jobs->lock);
    while (is_running(jobs) && ace_clock_seconds() < end) {
        (void)nanosleep(&moment, NULL);
    }
    (void)pthread_mutex_lock(&jobs->lock);
    jobs->cancel_running = true;
    (void)pthread_mutex_unlock(&jobs->lock);
    if (jobs->started) {
        (void)pthread_join(jobs->worker, NULL);
        jobs->started = false;
    }
}

static void free_list(ace_jobs_entry *list)
{
    while (list != NULL) {
        ace_jobs_entry *e = list;
        list = e->next;
        ace_entry_free(e);
    }
}

void ace_jobs_close(ace_jobs *jobs)
{
    if (jobs == NULL) {
        return;
    }
    ace_jobs_stop(jobs, 0);
    if (jobs->journal != NULL) {
        ace_job_save_again(jobs);
    }
    ace_slot_close(&jobs->preview, jobs->options.engine);
    acestep_request_free(jobs->load);
    free_list(jobs->queue);
    free_list(jobs->unsaved);
    ace_journal_close(jobs->journal);
    ace_events_free(&jobs->events);
    if (jobs->lock_fd >= 0) {
        (void)close(jobs->lock_fd);
    }
    acestep_free(jobs->engine_json);
    ace_free(jobs->engine_key);
    (void)pthread_cond_destroy(&jobs->wakeup);
    (void)pthread_mutex_destroy(&jobs->lock);
    (void)pthread_mutex_destroy(&jobs->preview_lock);
    ace_free(jobs->folder);
    ace_free(jobs);
}
