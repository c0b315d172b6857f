/* The trace of a job (--trace): a file in the Trace Event Format that Perfetto and Chrome's
 * about:tracing open, and the sums of it, by stage and operation. Stages, loads and operations lie
 * on tracks of their own; device memory is a counter.
 *
 * Events go to the file as they happen, so a trace takes no memory to speak of. A file that cannot
 * be written costs the trace, not the job: ace_trace_close tells. One thread at a time. */
#ifndef ACE_RUN_TRACE_H
#define ACE_RUN_TRACE_H

#include "device/device.h"
#include "plan/plan.h"

enum { ACE_TRACE_STAGES = 16, ACE_TRACE_OPERATIONS = 16 };

typedef struct ace_trace_sum {
    const char *name; /* of the operation; static */
    uint64_t calls;
    double seconds;
    double flops;
    double read, written; /* bytes */
} ace_trace_sum;

/* A stage that runs several times is one entry. */
typedef struct ace_trace_stage {
    const char *key; /* static */
    double seconds;  /* from begin to end */
    double load_seconds;
    ace_trace_sum operation[ACE_TRACE_OPERATIONS]; /* in order of first use */
    int n_operations;
} ace_trace_stage;

typedef struct ace_trace_summary {
    ace_trace_stage stage[ACE_TRACE_STAGES];
    int n_stages;
} ace_trace_summary;

typedef struct ace_job_trace ace_job_trace;

/* Never fails for a file that cannot be opened: that is found at closing. */
ace_status ace_trace_open(const char *path, ace_job_trace **out, ace_error *err);
/* Ends the file. ACESTEP_IO: it could not be written, wholly or in part. summary: may be NULL. */
ace_status ace_trace_close(ace_job_trace *trace, ace_trace_summary *summary, ace_error *err);

/* For the devices that the job runs on; NULL trace: NULL. */
const ace_watch *ace_trace_watch(const ace_job_trace *trace);

/* All of these do nothing without a trace. Names are static; times are ace_clock_seconds(). */
void ace_trace_stage_begin(ace_job_trace *trace, const char *key);
void ace_trace_stage_end(ace_job_trace *trace, const char *name, double started, double flops,
                         size_t peak_bytes);
void ace_trace_load(ace_job_trace *trace, const char *name, double started, size_t bytes);
/* What each part of the models and the stage's work hold now. */
void ace_trace_memory(ace_job_trace *trace, const size_t part[ACE_PARTS], size_t work);

#endif
