/* What lies on the device in the course of a run: a sample at every change. */
#ifndef ACE_RUN_TIMELINE_H
#define ACE_RUN_TIMELINE_H

#include "plan/plan.h"

enum { ACE_TIMELINE_SAMPLES = 4096 };

typedef struct ace_memory_sample {
    double at;         /* s since the run began */
    const char *stage; /* key; static */
    size_t part[ACE_PARTS];
    size_t work; /* of the stage */
} ace_memory_sample;

/* A full one is halved: of two neighbours the larger stays, so that the peak is never lost. */
typedef struct ace_timeline {
    ace_memory_sample sample[ACE_TIMELINE_SAMPLES];
    int n;
    double end; /* s: when the last sample was taken, that is when everything had been given back */
} ace_timeline;

size_t ace_memory_sample_bytes(const ace_memory_sample *s);
void ace_timeline_add(ace_timeline *t, const ace_memory_sample *sample);

#endif
