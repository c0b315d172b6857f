/* Looking at jobs: records, lists, files, figures. */
#include "server/jobs_state.h"

#include "base/log.h"
#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
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

/* False when there was no room for it. */
static bool show(listing *l, const ace_jobs_entry *e)
{
    if ((int)json_array_size(l->records) == l->limit) {
        l->more = true;
        return false;
    }
    json_array_append_new(l->records, ace_entry_record(e, ace_queue_place(l->jobs, e), false));
    memcpy(l->last, e->id, sizeof l->last);
    return true;
}

static bool take(void *context, ace_jobs_entry *kept)
{
    listing *l = context;
    const ace_jobs_entry *live = ace_live_find(l->jobs, kept->id); /* knows its progress */
    bool more = show(l, live != NULL ? live : kept);
    ace_entry_free(kept);
    return more;
}

/* What has not ended is in memory, and asked for often: the journal of thousands is left alone. */
static bool is_all_live(const ace_jobs_filter *f)
{
    const unsigned live = 1u << ACE_JOB_QUEUED | 1u << ACE_JOB_RUNNING;
    return f->statuses != 0 && (f->statuses & ~live) == 0 && f->text == NULL;
}

static bool matches(const ace_jobs_entry *e, const ace_jobs_filter *f)
{
    return (f->statuses >> e->status & 1u) != 0 && !e->removed &&
           (f->kinds == 0 || (f->kinds >> e->kind & 1u) != 0) &&
           (f->favourite < 0 || e->favourite == (f->favourite > 0)) &&
           (f->origin == NULL || strcmp(f->origin, e->origin) == 0);
}

static int newer_first(const void *a, const void *b)
{
    return strcmp((*(ace_jobs_entry *const *)b)->id, (*(ace_jobs_entry *const *)a)->id);
}

static void list_live(listing *l, const ace_jobs_filter *f, int64_t *total)
{
    ace_jobs *jobs = l->jobs;
    const ace_jobs_entry **found = ace_calloc((size_t)jobs->queued + 1, sizeof *found);
    size_t n = 0;
    if (found == NULL) {
        return;
    }
    if (jobs->running != NULL && matches(jobs->running, f)) {
        found[n++] = jobs->running;
    }
    for (const ace_jobs_entry *e = jobs->queue; e != NULL; e = e->next) {
        if (matches(e, f)) {
            found[n++] = e;
        }
    }
    qsort(found, n, sizeof *found, newer_first);
    *total = (int64_t)n;
    for (size_t i = 0; i < n && !l->more; i++) {
        if (f->after == NULL || strcmp(found[i]->id, f->after) < 0) {
            (void)show(l, found[i]);
        }
    }
    ace_free(found);
}

json_t *ace_jobs_list(ace_jobs *jobs, const ace_jobs_filter *filter)
{
    ace_error err = {.code = ACESTEP_OK};
    int64_t total = 0;
    listing l = {.jobs = jobs, .records = json_array(), .limit = filter->limit};
    (void)pthread_mutex_lock(&jobs->lock);
    if (is_all_live(filter)) {
        list_live(&l, filter, &total);
    } else if (ace_journal_list(jobs->journal, filter, &total, take, &l, &err) != ACESTEP_OK) {
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
    static const char *const names[] = {"audio", "sidecar", "lrc", "vtt", "latents"};
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

void ace_jobs_measure(ace_jobs *jobs, const char *id)
{
    char folder[ACE_FOLDER_PATH_BYTES];
    ace_error err = {.code = ACESTEP_OK};
    ace_result_folder(jobs, id, false, folder);
    uint64_t bytes = ace_folder_bytes(folder);
    (void)pthread_mutex_lock(&jobs->lock);
    if (ace_journal_measure(jobs->journal, id, bytes, &err) != ACESTEP_OK) {
        ace_log(ACE_LOG_WARNING, "jobs", "%s", err.message);
    }
    (void)pthread_mutex_unlock(&jobs->lock);
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
    out->running_seconds = jobs->running != NULL ? ace_entry_elapsed(jobs->running) : 0;
    out->wait_seconds = ace_queue_wait(jobs, jobs->queued);
    out->average_seconds = jobs->average[ACE_JOB_SONG];
    (void)pthread_mutex_unlock(&jobs->lock);
}
