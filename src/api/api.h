/* Inside of the public API, shared by its files. */
#ifndef ACE_API_API_H
#define ACE_API_API_H

#include "acestep.h"
#include "run/job.h"
#include "run/output.h"

#include <jansson.h>

struct acestep_request {
    ace_request *options;
};

struct acestep_engine {
    ace_workshop workshop;
    double opening_seconds; /* that no result has told of yet */
};

struct acestep_plan {
    ace_stage_log stages;
    ace_settings settings;
    ace_plan choice;
    char device[96];
    size_t cap_bytes;        /* of the device; 0: none */
    int layers;              /* of the diffusion transformer */
    double expected_seconds; /* 0: unknown */
    bool on_card;
    ace_warnings warnings;
    char model[128];
    int steps; /* of diffusion; 0: there is none */
    int songs;
    double seconds; /* of audio, all songs together */
};

struct acestep_result {
    acestep_plan plan;
    ace_job_report found;
    ace_job job;
    ace_finished song[ACE_MAX_SONGS];
    int n_songs;
    char *path[ACE_MAX_SONGS]; /* owned */
    char *beside;        /* owned: a path with the name that files without audio have; or NULL */
    double wall_seconds; /* from the call to the last written file */
    double planning_seconds, writing_seconds;
    double opening_seconds; /* of the engine, before its first songs; 0 for others */
};

_Static_assert(sizeof(acestep_error) == sizeof(ace_error), "the public error is the inner one");

static inline ace_error *ace_inner_error(acestep_error *err)
{
    if (err != NULL) {
        err->code = ACESTEP_OK;
        err->message[0] = '\0';
    }
    return (ace_error *)err;
}

/* engine.c: plans a job and describes the plan. */
ace_status ace_plan_for(const ace_workshop *w, const ace_request *request, ace_job *job,
                        acestep_plan *plan, ace_error *err);

/* report.c */
json_t *ace_stage_log_json(const ace_stage_log *log, size_t peak_bytes);
json_t *ace_plan_choice_json(const acestep_plan *plan);
json_t *ace_warnings_json(const ace_warnings *w);
void ace_report_bytes(size_t bytes, char *out, size_t room); /* "1.25 GB" */
char *ace_plan_table(const acestep_plan *plan);
char *ace_result_table(const acestep_result *result);

/* operations.c: where the time of a traced run went. The table is "" without a trace; the caller
 * frees with free(). */
char *ace_operations_table(const ace_trace_summary *summary);
json_t *ace_operations_json(const ace_trace_summary *summary);
/* The same by shape, the `most` that take longest. */
char *ace_kernels_table(const ace_trace_summary *summary, int most);
json_t *ace_kernels_json(const ace_trace_summary *summary, int most);

/* sidecar.c: what the language model wrote for a brief. */
json_t *ace_lm_report_json(const acestep_result *result, int brief);
/* Where the time of the language model went: {"words": {…}, "codes": {…}}. */
json_t *ace_lm_phases_json(const ace_lm_written *w);
/* Everything needed to make this one song again. The caller frees with free(). */
char *ace_sidecar_json(const ace_request *request, const ace_workshop *w, const ace_brief *brief,
                       const ace_finished *song, const acestep_result *result);

/* {"lm": …, "dit": …} of a song that has been scored. */
json_t *ace_lyric_score_json(const ace_finished *song);
/* {"global": …, "conditions": {"caption": …, …}} */
json_t *ace_lm_score_json(const ace_lm_score *score);

#endif
