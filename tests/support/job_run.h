/* Whole jobs for tests: options as "name=value;name=value" to finished songs. */
#ifndef TESTS_JOB_RUN_H
#define TESTS_JOB_RUN_H

#include "run/job.h"

typedef struct made {
    ace_finished song[ACE_MAX_SONGS];
    int n;
    ace_stage_log plan;
    ace_job_report report;
    ace_warnings warnings;
    ace_settings settings;
    ace_plan choice;
    ace_residency residency;   /* as the job left it: which parts are held; do not close */
    ace_lm_written written[2]; /* by the language model, for each request */
    char *text_prompt[2], *lyric_prompt[2]; /* of each request, in the end */
} made;

/* Without the language model unless the options ask for it. Fails the test when an option is wrong. The caller frees with ace_request_free. */
ace_request *job_request(const char *options);

/* Plans and runs a batch of up to two requests (second may be NULL) with the engine options of the
 * first. *out belongs to the caller (job_discard), after a failure too. */
ace_status job_try(const char *first, const char *second, made **out, ace_error *err);
/* The same; a failure fails the test. */
made *job_make(const char *first, const char *second);
void job_discard(made *m);

/* Every stage ran as it was rehearsed: bytes, work, copies. */
void job_check_plan(const made *m);
bool job_same_song(const ace_finished *a, const ace_finished *b);

#endif
