/* The eight tiers of the GPU Compatibility Guide: what a card of a given size gets by default, and
 * the limits that hold on it. One table (tier.c), rows of which a gpu_tiers.json may change. */
#ifndef ACE_PLAN_TIER_H
#define ACE_PLAN_TIER_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

/* What the models themselves can do, whatever the card: the original's DURATION_MIN and
 * DURATION_MAX (acestep/constants.py), s, and its largest batch. */
enum { ACE_SHORTEST_SONG = 10, ACE_LONGEST_SONG = 600, ACE_LARGEST_BATCH = 8 };

typedef enum ace_lm_size { ACE_LM_06B, ACE_LM_17B, ACE_LM_4B, ACE_LM_SIZES } ace_lm_size;

typedef enum ace_lm_backend {
    ACE_LM_PT,   /* contiguous KV cache, one song at a time: the smallest memory */
    ACE_LM_VLLM, /* paged KV cache, all songs in one batch */
    ACE_LM_MLX   /* Apple silicon */
} ace_lm_backend;

typedef enum ace_offload {
    ACE_OFFLOAD_NONE,   /* all models stay on the device */
    ACE_OFFLOAD_CPU,    /* text encoder and VAE leave it when unused; the DiT stays */
    ACE_OFFLOAD_CPU_DIT /* nothing stays; the DiT works through a window of its layers */
} ace_offload;

enum { ACE_TIERS = 8 };

/* One row; the names follow GPUConfig of the original (acestep/gpu_config.py). */
typedef struct ace_tier {
    char key[12];                                         /* "tier1" … "tier6b", "unlimited" */
    char label[32];                                       /* "tier1 (≤4GB)" */
    double max_duration_with_lm, max_duration_without_lm; /* s */
    int max_batch_with_lm, max_batch_without_lm;
    bool init_lm_default;
    bool available_lm[ACE_LM_SIZES];
    int recommended_lm;                /* ace_lm_size, or -1 */
    double lm_memory_gb[ACE_LM_SIZES]; /* what the original reserves; 0: not offered */
    bool vllm_allowed;                 /* lm_backend_restriction "all", else "pt_mlx_only" */
    ace_lm_backend recommended_backend;
    bool offload_to_cpu_default, offload_dit_to_cpu_default;
    bool quantization_default; /* int8_weight_only */
    bool compile_model_default;
} ace_tier;

typedef struct ace_tier_table {
    ace_tier row[ACE_TIERS];
    bool from_file[ACE_TIERS]; /* changed by gpu_tiers.json */
} ace_tier_table;

/* The guide's table. */
void ace_tier_table_default(ace_tier_table *out);
/* Changes the rows a JSON text names: {"tier4": {"max_batch_with_lm": 3, …}}; keys as in
 * `acestep tiers --json`. Unknown keys, wrong types, values out of range and rows that contradict
 * themselves are refused with ARGUMENT, naming row and key, and the table stays as it was. path
 * stands for the text. */
ace_status ace_tier_table_parse(ace_tier_table *table, const char *json, size_t bytes,
                                const char *path, ace_error *err);
/* The guide's table, changed by the file at path; "" or NULL: by gpu_tiers.json beside the program,
 * if there is one. */
ace_status ace_tier_table_load(const char *path, ace_tier_table *out, ace_error *err);

/* Index of the tier for a card of gb (2^30 bytes each); gpu.md 1.3: 4 and 6 belong to the tier
 * below, 8, 12, 20 and 24 to the tier above, 15.5 counts as 16, and ≤ 0 (no card) is tier 1. */
int ace_tier_of_gb(double gb);
/* By key or label ("tier6" is tier6b); -1 when there is none. */
int ace_tier_find(const char *key);

const char *ace_lm_size_name(ace_lm_size size); /* "0.6B" */
/* By the size in a model's name; unknown: 0.6B, as the original takes it. */
ace_lm_size ace_lm_size_of(const char *model_name);
/* False when the name tells no size; then *out stays. */
bool ace_lm_size_parse(const char *model_name, ace_lm_size *out);
const char *ace_lm_backend_name(ace_lm_backend backend);
bool ace_lm_backend_parse(const char *name, ace_lm_backend *out);
const char *ace_offload_name(ace_offload offload); /* "none", "cpu", "cpu+dit" */

#endif
