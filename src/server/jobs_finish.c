/* The end of a job, and jobs whose end the journal could not take. */
#include "server/jobs_state.h"

#include "base/log.h"

#include <stdio.h>

static void count(ace_jobs *jobs, const ace_jobs_entry *e)
{
    ace_jobs_statistics *s = &jobs->counted;
    s->ended[e->kind][e->status]++;
    s->warnings += json_array_size(e->warnings);
    double seconds = e->began > 0 ? e->finished - e->started : 0;
    s->busy_seconds += seconds;
    s->done_seconds[e->kind] += e->status == ACE_JOB_DONE ? seconds : 0;
    size_t i = 0;
    json_t *item = NULL;
    if (e->kind != ACE_JOB_SONG) {
        return;
    }
    json_array_foreach (e->items, i, item) {
        s->songs++;
        s->audio_seconds += json_number_value(json_object_get(item, "seconds"));
    }
}

static void tell(ace_jobs *jobs, const ace_jobs_entry *e)
{
    json_t *more = json_pack("{s:f}", "finished", e->finished);
    if (e->error != NULL) {
        json_object_set(more, "error", e->error);
    }
    if (e->timings != NULL) {
        json_object_set(more, "timings", e->timings);
    }
    json_object_set_new(more, "items", json_integer((json_int_t)json_array_size(e->items)));
    ace_job_tell(jobs, e, ace_job_status_name(e->status), more);
}

void ace_job_end(ace_jobs *jobs, ace_jobs_entry *e, ace_job_status status)
{
    ace_error err = {.code = ACESTEP_OK};
    e->status = status;
    /* a clock that is set meanwhile changes no job's length */
    e->finished = e->began > 0 ? e->started + ace_entry_elapsed(e) : ace_unix_seconds();
    e->next = NULL;
    if (e->removed) { /* nobody will ask for it again */
        (void)ace_job_drop(jobs, e->id);
        ace_entry_free(e);
        return;
    }
    bool saved = ace_journal_update(jobs->journal, e, &err) == ACESTEP_OK;
    count(jobs, e);
    if (status == ACE_JOB_DONE) {
        double average = ace_journal_average(jobs->journal, e->kind);
        jobs->average[e->kind] = average > 0 ? average : jobs->average[e->kind];
    }
    tell(jobs, e);
    if (saved) {
        ace_entry_free(e);
        return;
    }
    ace_log(ACE_LOG_ERROR, "jobs", "%s: its end could not be noted: %s", e->id, err.message);
    e->next = jobs->unsaved;
    jobs->unsaved = e;
}

void ace_job_save_again(ace_jobs *jobs)
{
    while (jobs->unsaved != NULL &&
           ace_journal_update(jobs->journal, jobs->unsaved, NULL) == ACESTEP_OK) {
        ace_jobs_entry *e = jobs->unsaved;
        jobs->unsaved = e->next;
        ace_entry_free(e);
    }
}
