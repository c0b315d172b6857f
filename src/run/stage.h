/* Stages: one part of the pipeline at a time in one arena of the device.
 *
 * The same stage functions run twice. First on the measure device, where the log they leave behind
 * is the plan: bytes, FLOPs and copies of every stage. Then on the real device, where each arena
 * has exactly the planned size and the log must come out the same. One thread at a time. */
#ifndef ACE_RUN_STAGE_H
#define ACE_RUN_STAGE_H

#include "device/stream.h"
#include "weights/loader.h"

enum { ACE_MAX_STAGES = 16 };

typedef struct ace_stage_record {
    const char *name;  /* "text encoder", "diffusion", … static */
    size_t peak_bytes; /* high-water mark of the arena */
    ace_arena_tag tags[ACE_ARENA_MAX_TAGS];
    int n_tags;
    ace_stream_counters counters;
    double load_seconds, compute_seconds; /* 0 in a plan */
} ace_stage_record;

typedef struct ace_stage_log {
    ace_stage_record stage[ACE_MAX_STAGES];
    int count;
} ace_stage_log;

/* The largest stage plus what the device itself holds. */
size_t ace_stage_log_peak(const ace_stage_log *log, const ace_device *device);

/* Called between steps; whole: 0 … 1 of the job by FLOPs. Return false to cancel. */
typedef bool ace_job_progress(void *context, const char *stage, double fraction, double whole);

typedef struct ace_runner {
    ace_device *device;
    const ace_stage_log *plan; /* NULL: this run makes the plan */
    ace_stage_log log;
    ace_dtype activation; /* F32 or BF16 */
    ace_dtype matrix;     /* F32, BF16 or I8 */
    ace_job_progress *progress;
    void *progress_context;
    ace_error *error;
} ace_runner;

typedef struct ace_stage {
    ace_runner *runner;
    ace_arena arena;
    ace_stream stream;
    ace_loader loader;
    double started, loaded;
} ace_stage;

/* Opens the next stage's arena and its stream. */
ace_status ace_stage_begin(ace_runner *r, const char *name, ace_stage *stage);
/* The stage's weights are asked for between these two. */
void ace_stage_load_begin(ace_stage *stage, const ace_weights *weights);
ace_status ace_stage_load_end(ace_stage *stage);
/* Closes the arena, appends the record, and compares it with the plan. Call after a failure too;
 * returns the stream's status. */
ace_status ace_stage_end(ace_stage *stage);

#endif
