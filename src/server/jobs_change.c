/* What clients do to jobs that are there: cancel, remove, edit. */
#include "server/jobs_state.h"

#include "base/log.h"
#include "base/memory.h"

#include <string.h>

static ace_job_change unsaved(const ace_error *err)
{
    ace_log(ACE_LOG_ERROR, "jobs", "%s", err->message);
    return ACE_JOB_UNSAVED;
}

static ace_job_change cancel(ace_jobs *jobs, const char *id)
{
    ace_jobs_entry *e = ace_live_find(jobs, id);
    if (e == NULL || e->removed) {
        return e == NULL && ace_journal_status(jobs->journal, id) >= 0 ? ACE_JOB_FINISHED
                                                                       : ACE_JOB_UNKNOWN;
    }
    if (e->status == ACE_JOB_RUNNING) {
        e->cancel = true; /* the worker's next step sees it */
        return ACE_JOB_CHANGED;
    }
    if (e->status != ACE_JOB_QUEUED) {
        return ACE_JOB_FINISHED;
    }
    (void)ace_queue_take_out(jobs, e);
    ace_job_end(jobs, e, ACE_JOB_CANCELLED);
    return ACE_JOB_CHANGED;
}

ace_job_change ace_jobs_cancel(ace_jobs *jobs, const char *id)
{
    (void)pthread_mutex_lock(&jobs->lock);
    ace_job_change change = cancel(jobs, id);
    (void)pthread_mutex_unlock(&jobs->lock);
    return change;
}

bool ace_jobs_abandon(ace_jobs *jobs, const char *id)
{
    (void)pthread_mutex_lock(&jobs->lock);
    bool stopping = jobs->stopping;
    if (!stopping) {
        (void)cancel(jobs, id);
    }
    (void)pthread_mutex_unlock(&jobs->lock);
    return !stopping;
}

static void tell_removed(ace_jobs *jobs, const char *id)
{
    ace_jobs_entry gone = {.status = ACE_JOB_CANCELLED};
    memcpy(gone.id, id, strlen(id) + 1);
    ace_job_tell(jobs, &gone, "removed", json_pack("{s:s}", "status", "removed"));
}

/* A queued one is cancelled first, so that whoever waits for it is told; a running one goes when it
 * has come to its end, and is out of sight from now on. */
static ace_job_change remove_job(ace_jobs *jobs, const char *id)
{
    ace_jobs_entry *e = ace_live_find(jobs, id);
    if (e != NULL && e->removed) {
        return ACE_JOB_UNKNOWN;
    }
    if (e != NULL && e->status == ACE_JOB_RUNNING) {
        ace_error err = {.code = ACESTEP_OK};
        if (ace_journal_hide(jobs->journal, id, &err) != ACESTEP_OK) {
            return unsaved(&err);
        }
        e->cancel = true;
        e->removed = true;
        return ACE_JOB_CHANGED;
    }
    if (e != NULL && e->status == ACE_JOB_QUEUED) {
        (void)cancel(jobs, id);
    }
    ace_job_save_again(jobs);
    return ace_journal_status(jobs->journal, id) >= 0 ? ace_job_drop(jobs, id) : ACE_JOB_UNKNOWN;
}

ace_job_change ace_jobs_remove(ace_jobs *jobs, const char *id)
{
    if (!ace_entry_id_valid(id)) {
        return ACE_JOB_UNKNOWN;
    }
    (void)pthread_mutex_lock(&jobs->lock);
    ace_job_change change = remove_job(jobs, id);
    if (change == ACE_JOB_CHANGED) {
        tell_removed(jobs, id);
    }
    (void)pthread_mutex_unlock(&jobs->lock);
    return change;
}

static ace_job_change edit(ace_jobs *jobs, ace_jobs_entry *e, const char *title, int favourite)
{
    ace_error err = {.code = ACESTEP_OK};
    char *text = ace_strdup(title != NULL ? title : e->title);
    if (text == NULL) {
        return ACE_JOB_UNSAVED;
    }
    char *before = e->title;
    bool was = e->favourite;
    e->title = text;
    e->favourite = favourite >= 0 ? favourite > 0 : was;
    if (ace_journal_edit(jobs->journal, e, &err) == ACESTEP_OK) {
        ace_free(before);
        return ACE_JOB_CHANGED;
    }
    ace_free(text);
    e->title = before;
    e->favourite = was;
    return unsaved(&err);
}

ace_job_change ace_jobs_edit(ace_jobs *jobs, const char *id, const char *title, int favourite)
{
    (void)pthread_mutex_lock(&jobs->lock);
    ace_jobs_entry *live = ace_live_find(jobs, id);
    ace_jobs_entry *kept = live == NULL ? ace_journal_find(jobs->journal, id) : NULL;
    ace_jobs_entry *e = live != NULL && !live->removed ? live : kept;
    ace_job_change change = e != NULL ? edit(jobs, e, title, favourite) : ACE_JOB_UNKNOWN;
    ace_entry_free(kept);
    (void)pthread_mutex_unlock(&jobs->lock);
    return change;
}
