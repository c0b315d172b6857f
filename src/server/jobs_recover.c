/* After a start: what the last run of the program has left. */
#include "server/jobs_state.h"

#include "base/log.h"
#include "base/memory.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

enum { MOST_RUNS = 2 };

static void drop_hidden(void *context, const char *id)
{
    const ace_jobs *jobs = context;
    char folder[ACE_FOLDER_PATH_BYTES];
    ace_result_folder(jobs, id, false, folder);
    ace_folder_remove(folder);
}

/* Once more after an interruption, not for ever: it may be the job that ends the program. */
static bool take_up(void *context, ace_jobs_entry *e)
{
    ace_jobs *jobs = context;
    if (e->status == ACE_JOB_RUNNING && e->runs >= MOST_RUNS) {
        ace_entry_put(
            &e->error,
            ace_entry_error(ACESTEP_FAILED,
                            "the server ended twice while it made this; it is not tried again"));
        e->next = jobs->unsaved; /* one row after another is being read: the journal waits */
        jobs->unsaved = e;
        return true;
    }
    if (e->status == ACE_JOB_RUNNING) {
        ace_log(ACE_LOG_WARNING, "jobs", "%s was interrupted; it runs once more", e->id);
    }
    e->status = ACE_JOB_QUEUED;
    e->started = 0;
    ace_queue_insert(jobs, e);
    return true;
}

static void end_interrupted(ace_jobs *jobs)
{
    ace_jobs_entry *list = jobs->unsaved;
    jobs->unsaved = NULL;
    while (list != NULL) {
        ace_jobs_entry *e = list;
        list = e->next;
        ace_log(ACE_LOG_ERROR, "jobs", "%s was interrupted twice; it counts as failed", e->id);
        ace_job_end(jobs, e, ACE_JOB_FAILED);
    }
}

/* ---- a new journal in an old folder
 * ----------------------------------------------------------------- */

/* Records of the first versions are of songs, and do not say so. */
static ace_job_kind kind_of(const json_t *kept)
{
    const char *name = json_string_value(json_object_get(kept, "kind"));
    int kind = name != NULL ? ace_job_kind_read(name) : -1;
    return kind >= 0 ? (ace_job_kind)kind : ACE_JOB_SONG;
}

/* Songs of a journal that is lost, from the job.json beside them. */
static ace_jobs_entry *read_result(const char *folder, const char *id)
{
    char path[ACE_FOLDER_PATH_BYTES + 32];
    (void)snprintf(path, sizeof path, "%s/job.json", folder);
    json_t *kept = json_load_file(path, 0, NULL);
    const char *text = json_string_value(json_object_get(kept, "title"));
    char *title = ace_strdup(text != NULL ? text : "");
    ace_jobs_entry *e =
        json_is_object(kept) && title != NULL ? ace_entry_create(kind_of(kept), "native") : NULL;
    if (e == NULL) {
        ace_free(title);
    } else {
        ace_free(e->title);
        e->title = title;
        memcpy(e->id, id, sizeof e->id - 1); /* as long as any other */
        e->status = ACE_JOB_DONE;
        e->created = json_number_value(json_object_get(kept, "created"));
        e->started = json_number_value(json_object_get(kept, "started"));
        e->finished = json_number_value(json_object_get(kept, "finished"));
        ace_entry_put(&e->params, json_incref(json_object_get(kept, "params")));
        ace_entry_put(&e->request, json_incref(json_object_get(kept, "request")));
        ace_entry_set_outcome(e, json_incref(json_object_get(kept, "outcome")));
        e->bytes = ace_folder_bytes(folder);
        if (!json_is_object(e->params) || !json_is_object(e->request)) {
            ace_entry_free(e);
            e = NULL;
        }
    }
    json_decref(kept);
    return e;
}

static void take_results(ace_jobs *jobs)
{
    char path[ACE_FOLDER_PATH_BYTES];
    int taken = 0;
    (void)snprintf(path, sizeof path, "%s/results", jobs->folder);
    DIR *dir = opendir(path);
    for (struct dirent *d = dir != NULL ? readdir(dir) : NULL; d != NULL; d = readdir(dir)) {
        if (!ace_entry_id_valid(d->d_name)) {
            continue;
        }
        ace_result_folder(jobs, d->d_name, false, path);
        ace_jobs_entry *e = read_result(path, d->d_name);
        taken += e != NULL && ace_journal_insert(jobs->journal, e, NULL, NULL) == ACESTEP_OK;
        ace_entry_free(e);
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
    if (taken > 0) {
        ace_log(ACE_LOG_WARNING, "jobs", "the new journal knows %d finished songs from their files",
                taken);
    }
}

static void forget_hidden(void *context, const char *id)
{
    (void)ace_journal_forget(((ace_jobs *)context)->journal, id, NULL);
}

ace_status ace_jobs_recover(ace_jobs *jobs, bool renewed, ace_error *err)
{
    char path[ACE_FOLDER_PATH_BYTES];
    (void)snprintf(path, sizeof path, "%s/results", jobs->folder);
    ace_folder_sweep(path, ".part");
    ace_journal_hidden(jobs->journal, drop_hidden, jobs);
    ace_journal_hidden(jobs->journal, forget_hidden, jobs);
    if (renewed) {
        take_results(jobs);
    }
    ace_status status = ace_journal_pending(jobs->journal, take_up, jobs, err);
    end_interrupted(jobs);
    for (int kind = 0; kind < ACE_JOB_KINDS; kind++) {
        double average = ace_journal_average(jobs->journal, (ace_job_kind)kind);
        jobs->average[kind] = average > 0 ? average : 5;
    }
    return status;
}
