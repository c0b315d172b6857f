/* Looking at jobs: records, lists, files, figures. */
#include "server/jobs_state.h"

#include "base/log.h"
#include "base/memory.h"

#include <stdio.h>
#include <string.h>

json_t *ace_jobs_record(ace_jobs *jobs, const char *id)
{
    (void)pthread_mutex_lock(&jobs->lock);
    ace_jobs_entry *live = ace_live_find(jobs, id);
    ace_jobs_entry *kept = live == NULL ? ace_journal_find(jobs->journal, id) : NULL;
    ace_jobs_entry *e = live != NULL ? live : kept;
    json_t *record =
        e != NULL && !e->removed ? ace_entry_record(e, ace_queue_place(jobs, e), true) : NULL;
    ace_entry_free(kept);
    (void)pthread_mutex_unlock(&jobs->lock);
    return record;
}

int ace_jobs_status(ace_jobs *jobs, const char *id)
{
    (void)pthread_mutex_lock(&jobs->lock);
    const ace_jobs_entry *e = ace_live_find(jobs, id);
    int status = e == NULL    ? ace_journal_status(jobs->journal, id)
                 : e->removed ? -1
                              : (int)e->status;
    (void)pthread_mutex_unlock(&jobs->lock);
    return status;
}

/* ---- lists
 * ------------------------------------------------------------------------------------------ */

typedef struct listing {
    ace_jobs *jobs;
    json_t *records;
    int limit;
    char last[ACE_JOB_ID_BYTES];
    bool more;
} listing;

static bool take(void *context, ace_jobs_entry *kept)
{
    listing *l = context;
    if ((int)json_array_size(l->records) == l->limit) {
        l->more = true;
        ace_entry_free(kept);
        return false;
    }
    const ace_jobs_entry *live = ace_live_find(l->jobs, kept->id); /* knows its progress */
    const ace_jobs_entry *e = live != NULL ? live : kept;
    json_array_append_new(l->records, ace_entry_record(e, ace_queue_place(l->jobs, e), false));
    memcpy(l->last, kept->id, sizeof l->last);
    ace_entry_free(kept);
    return true;
}

json_t *ace_jobs_list(ace_jobs *jobs, const ace_jobs_filter *filter)
{
    ace_error err = {.code = ACESTEP_OK};
    int64_t total = 0;
    listing l = {.jobs = jobs, .records = json_array(), .limit = filter->limit};
    (void)pthread_mutex_lock(&jobs->lock);
    if (ace_journal_list(jobs->journal, filter, &total, take, &l, &err) != ACESTEP_OK) {
        ace_log(ACE_LOG_ERROR, "jobs", "%s", err.message);
    }
    (void)pthread_mutex_unlock(&jobs->lock);
    return json_pack("{s:o, s:s?, s:I}", "jobs", l.records, "next", l.more ? l.last : NULL, "total",
                     (json_int_t)total);
}

/* ---- files
 * ------------------------------------------------------------------------------------------ */

static json_t *item_of(ace_jobs *jobs, const char *id, int index)
{
    (void)pthread_mutex_lock(&jobs->lock);
    const ace_jobs_entry *live = ace_live_find(jobs, id);
    ace_jobs_entry *kept = live == NULL ? ace_journal_find(jobs->journal, id) : NULL;
    const ace_jobs_entry *e = live != NULL ? live : kept;
    json_t *item = e != NULL && !e->removed && index >= 0
                       ? json_deep_copy(json_array_get(e->items, (size_t)index))
                       : NULL;
    ace_entry_free(kept);
    (void)pthread_mutex_unlock(&jobs->lock);
    return item;
}

ace_status ace_jobs_file(ace_jobs *jobs, const char *id, int item, ace_job_file file, char **path,
                         ace_error *err)
{
    static const char *const names[] = {"audio", "sidecar", "lrc", "vtt"};
    *path = NULL;
    json_t *found = item_of(jobs, id, item);
    const char *address = json_string_value(json_object_get(found, names[file]));
    const char *extension = file == ACE_JOB_AUDIO
                                ? json_string_value(json_object_get(found, "extension"))
                            : file == ACE_JOB_SIDECAR ? "json"
                                                      : names[file];
    ace_status status = ACESTEP_OK;
    if (address == NULL || extension == NULL) {
        status = ace_fail(err, ACESTEP_ARGUMENT, "job %.30s has no %s of item %d", id, names[file],
                          item);
    } else {
        char folder[ACE_FOLDER_PATH_BYTES];
        char name[ACE_FOLDER_PATH_BYTES + 64];
        ace_result_folder(jobs, id, false, folder);
        (void)snprintf(name, sizeof name, "%s/%d.%.16s", folder, item, extension);
        *path = ace_strdup(name);
        status = *path != NULL ? ACESTEP_OK : ace_fail(err, ACESTEP_MEMORY, "jobs: no host memory");
    }
    json_decref(found);
    return status;
}

/* ---- figures
 * ---------------------------------------------------------------------------------------- */

void ace_jobs_statistics_read(ace_jobs *jobs, ace_jobs_statistics *out)
{
    int64_t finished = 0;
    (void)pthread_mutex_lock(&jobs->lock);
    *out = jobs->counted;
    ace_journal_counts(jobs->journal, out->jobs);
    ace_journal_sizes(jobs->journal, &finished, &out->result_bytes);
    out->queued = jobs->queued;
    out->queue_limit = jobs->options.queue_limit;
    out->running_seconds = jobs->running != NULL ? ace_unix_seconds() - jobs->running->started : 0;
    out->wait_seconds = ace_queue_wait(jobs, jobs->queued);
    out->average_seconds = jobs->average[ACE_JOB_SONG];
    (void)pthread_mutex_unlock(&jobs->lock);
}
