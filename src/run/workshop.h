/* The workshop: machine, device, checkpoints, and what of them is on the device. One per engine. */
#ifndef ACE_RUN_WORKSHOP_H
#define ACE_RUN_WORKSHOP_H

#include "device/plugin.h"
#include "hardware/hardware.h"
#include "plan/settings.h"
#include "run/residency.h"

typedef struct ace_workshop {
    ace_hardware hardware;
    const ace_plugin *plugin; /* for the card; NULL: there is no card to compute on */
    ace_tier_table tiers;
    ace_models models;
    ace_device *cpu;          /* computes for cpu and sim, and where a card cannot */
    ace_device *cpu_measure;  /* counts for it */
    ace_device *card;         /* the plug-in's device; NULL: none */
    ace_device *device;       /* where songs are made: cpu, sim, or card; counts only under
                                 --exec shape */
    ace_device *measure;      /* counts for it */
    bool shape;               /* --exec shape: the schedule is walked, nothing is computed */
    ace_precisions precisions;
    ace_pack_cache cache;
    ace_silence_timbre silence;
    ace_residency residency;      /* of device */
    ace_residency host_residency; /* of the CPU, for jobs that fit nowhere else */
    ace_job_trace *trace;         /* of all jobs, opened by somebody else; NULL: each has its own */
    ace_warnings warnings;        /* of opening: the device was not there, … */
} ace_workshop;

ace_status ace_workshop_open(const ace_request *r, ace_workshop *out, ace_error *err);
void ace_workshop_close(ace_workshop *w); /* a zeroed one is fine */

/* Bytes that a plan may use of the device now: what is free and what the engine holds already, less
 * a margin for what other programs do meanwhile. */
size_t ace_workshop_budget(const ace_workshop *w);

#endif
