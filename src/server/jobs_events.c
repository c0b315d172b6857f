#include "server/jobs_events.h"

#include "base/memory.h"
#include "server/jobs_entry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool ace_events_init(ace_jobs_events_ring *ring)
{
    ring->event = ace_calloc(ACE_EVENTS_KEPT, sizeof *ring->event);
    ring->next = (uint64_t)(ace_unix_seconds() * 1000);
    ring->oldest = ring->next;
    return ring->event != NULL;
}

void ace_events_free(ace_jobs_events_ring *ring)
{
    for (size_t i = 0; ring->event != NULL && i < ACE_EVENTS_KEPT; i++) {
        free(ring->event[i].data);
    }
    ace_free(ring->event);
    ring->event = NULL;
}

void ace_events_add(ace_jobs_events_ring *ring, const char *id, const char *name, char *data)
{
    if (data == NULL) {
        return;
    }
    ace_kept_event *e = &ring->event[ring->next % ACE_EVENTS_KEPT];
    free(e->data);
    e->data = data;
    (void)snprintf(e->id, sizeof e->id, "%s", id);
    (void)snprintf(e->name, sizeof e->name, "%s", name);
    ring->next++;
    if (ring->next - ring->oldest > ACE_EVENTS_KEPT) {
        ring->oldest++;
    }
}

uint64_t ace_events_visit(const ace_jobs_events_ring *ring, const char *id, uint64_t after,
                          bool *lost, ace_job_event_visitor *visit, void *context)
{
    /* a number of the future is one of another clock's time: nothing can be said about it either */
    *lost = after != 0 && (after + 1 < ring->oldest || after >= ring->next);
    uint64_t n = after >= ring->oldest && after < ring->next ? after + 1 : ring->oldest;
    for (; n < ring->next; n++) {
        const ace_kept_event *e = &ring->event[n % ACE_EVENTS_KEPT];
        if (id == NULL || strcmp(id, e->id) == 0) {
            visit(context, &(ace_job_event){n, e->id, e->name, e->data});
        }
    }
    return ring->next - 1;
}
