/* Adapters of the diffusion transformer, as files: W + scale · Δ for some of its linear layers W
 * [out, in], where Δ comes from a few small matrices:
 *
 *   LoRA   Δ = B·A                      lora_B [out, r], lora_A [r, in]
 *   LoHa   Δ = W1 ⊙ W2                  hada_w1_a·hada_w1_b, hada_w2_a·hada_w2_b
 *   LoKr   Δ = W1 ⊗ W2                  lokr_w1 [a, b], lokr_w2 [c, d], out = a·c, in = b·d; either
 *                                       whole or as a product, lokr_w1_a·lokr_w1_b
 *
 * and, with any of them, DoRA: row i of W + scale · Δ is stretched to the length magnitude[i].
 *
 * Two forms are read. PEFT's folder: adapter_config.json and adapter_model.safetensors; scale =
 * alpha / r, or alpha / √r under use_rslora. Single safetensors files, as LyCORIS (and with it the
 * original's trainer: lokr_weights.safetensors), ComfyUI and kohya's scripts write them: scale =
 * alpha / rank where the file holds alpha, else 1; alpha 0 is the rank, and two whole matrices of a
 * LoKr have scale 1, as LyCORIS reads them. Names may carry the prefixes of either world.
 *
 * What is not understood is refused by name: an adapter never works in part. LyCORIS wraps layers
 * that are not trained, too: those change nothing (a factor is all zeros) and are passed over
 * wherever they are. */
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

typedef enum ace_adapter_kind {
    ACE_ADAPTER_NONE,
    ACE_ADAPTER_LORA,
    ACE_ADAPTER_LOHA,
    ACE_ADAPTER_LOKR,
    ACE_ADAPTER_KINDS
} ace_adapter_kind;

/* "lora" */
const char *ace_adapter_kind_name(ace_adapter_kind kind);

/* A matrix as a file holds it. */
typedef struct ace_adapter_factor {
    const ace_weight *whole; /* NULL: it is a·b */
    const ace_weight *a, *b; /* [rows, rank], [rank, cols] */
} ace_adapter_factor;

typedef struct ace_adapter_module {
    ace_adapter_kind kind;        /* NONE: this layer stays as it is */
    ace_adapter_factor factor[2]; /* the first: B·A of a LoRA, W1; the second: W2 */
    const ace_weight *magnitude;  /* DoRA: one for each row; NULL: rows are as long as they come */
    float scale;                  /* of Δ, as the file says */
    bool silent;                  /* it changes nothing: a factor is all zeros, no magnitude */
    int64_t rows, cols;           /* of the layer that it is for: out, in */
} ace_adapter_module;

typedef struct ace_adapter {
    char *path; /* for messages */
    ace_weights *weights;
    ace_adapter_module module[ACE_ADAPTER_LAYERS][ACE_TARGETS];
    int n_modules;
} ace_adapter;

/* Reads little more than headers. MODEL for damaged files, UNSUPPORTED for adapters of other kinds.
 */
ace_status ace_adapter_open(const char *path, ace_adapter **out, ace_error *err);
void ace_adapter_close(ace_adapter *adapter); /* NULL is fine */

/* The same from a checkpoint that is open: weights is taken over, on failure too. config: text of
 * adapter_config.json, or NULL for a single file. */
ace_status ace_adapter_read(ace_weights *weights, const char *path, const char *config,
                            size_t config_bytes, ace_adapter **out, ace_error *err);

/* Of all modules: "lora", "lokr", …, "mixed" where they are of several kinds; DoRA on any. */
const char *ace_adapter_kinds(const ace_adapter *a);
bool ace_adapter_has_dora(const ace_adapter *a);

/* Inner dimension of a·b; 0 of a whole matrix. */
int64_t ace_adapter_rank(const ace_adapter_factor *f);
int64_t ace_adapter_factor_rows(const ace_adapter_factor *f);
int64_t ace_adapter_factor_cols(const ace_adapter_factor *f);
/* A tensor of the module, to name it in messages; NULL of one that holds none. */
const ace_weight *ace_adapter_first_tensor(const ace_adapter_module *m);

#endif
