/* Stages: one step of the pipeline at a time. A stage borrows the parts of the models that it needs
 * and works in an arena of its own.
 *
 * The same stage functions run twice. First on the measure device, where the log they leave behind
 * is the rehearsal: bytes, FLOPs and copies of every stage. Then on the real device, where every
 * reservation has exactly the rehearsed size and the log must come out the same. One thread at a
 * time. */
#ifndef ACE_RUN_STAGE_H
#define ACE_RUN_STAGE_H

#include "device/stream.h"
#include "plan/warnings.h"
#include "run/residency.h"
#include "run/trace.h"
#include "weights/loader.h"

enum { ACE_MAX_STAGES = 16 };

typedef struct ace_stage_record {
    const char *name;  /* "text encoder", "diffusion", … static */
    const char *key;   /* "text", "diffusion", … static */
    size_t peak_bytes; /* most on the device while the stage lasted: parts of models and work */
    size_t work_bytes; /* of its own arena */
    size_t part_bytes[ACE_PARTS]; /* held at the end of the stage, or dropped during it */
    uint64_t allocations;         /* blocks of its own arena */
    size_t host_bytes;            /* of work done on the CPU in the device's place */
    ace_arena_tag tags[ACE_ARENA_MAX_TAGS];
    int n_tags;
    ace_stream_counters counters;
    double load_seconds, compute_seconds; /* 0 in a rehearsal */
} ace_stage_record;

typedef struct ace_stage_log {
    ace_stage_record stage[ACE_MAX_STAGES];
    int count;
    size_t part_bytes[ACE_PARTS]; /* of every part that was loaded */
    size_t workspace_bytes;       /* what the device itself holds */
} ace_stage_log;

/* The largest stage plus what the device itself holds. */
size_t ace_stage_log_peak(const ace_stage_log *log);
double ace_stage_log_uploaded(const ace_stage_log *log);

/* Called between steps; whole: 0 … 1 of the job by FLOPs. Return false to cancel. */
typedef bool ace_job_progress(void *context, const char *stage, double fraction, double whole);

struct ace_lm_written;

typedef struct ace_runner {
    ace_device *device;
    ace_device *host, *host_measure; /* the CPU, for what the device cannot do; may be the same */
    ace_residency *residency;        /* NULL: stages load into their own arena (probe) */
    const ace_plan *plan;
    const ace_stage_log *expected; /* NULL: this run is the rehearsal */
    ace_stage_log log;
    ace_dtype activation; /* F32 or BF16 */
    ace_dtype matrix;     /* of stages that load into their own arena */
    bool keeps_steps;     /* of evaluations that come again: the setting "compile model" */
    ace_job_progress *progress;
    void *progress_context;
    ace_vae_place vae_place; /* how the songs were decoded in the end */
    int64_t vae_chunk;
    ace_warnings *warnings; /* of fallbacks during the run; NULL in a rehearsal */
    /* After an allocation failed although it was planned: plans anew with what is free now, changes
     * plan and expected, and returns OK if the stage may be tried again. NULL: never. */
    ace_status (*replan)(struct ace_runner *);
    void *replan_context;
    int replans;
    ace_job_trace *trace; /* NULL: none */
    /* After the language model has written: plans what follows. NULL: nobody waits for it. */
    ace_status (*after_lm)(struct ace_runner *, struct ace_lm_written *);
    ace_error *error;
} ace_runner;

typedef struct ace_stage {
    ace_runner *runner;
    ace_arena arena;
    ace_stream stream;
    ace_loader loader;
    ace_stream_counters loaded; /* copies of borrowed parts */
    size_t held_peak;           /* most held by parts while the arena is open, or before it */
    size_t peak;                /* seen so far */
    bool deviates;              /* fell back: is not held to the rehearsal any more */
    bool bounded; /* how much it does is known only when it is done: the rehearsal is the most, and
                     its bytes are reserved whatever comes */
    size_t host_bytes;
    double started, loaded_at;
    char doing[64]; /* what it is about, for progress: "codes, token 120, 31.0/s"; empty: nothing */
} ace_stage;

/* Starts the next record. No memory yet. */
ace_status ace_stage_begin(ace_runner *r, const char *key, const char *name, ace_stage *stage);
ace_status ace_stage_begin_id(ace_runner *r, ace_stage_id id, ace_stage *stage);
/* Brings a part of the models to the device. */
ace_status ace_stage_borrow(ace_stage *stage, ace_part part);
/* Drops it if the plan keeps it only as long as it is needed. */
void ace_stage_return(ace_stage *stage, ace_part part);
/* Opens the arena of the stage's work; closes a former one. */
ace_status ace_stage_open(ace_stage *stage);
/* The same with a size of its own, after a fallback. */
ace_status ace_stage_open_sized(ace_stage *stage, size_t bytes);
void ace_stage_close_work(ace_stage *stage);

/* For stages that load into their own arena: weights are asked for between these two. */
void ace_stage_load_begin(ace_stage *stage, const ace_weights *weights);
ace_status ace_stage_load_end(ace_stage *stage);

/* Drops what the plan does not keep, closes the arena, appends the record, and compares it with the
 * rehearsal. Call after a failure too; returns the stream's status. */
ace_status ace_stage_end(ace_stage *stage);

/* Was this failure one of device memory, so that less of it may still lead to a song? */
bool ace_stage_is_out_of_memory(const ace_stage *stage);

#endif
