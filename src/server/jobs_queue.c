/* The queue: a list by position, of jobs that are in the journal. */
#include "server/jobs_state.h"

#include "base/log.h"
#include "base/memory.h"

#include <string.h>

void ace_queue_insert(ace_jobs *jobs, ace_jobs_entry *e)
{
    ace_jobs_entry **at = &jobs->queue;
    while (*at != NULL && (*at)->position <= e->position) {
        at = &(*at)->next;
    }
    e->next = *at;
    *at = e;
    jobs->queued++;
}

bool ace_queue_take_out(ace_jobs *jobs, ace_jobs_entry *e)
{
    for (ace_jobs_entry **at = &jobs->queue; *at != NULL; at = &(*at)->next) {
        if (*at == e) {
            *at = e->next;
            e->next = NULL;
            jobs->queued--;
            return true;
        }
    }
    return false;
}

static ace_jobs_entry *find(ace_jobs_entry *list, const char *id)
{
    while (list != NULL && strcmp(list->id, id) != 0) {
        list = list->next;
    }
    return list;
}

ace_jobs_entry *ace_queue_find(ace_jobs *jobs, const char *id)
{
    return find(jobs->queue, id);
}

ace_jobs_entry *ace_live_find(ace_jobs *jobs, const char *id)
{
    if (jobs->running != NULL && strcmp(jobs->running->id, id) == 0) {
        return jobs->running;
    }
    ace_jobs_entry *e = find(jobs->queue, id);
    return e != NULL ? e : find(jobs->unsaved, id);
}

static double expected_of(const ace_jobs *jobs, const ace_jobs_entry *e)
{
    return e->expected > 0 ? e->expected : jobs->average[e->kind];
}

double ace_queue_wait(ace_jobs *jobs, int before)
{
    double wait = 0;
    if (jobs->running != NULL) {
        double remaining = ace_entry_remaining(jobs->running);
        wait = remaining >= 0 ? remaining : jobs->average[jobs->running->kind];
    }
    for (const ace_jobs_entry *e = jobs->queue; e != NULL && before > 0; e = e->next, before--) {
        wait += expected_of(jobs, e);
    }
    return wait;
}

ace_entry_place ace_queue_place(ace_jobs *jobs, const ace_jobs_entry *e)
{
    int position = 1;
    if (e->status != ACE_JOB_QUEUED) {
        return (ace_entry_place){0, 0};
    }
    for (const ace_jobs_entry *at = jobs->queue; at != NULL && at != e; at = at->next) {
        position++;
    }
    return (ace_entry_place){position, ace_queue_wait(jobs, position - 1)};
}

/* ---- another order
 * ---------------------------------------------------------------------------------- */

static bool is_named(const ace_jobs_entry *e, const char *const *ids, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(ids[i], e->id) == 0) {
            return true;
        }
    }
    return false;
}

static void append(ace_jobs_entry ***end, ace_jobs_entry *e)
{
    **end = e;
    *end = &e->next;
}

/* The named ones of the list first, in their order, then the others in theirs. */
static ace_jobs_entry *ordered(ace_jobs_entry *list, const char *const *ids, size_t n)
{
    ace_jobs_entry *named = NULL;
    ace_jobs_entry *others = NULL;
    ace_jobs_entry **end = &named;
    ace_jobs_entry **rest = &others;
    for (size_t i = 0; i < n; i++) {
        for (ace_jobs_entry **at = &list; *at != NULL; at = &(*at)->next) {
            if (strcmp((*at)->id, ids[i]) == 0) {
                ace_jobs_entry *e = *at;
                *at = e->next;
                append(&end, e);
                break;
            }
        }
    }
    while (list != NULL) {
        ace_jobs_entry *e = list;
        list = e->next;
        append(&rest, e);
    }
    *rest = NULL;
    *end = others;
    return named;
}

static void number(ace_jobs_entry *list, int64_t first)
{
    for (; list != NULL; list = list->next) {
        list->position = first++;
    }
}

/* As the journal has it: by position, which the failed change has overwritten. */
static void restore(ace_jobs *jobs, ace_jobs_entry **before, int n, int64_t first)
{
    ace_jobs_entry **end = &jobs->queue;
    for (int i = 0; i < n; i++) {
        append(&end, before[i]);
    }
    *end = NULL;
    number(jobs->queue, first);
}

static void tell_places(ace_jobs *jobs, const char *const *ids, size_t n)
{
    for (const ace_jobs_entry *e = jobs->queue; e != NULL; e = e->next) {
        if (is_named(e, ids, n)) {
            ace_entry_place place = ace_queue_place(jobs, e);
            ace_job_tell(jobs, e, "queued",
                         json_pack("{s:i, s:f}", "queue_position", place.position, "wait_seconds",
                                   place.wait_seconds));
        }
    }
}

ace_job_change ace_jobs_reorder(ace_jobs *jobs, const char *const *ids, size_t n)
{
    ace_error err = {.code = ACESTEP_OK};
    ace_job_change change = ACE_JOB_CHANGED;
    (void)pthread_mutex_lock(&jobs->lock);
    int count = jobs->queued;
    ace_jobs_entry **before = ace_calloc((size_t)count, sizeof *before);
    if (count > 0 && before != NULL) {
        int64_t first = jobs->queue->position;
        int i = 0;
        for (ace_jobs_entry *e = jobs->queue; e != NULL; e = e->next) {
            before[i++] = e;
        }
        jobs->queue = ordered(jobs->queue, ids, n);
        number(jobs->queue, first);
        if (ace_journal_reorder(jobs->journal, jobs->queue, &err) != ACESTEP_OK) {
            ace_log(ACE_LOG_ERROR, "jobs", "%s", err.message);
            restore(jobs, before, count, first);
            change = ACE_JOB_UNSAVED;
        } else {
            tell_places(jobs, ids, n);
        }
    }
    ace_free(before);
    (void)pthread_mutex_unlock(&jobs->lock);
    return change;
}
