/* The ledger of device memory: who holds how much, the high-water mark, and a line in the trace
 * file (--trace-mem) for every change. */
#ifndef ACE_RUN_LEDGER_H
#define ACE_RUN_LEDGER_H

#include "base/status.h"
#include "plan/plan.h"
#include "run/trace.h"

#include <stdio.h>

typedef struct ace_ledger {
    size_t in_use, high_water; /* without the device's own workspace */
    size_t part[ACE_PARTS];
    size_t work;       /* the arena of the stage at hand */
    const char *stage; /* key */
    int step;          /* of the diffusion; -1 elsewhere */
    FILE *trace;       /* NULL: none */
    double started;
    ace_job_trace *timeline; /* hears of every change; borrowed, NULL: nobody */
} ace_ledger;

/* "" or NULL: no trace. */
ace_status ace_ledger_open(ace_ledger *l, const char *trace_path, ace_error *err);
void ace_ledger_close(ace_ledger *l);

void ace_ledger_alloc(ace_ledger *l, ace_part part, size_t bytes);
/* evict: the model leaves the device although the engine stays open. */
void ace_ledger_free(ace_ledger *l, ace_part part, bool evict);
void ace_ledger_alloc_work(ace_ledger *l, size_t bytes);
void ace_ledger_free_work(ace_ledger *l);
/* Copies change no memory; they are traced only. */
void ace_ledger_copy(ace_ledger *l, const char *component, const char *event, double bytes);
/* "plan", "stage", "end": the state as it is. */
void ace_ledger_mark(ace_ledger *l, const char *event, size_t bytes);
/* A step of the diffusion begins, with so much of the transformer on the device. */
void ace_ledger_step(ace_ledger *l, int step);

#endif
