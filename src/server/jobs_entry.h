/* One job as the service holds it: what the journal keeps of it, and where it stands now. Plain
 * data; whoever holds the entry guards it. */
#ifndef ACE_SERVER_JOBS_ENTRY_H
#define ACE_SERVER_JOBS_ENTRY_H

#include "server/jobs.h"

enum { ACE_STAGE_BYTES = 128 };

typedef struct ace_jobs_entry {
    char id[ACE_JOB_ID_BYTES];
    ace_job_kind kind;
    ace_job_status status;
    char origin[16];
    double created, started, finished; /* unix seconds; 0: not yet */
    int64_t position;                  /* order in the queue, the lowest first */
    int runs;                          /* times it was begun and not given back */
    bool favourite;
    char *title;       /* never NULL */
    double expected;   /* seconds it will take; 0: unknown */
    const char *basis; /* of that: a literal of jobs_times.h */
    uint64_t bytes;    /* of its files */
    json_t *params;    /* as asked */
    json_t *request;   /* options that differ from the engine's own defaults: those to run with */
    json_t *plan;      /* or NULL, as everything below */
    json_t *items, *words, *warnings, *timings, *error;

    /* of a running one */
    char stage[ACE_STAGE_BYTES];
    double fraction, whole;
    double began; /* by the clock that nobody sets; 0: it has not run since the program began */
    bool cancel, removed;

    struct ace_jobs_entry *next; /* in the queue */
} ace_jobs_entry;

/* A new one with an id later than all others of this process. NULL when memory is short. */
ace_jobs_entry *ace_entry_create(ace_job_kind kind, const char *origin);
void ace_entry_free(ace_jobs_entry *entry); /* NULL is fine */

/* Takes over the new value. */
void ace_entry_put(json_t **slot, json_t *value);

/* "j_" and so on: may this be an id at all? */
bool ace_entry_id_valid(const char *id);

double ace_unix_seconds(void);

/* Where it stands in the queue, and when it will start; position 0: it is not queued. */
typedef struct ace_entry_place {
    int position;
    double wait_seconds;
} ace_entry_place;

/* Seconds until a running one will be done, by its own progress or by what was expected; below 0:
 * unknown. */
double ace_entry_remaining(const ace_jobs_entry *entry);
/* Seconds that it has run; 0: it does not. */
double ace_entry_elapsed(const ace_jobs_entry *entry);

/* The record; whole: with request, plan and codes. NULL when memory is short. */
json_t *ace_entry_record(const ace_jobs_entry *entry, ace_entry_place place, bool whole);

/* {"stage", "fraction", "whole", "eta_seconds"} */
json_t *ace_entry_progress(const ace_jobs_entry *entry);

/* What the journal keeps in one column: plan, items, words, warnings, timings, error. */
json_t *ace_entry_outcome(const ace_jobs_entry *entry);
void ace_entry_set_outcome(ace_jobs_entry *entry, json_t *outcome); /* takes it over */

/* {"code", "message", "hint"}: code is one word for programs. */
json_t *ace_entry_error(ace_status code, const char *message);

#endif
