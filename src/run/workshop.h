/* The workshop: machine, device, checkpoints, and what of them is on the device. One per engine. */
#ifndef ACE_RUN_WORKSHOP_H
#define ACE_RUN_WORKSHOP_H

#include "device/plugin.h"
#include "hardware/hardware.h"
#include "plan/settings.h"
#include "run/residency.h"

/* What has become of the card: run/recovery.h. */
typedef struct ace_card_health {
    bool lost; /* it has failed and is not open anew: card is NULL where that was tried in vain */
    int losses, reopened;
    double tried;      /* ace_clock_seconds() of the last try to open it anew */
    char cause[1024];  /* of the last loss; "": there was none */
    char problem[256]; /* why it could not be opened anew; "" */
} ace_card_health;

typedef struct ace_workshop {
    ace_hardware hardware;
    const ace_plugin *plugin; /* for the card; NULL: there is no card to compute on */
    ace_tier_table tiers;
    ace_models models;
    ace_device *cpu;         /* computes for cpu and sim, and where a card cannot */
    ace_device *cpu_measure; /* counts for it */
    ace_device *card;        /* the plug-in's device; NULL: none */
    ace_device *device;      /* where songs are made: cpu, sim, or card; counts only under
                                 --exec shape */
    ace_device *measure;     /* counts for it */
    bool shape;              /* --exec shape: the schedule is walked, nothing is computed */
    ace_precisions precisions;
    ace_pack_cache cache;
    ace_silence_timbre silence;
    ace_residency residency;      /* of device */
    ace_residency host_residency; /* of the CPU, for jobs that fit nowhere else */
    ace_job_trace *trace;         /* of all jobs, opened by somebody else; NULL: each has its own */
    ace_warnings warnings;        /* of opening: the device was not there, … */
    ace_card_health health;
} ace_workshop;

ace_status ace_workshop_open(const ace_request *r, ace_workshop *out, ace_error *err);
void ace_workshop_close(ace_workshop *w); /* a zeroed one is fine */

/* The half of it that depends on the device, all that it holds included. What fails to open is to
 * be closed. */
ace_status ace_workshop_open_device(const ace_request *r, ace_workshop *w, ace_error *err);
void ace_workshop_close_device(ace_workshop *w);

/* Bytes that a plan may use of the device now: what is free and what the engine holds already, less
 * a margin for what other programs do meanwhile. */
size_t ace_workshop_budget(const ace_workshop *w);

#endif
