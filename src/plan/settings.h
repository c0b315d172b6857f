/* What a job runs with: the tier's defaults, changed by what the user asked for, made compatible.
 * One resolver for every door: command line, API and page. */
#ifndef ACE_PLAN_SETTINGS_H
#define ACE_PLAN_SETTINGS_H

#include "hardware/hardware.h"
#include "plan/tier.h"
#include "plan/warnings.h"

/* A switch that nobody has set is decided by the tier. */
typedef enum ace_switch { ACE_SWITCH_AUTO, ACE_SWITCH_OFF, ACE_SWITCH_ON } ace_switch;

typedef enum ace_quantization {
    ACE_QUANTIZATION_AUTO,
    ACE_QUANTIZATION_NONE,
    ACE_QUANTIZATION_INT8
} ace_quantization;

typedef enum ace_limits { ACE_LIMITS_AUTO, ACE_LIMITS_SEED, ACE_LIMITS_EXACT } ace_limits;

/* Keys and values of the language model: as it computes, or in 8 bits. */
typedef enum ace_kv_cache { ACE_KV_CACHE_AUTO, ACE_KV_CACHE_WORK, ACE_KV_CACHE_INT8 } ace_kv_cache;

/* Where a value comes from. */
typedef enum ace_value_source {
    ACE_VALUE_TABLE,       /* the tier's row */
    ACE_VALUE_TIER_FILE,   /* gpu_tiers.json */
    ACE_VALUE_ENVIRONMENT, /* ACESTEP_… */
    ACE_VALUE_CONFIG,      /* a file of options */
    ACE_VALUE_CALLER,      /* command line, API, page */
    ACE_VALUE_FALLBACK,    /* what was asked for does not work here */
    ACE_VALUE_DETECTED     /* what the machine has */
} ace_value_source;

/* What the request says about the engine. Borrowed texts; sources as above (ENVIRONMENT, CONFIG or
 * CALLER) for values that are not auto. */
typedef struct ace_wishes {
    ace_switch init_llm, offload_to_cpu, offload_dit_to_cpu, compile_model, flash_attention;
    ace_quantization quantization;
    ace_limits limits;
    ace_kv_cache kv_cache;
    const char *lm_model; /* "" or NULL: the tier's */
    const char *backend;  /* "auto", "" or NULL: the tier's */
    const char *tier;     /* "" or NULL: by memory */
    bool force_config;
    ace_switch thinking;           /* is the language model to run? auto: where it is started */
    const char *const *lm_on_disk; /* names of the language models that can be loaded */
    int n_lm_on_disk;
    ace_value_source init_llm_source, offload_source, offload_dit_source, compile_source,
        flash_source, quantization_source, lm_model_source, backend_source, kv_cache_source,
        tier_source;
} ace_wishes;

typedef struct ace_settings {
    ace_tier tier; /* the row in force */
    int tier_index;
    double gb; /* of the card; 0: none */
    bool init_llm;
    char lm_model[128]; /* empty: none */
    ace_lm_size lm_size;
    ace_lm_backend backend;
    bool int8_cache; /* of the language model's keys and values */
    ace_offload offload;
    bool int8, compile_model, flash_attention;
    /* The user switched INT8 or offloading off on a tier that advises them: the planner keeps that
     * if it fits, else switches them back on and says so (W09, W10). */
    bool int8_by_user, offload_by_user;
    bool exact_limits;
    bool force_config;
    /* limits for this request: with or without the language model */
    bool lm_runs;
    double max_duration;
    int max_batch;
    ace_value_source init_llm_source, lm_model_source, backend_source, kv_cache_source,
        offload_source, offload_dit_source, int8_source, compile_source, flash_source, tier_source;
} ace_settings;

/* Never fails: every choice that cannot be kept falls back to one that can, with a warning (ids of
 * gpu.md, appendix B). An unknown tier name is warned of and ignored. */
void ace_settings_resolve(const ace_hardware *hardware, const ace_tier_table *tiers,
                          const ace_wishes *wishes, ace_warnings *warnings, ace_settings *out);

/* "int8", or "bf16" for the type that the model computes in. */
const char *ace_kv_cache_name(bool int8_cache);

/* Seconds that the language model may choose as a song's length at most (gpu.md 5). */
int ace_settings_lm_duration_limit(const ace_settings *s);

#endif
