/* Low-rank adapters (LoRA) of the diffusion transformer, as files: y += scale · B·(A·x) for some of
 * its linear layers.
 *
 * Two forms are read. PEFT's folder: adapter_config.json and adapter_model.safetensors, scale =
 * alpha / r, or alpha / √r under use_rslora. Single safetensors files, as ComfyUI and kohya's
 * scripts write them: lora_A/lora_B or lora_down/lora_up, scale = alpha / rank where the file holds
 * alpha, else 1. Names may carry the prefixes of either world. What is not understood is refused by
 * name: an adapter never works in part. */
#ifndef ACE_WEIGHTS_ADAPTER_H
#define ACE_WEIGHTS_ADAPTER_H

#include "weights/weights.h"

enum { ACE_ADAPTER_LAYERS = 96 };

typedef enum ace_adapter_target {
    ACE_TARGET_SELF_Q,
    ACE_TARGET_SELF_K,
    ACE_TARGET_SELF_V,
    ACE_TARGET_SELF_OUT,
    ACE_TARGET_CROSS_Q,
    ACE_TARGET_CROSS_K,
    ACE_TARGET_CROSS_V,
    ACE_TARGET_CROSS_OUT,
    ACE_TARGET_GATE,
    ACE_TARGET_UP,
    ACE_TARGET_DOWN,
    ACE_TARGETS
} ace_adapter_target;

/* "self_attn.q_proj" */
const char *ace_adapter_target_name(ace_adapter_target target);

typedef struct ace_adapter_module {
    const ace_weight *down; /* A [rank, in]; NULL: this layer stays as it is */
    const ace_weight *up;   /* B [out, rank] */
    float scale;            /* of B·A, as the file says */
} ace_adapter_module;

typedef struct ace_adapter {
    char *path; /* for messages */
    ace_weights *weights;
    ace_adapter_module module[ACE_ADAPTER_LAYERS][ACE_TARGETS];
    int n_modules;
} ace_adapter;

/* Reads headers only. MODEL for damaged files, UNSUPPORTED for adapters of other kinds. */
ace_status ace_adapter_open(const char *path, ace_adapter **out, ace_error *err);
void ace_adapter_close(ace_adapter *adapter); /* NULL is fine */

/* The same from a checkpoint that is open: weights is taken over, on failure too. config: text of
 * adapter_config.json, or NULL for a single file. */
ace_status ace_adapter_read(ace_weights *weights, const char *path, const char *config,
                            size_t config_bytes, ace_adapter **out, ace_error *err);

#endif
