/* What goes when the data folder's limits are reached: the oldest finished jobs that are no
 * favourites. */
#include "server/jobs_state.h"

#include "base/log.h"

#include <stdio.h>

ace_job_change ace_job_drop(ace_jobs *jobs, const char *id)
{
    char folder[ACE_FOLDER_PATH_BYTES];
    ace_error err = {.code = ACESTEP_OK};
    if (ace_journal_hide(jobs->journal, id, &err) != ACESTEP_OK) {
        ace_log(ACE_LOG_ERROR, "jobs", "%s: cannot be removed: %s", id, err.message);
        return ACE_JOB_UNSAVED;
    }
    ace_result_folder(jobs, id, false, folder);
    ace_folder_remove(folder);
    if (ace_journal_forget(jobs->journal, id, &err) != ACESTEP_OK) {
        ace_log(ACE_LOG_WARNING, "jobs", "%s: %s", id, err.message); /* the next start does it */
    }
    return ACE_JOB_CHANGED;
}

static bool is_too_much(const ace_jobs *jobs, double finished)
{
    const ace_jobs_options *o = &jobs->options;
    int64_t n = 0;
    uint64_t bytes = 0;
    if (o->keep_seconds > 0 && ace_unix_seconds() - finished > o->keep_seconds) {
        return true;
    }
    if (o->keep_jobs > 0 || o->keep_bytes > 0) {
        ace_journal_sizes(jobs->journal, &n, &bytes);
    }
    return (o->keep_jobs > 0 && n > o->keep_jobs) || (o->keep_bytes > 0 && bytes > o->keep_bytes);
}

/* One at a time, so that nobody waits for the whole of a large clean-up. */
void ace_jobs_retain(ace_jobs *jobs)
{
    char id[ACE_JOB_ID_BYTES];
    double finished = 0;
    bool more = true;
    while (more) {
        (void)pthread_mutex_lock(&jobs->lock);
        more = !jobs->stopping && ace_journal_oldest(jobs->journal, id, &finished) &&
               is_too_much(jobs, finished) && ace_job_drop(jobs, id) == ACE_JOB_CHANGED;
        if (more) {
            ace_jobs_entry gone = {.status = ACE_JOB_DONE};
            (void)snprintf(gone.id, sizeof gone.id, "%s", id);
            ace_job_tell(jobs, &gone, "removed", json_pack("{s:s}", "status", "removed"));
        }
        (void)pthread_mutex_unlock(&jobs->lock);
    }
}
