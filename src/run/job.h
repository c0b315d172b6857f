/* A job: requests made ready, planned, run. The one way from what is asked for to finished songs,
 * whichever door the request came through. */
#ifndef ACE_RUN_JOB_H
#define ACE_RUN_JOB_H

#include "run/planning.h"

/* Briefs of all requests, settings of the first; the others must ask for the same settings. */
ace_status ace_job_create(ace_workshop *w, const ace_request *const *requests, int n,
                          ace_warnings *warnings, ace_job *out, ace_error *err);
/* For a goal other than songs made anew. What the language model says is in out->written[0] after the
 * run; the other goals give one song. */
ace_status ace_job_create_for(ace_workshop *w, const ace_request *request, ace_goal goal,
                              ace_warnings *warnings, ace_job *out, ace_error *err);
void ace_job_free(ace_job *job); /* a zeroed one is fine */

/* The guard, before every inference: a plan that fits what is free now, and the whole job on the
 * measure device. */
ace_status ace_job_plan(const ace_workshop *w, const ace_request *request, ace_job *job,
                        ace_warnings *warnings, ace_stage_log *plan, ace_error *err);

/* What a run leaves behind besides songs. */
typedef struct ace_job_report {
    ace_stage_log log;
    size_t peak_bytes; /* as the device itself saw it */
    ace_vae_place vae_place;
    int64_t vae_chunk;
    int replans;
    ace_trace_summary operations; /* with --trace or --profile */
    double aside_seconds;         /* spent on finding out what the machine can do, for the trace */
} ace_job_report;

void ace_job_report_free(ace_job_report *report); /* a zeroed one is fine */

/* The whole job on the real device, held to the plan. songs: room for ACE_MAX_SONGS. request and
 * warnings serve when a new plan is made: after the language model has written, and when memory
 * that was planned is gone. *plan is then the plan that held in the end. */
ace_status ace_job_run(ace_workshop *w, const ace_request *request, ace_job *job,
                       ace_stage_log *plan, ace_job_progress *progress, void *context,
                       ace_warnings *warnings, ace_job_report *report, ace_finished *songs,
                       int *n_songs, ace_error *err);

#endif
