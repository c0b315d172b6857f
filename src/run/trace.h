/* The trace of a job: a file in the Trace Event Format that Perfetto and Chrome's about:tracing
 * open (--trace), and the sums of it, by stage and operation. Stages, loads and operations lie on
 * tracks of their own; device memory is a counter. --profile has the sums without the file, sums by
 * shape, and device memory over time.
 *
 * Events go to the file as they happen, so a trace takes no memory to speak of. A file that cannot
 * be written costs the trace, not the job: ace_trace_close tells. One thread at a time. */
#ifndef ACE_RUN_TRACE_H
#define ACE_RUN_TRACE_H

#include "run/kernel_sums.h"
#include "run/timeline.h"

enum { ACE_TRACE_STAGES = 16, ACE_TRACE_OPERATIONS = 16 };

/* A stage that runs several times is one entry. */
typedef struct ace_trace_stage {
    const char *key; /* static */
    double seconds;  /* from begin to end */
    double load_seconds;
    ace_operation_sum operation[ACE_TRACE_OPERATIONS]; /* in order of first use */
    int n_operations;
} ace_trace_stage;

typedef struct ace_trace_summary {
    ace_trace_stage stage[ACE_TRACE_STAGES];
    int n_stages;
    bool timed;               /* false: nothing was computed, FLOPs and bytes alone count */
    ace_roofline limits;      /* of the machine, before and after; zeros: not known */
    ace_kernel_sums *kernels; /* in order; owned; NULL: not asked for */
    ace_timeline *timeline;   /* owned; NULL: not asked for */
} ace_trace_summary;

void ace_trace_summary_free(ace_trace_summary *summary); /* a zeroed one is fine */

typedef struct ace_trace_options {
    const char *path;    /* of the file; "" or NULL: none */
    bool profile;        /* sums by shape, memory over time */
    bool timed;          /* the device computes */
    ace_roofline limits; /* measured before; zeros: shares of it are not known */
} ace_trace_options;

typedef struct ace_job_trace ace_job_trace;

/* Never fails for a file that cannot be opened: that is found at closing. */
ace_status ace_trace_open(const ace_trace_options *options, ace_job_trace **out, ace_error *err);
/* Limits measured after the run: higher ones count for what has been summed too. */
void ace_trace_raise(ace_job_trace *trace, const ace_roofline *limits);
/* Ends the file. ACESTEP_IO: it could not be written, wholly or in part. The caller frees the
 * summary, which may be NULL. */
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
