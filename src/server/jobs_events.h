/* The last events in a ring, numbered. Not guarded: the job service's lock does that. */
#ifndef ACE_SERVER_JOBS_EVENTS_H
#define ACE_SERVER_JOBS_EVENTS_H

#include "server/jobs.h"

enum { ACE_EVENTS_KEPT = 4096, ACE_EVENT_NAME_BYTES = 12 };

typedef struct ace_kept_event {
    char id[ACE_JOB_ID_BYTES];
    char name[ACE_EVENT_NAME_BYTES];
    char *data;
} ace_kept_event;

typedef struct ace_jobs_events_ring {
    ace_kept_event *event; /* number n lies at n % ACE_EVENTS_KEPT */
    uint64_t oldest, next; /* numbers */
} ace_jobs_events_ring;

/* Numbers begin where no earlier run of the program has been: a thousand for each second since
 * 1970. */
bool ace_events_init(ace_jobs_events_ring *ring);
void ace_events_free(ace_jobs_events_ring *ring);

/* data: JSON in one line, from malloc (json_dumps), taken over; NULL (no memory): the event is left
 * out, and nobody is told that he has missed it. */
void ace_events_add(ace_jobs_events_ring *ring, const char *id, const char *name, char *data);

uint64_t ace_events_visit(const ace_jobs_events_ring *ring, const char *id, uint64_t after,
                          bool *lost, ace_job_event_visitor *visit, void *context);

#endif
