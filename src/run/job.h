/* A job: requests made ready, planned, run. The one way from what is asked for to finished songs,
 * whichever door the request came through. */
#ifndef ACE_RUN_JOB_H
#define ACE_RUN_JOB_H

#include "run/pipeline.h"

/* The machine and the checkpoints of one engine. */
typedef struct ace_workshop {
    ace_models models;
    ace_device *device;  /* where songs are made */
    ace_device *measure; /* counts for it */
    ace_dtype matrix;    /* of weights and products */
    ace_dtype activation;
} ace_workshop;

ace_status ace_workshop_open(const ace_request *r, ace_workshop *out, ace_error *err);
void ace_workshop_close(ace_workshop *w); /* a zeroed one is fine */

/* Briefs of all requests, settings of the first; the others must ask for the same settings. */
ace_status ace_job_create(const ace_workshop *w, const ace_request *const *requests, int n,
                          ace_warnings *warnings, ace_job *out, ace_error *err);
void ace_job_free(ace_job *job); /* a zeroed one is fine */

/* The whole job on the measure device. */
ace_status ace_job_plan(const ace_workshop *w, const ace_job *job, ace_stage_log *plan,
                        ace_error *err);

/* The whole job on the real device, held to the plan. songs: room for ACE_MAX_SONGS. */
ace_status ace_job_run(const ace_workshop *w, const ace_job *job, const ace_stage_log *plan,
                       ace_job_progress *progress, void *context, ace_stage_log *found,
                       ace_finished *songs, int *n_songs, ace_error *err);

#endif
