/* The planner: from measured sizes, a budget and the settings to a plan. Pure: no device, no clock,
 * no allocation; the same inputs give the same plan. */
#ifndef ACE_PLAN_PLANNER_H
#define ACE_PLAN_PLANNER_H

#include "plan/plan.h"
#include "plan/settings.h"

enum {
    ACE_PLAN_MAX_SONGS = 8,
    ACE_PLAN_VAE_CHUNKS = 8,
    ACE_PLAN_ENCODER_CHUNKS = 4,
    ACE_PLAN_TYPES = 2 /* of a part's matrices: as they are, or int8 */
};

/* Bytes, all of them counted by the measure device: nothing here is an estimate. */
typedef struct ace_sizes {
    bool has[ACE_PARTS];                    /* the models can supply it */
    size_t part[ACE_PARTS][ACE_PLAN_TYPES]; /* the DiT with all its layers, without its condition
                                               part */
    size_t layer[ACE_PLAN_TYPES];           /* one layer of the DiT */
    int layers;
    int songs;                                /* asked for */
    size_t work[ACE_STAGES];                  /* of text, condition, codes and align; 0: no such
                                                 stage */
    size_t diffusion[ACE_PLAN_MAX_SONGS + 1]; /* by songs in one pass */
    bool many_sessions; /* the condition part is needed again while the DiT is there */
    size_t lm[ACE_PLAN_MAX_SONGS + 1]; /* by songs side by side; 0: does not run */
    int lm_songs;                      /* that it can write side by side, candidates included */
    int n_vae_chunks;                  /* descending */
    int64_t vae_chunk[ACE_PLAN_VAE_CHUNKS];
    size_t vae[2][ACE_PLAN_VAE_CHUNKS]; /* A, B */
    bool vae_by_table;    /* free memory limits the chunk (ace_vae_chunk_for), not only what fits */
    int n_encoder_chunks; /* 0: no such stage; descending */
    int64_t encoder_chunk[ACE_PLAN_ENCODER_CHUNKS];
    size_t encoder[ACE_PLAN_ENCODER_CHUNKS];
    bool needs_tokenizer;
    size_t workspace; /* of the device */
} ace_sizes;

/* What the request asks of the plan itself. */
typedef struct ace_plan_wishes {
    int window;     /* 0: as many layers as fit */
    bool whole_dit; /* --offload-dit-policy stage */
    bool reduce;    /* --vram-guard reduce: fewer songs instead of more passes */
    bool vae_on_cpu;
    int64_t vae_overlap, encoder_overlap;
    int lm_chunk;
    bool is_cpu; /* the device is the CPU: there is no other one to fall back to */
} ace_plan_wishes;

/* Most bytes on the device in a stage under a plan, the workspace included. */
size_t ace_plan_stage_bytes(const ace_sizes *sizes, const ace_plan *plan, ace_stage_id stage);
size_t ace_plan_peak_bytes(const ace_sizes *sizes, const ace_plan *plan);

/* Climbs down the ladder until the plan fits into budget bytes: first what costs nothing (smaller
 * windows of the VAE, fewer songs side by side in the language model, a narrower window of layers),
 * then more passes, then what the user switched off (INT8, offloading), stricter offloading, INT8, no
 * language model, the CPU. Each step that a user would notice is warned of. MEMORY when nothing
 * fits: need, budget, the largest stage, and what to change. */
ace_status ace_plan_make(const ace_sizes *sizes, const ace_settings *settings,
                         const ace_plan_wishes *wishes, size_t budget, ace_warnings *warnings,
                         ace_plan *out, ace_error *err);

#endif
