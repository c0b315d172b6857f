/* A plan: every choice about memory that a job runs under. Made by the planner (planner.h) from the
 * card, the request and measured sizes; carried out by run/, which decides nothing. */
#ifndef ACE_PLAN_PLAN_H
#define ACE_PLAN_PLAN_H

#include "plan/tier.h"

#include <stdint.h>

/* What is loaded, used and dropped as one. Letters as in the memory trace. */
typedef enum ace_part {
    ACE_PART_LM,            /* LM: 5 Hz language model */
    ACE_PART_TEXT,          /* TE: text encoder */
    ACE_PART_VAE_ENCODER,   /* VE */
    ACE_PART_CONDITION,     /* CE: condition encoder */
    ACE_PART_TOKENIZER,     /* TK: audio to codes */
    ACE_PART_DETOKENIZER,   /* DK: codes to latents */
    ACE_PART_DIT_CONDITION, /* DD: its part that reads the condition, before the first step */
    ACE_PART_DIT,           /* DD: core and layers */
    ACE_PART_ADAPTERS,      /* LORA: what a request's adapters add to it; leave with the stage */
    ACE_PART_VAE_DECODER,   /* VD */
    ACE_PARTS
} ace_part;

/* In the order in which a job goes through them. */
typedef enum ace_stage_id {
    ACE_STAGE_LOAD, /* of what stays on the device */
    ACE_STAGE_LM,
    ACE_STAGE_TEXT,
    ACE_STAGE_ENCODE,
    ACE_STAGE_CONDITION,
    ACE_STAGE_CODES,
    ACE_STAGE_DIFFUSION,
    ACE_STAGE_ALIGN, /* of the lyrics with the finished latents */
    ACE_STAGE_VAE,
    ACE_STAGES
} ace_stage_id;

/* The three ways to decode, best first. */
typedef enum ace_vae_place {
    ACE_VAE_DEVICE,   /* A: windows and the growing waveform on the device */
    ACE_VAE_STREAMED, /* B: windows on the device, each result to the host at once */
    ACE_VAE_HOST      /* C: everything on the CPU */
} ace_vae_place;

typedef struct ace_plan {
    ace_offload offload;
    bool int8;      /* DiT and condition encoder */
    bool whole_dit; /* the DiT's condition part stays while it works (--offload-dit-policy stage) */
    int window;     /* layers of the DiT on the device at once; its number of layers: all */
    int device_batch; /* songs in one pass of the diffusion */
    int songs;        /* that will be made: fewer than asked for where the guard reduces */
    bool lm_runs, lm_stays;
    int lm_chunk; /* songs that the language model plans side by side */
    ace_vae_place vae;
    int64_t vae_chunk, vae_overlap; /* latent frames; chunk 0: whole song at once */
    int64_t encoder_chunk, encoder_overlap;
    bool host;           /* nothing fits: the whole job on the CPU */
    size_t budget_bytes; /* what the device offered */
} ace_plan;

/* Does the part stay on the device between stages? */
bool ace_plan_keeps(const ace_plan *plan, ace_part part);
/* Is the part quantised under int8_weight_only (gpu.md 8.2)? */
bool ace_part_is_quantised(ace_part part);

const char *ace_part_code(ace_part part);          /* "DD" */
const char *ace_part_title(ace_part part);         /* "diffusion transformer" */
const char *ace_stage_key(ace_stage_id stage);     /* "diffusion", "vae", … */
const char *ace_stage_title(ace_stage_id stage);   /* "audio decoder" */
const char *ace_vae_place_name(ace_vae_place vae); /* "A", "B", "C" */

/* Chunk of the guide for so many free bytes: 64, 128, 256, 512, 1024 or 1536 latent frames
 * (gpu.md 6.2; thresholds of the original's _get_auto_decode_chunk_size). */
int64_t ace_vae_chunk_for(size_t free_bytes);
/* The next smaller one; 0 below 64. */
int64_t ace_vae_chunk_below(int64_t chunk);

#endif
