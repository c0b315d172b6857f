/* The transformer block that all encoders of ACE-Step share with Qwen3: pre-norm, grouped-query
 * attention with per-head RMSNorm of queries and keys, RoPE, SwiGLU, no biases.
 *
 *   x += Wo · attention(norm_rope(Wqkv · RMSNorm(x)))
 *   x += Wdown · (silu(Wgate · b) ⊙ (Wup · b)),  b = RMSNorm(x) */
#ifndef ACE_MODEL_TRANSFORMER_H
#define ACE_MODEL_TRANSFORMER_H

#include "model/added.h"
#include "model/config.h"
#include "weights/loader.h"

/* Rows of the MLP computed at once: its hidden activations are the widest tensors, and this many
 * rows keep every kernel busy. */
enum { ACE_MLP_ROWS = 1024 };

typedef struct ace_attention_weights {
    ace_tensor norm, q_norm, k_norm;
    ace_matrix qkv;             /* [(heads + 2·kv_heads)·head_dim, hidden] */
    ace_matrix out;             /* [hidden, heads·head_dim] */
    const ace_added *qkv_added; /* by adapters; NULL: nothing */
} ace_attention_weights;

typedef struct ace_mlp_weights {
    ace_tensor norm;
    ace_matrix gate_up, down;
    const ace_added *gate_up_added, *down_added; /* by adapters; NULL: nothing */
} ace_mlp_weights;

typedef struct ace_block {
    ace_attention_weights attention;
    ace_mlp_weights mlp;
} ace_block;

/* How a batch of equally long sequences attends to itself. */
typedef struct ace_sequences {
    int64_t batch, length;
    ace_tensor rope; /* from ace_rope_table, ≥ length rows */
    bool causal;
    int64_t window;           /* 0: all */
    const uint8_t *mask;      /* host [batch, length], 0 hides a key; NULL: none */
    bool uniform_when_hidden; /* the original's softmax over nothing but masked keys */
} ace_sequences;

/* Names below the prefix as in Hugging Face's Qwen3 ("layers.3"): input_layernorm,
 * self_attn.q_proj, … */
void ace_block_load(ace_loader *l, const ace_block_config *c, const char *prefix, ace_block *out);

/* x f32 [batch·length, hidden], in place. */
void ace_block_forward(ace_stream *s, const ace_block_config *c, const ace_block *b, ace_tensor x,
                       const ace_sequences *seq);

/* cos | sin of position·theta^(-2i/head_dim), f32 [positions, head_dim], computed in f64. */
ace_tensor ace_rope_table(ace_stream *s, int64_t positions, int64_t head_dim, double theta);

/* theta^(-2i/head_dim), of head_dim / 2 pairs, and one row of that table, on the host. */
void ace_rope_frequencies(int64_t head_dim, double theta, double *out);
void ace_rope_row(int64_t head_dim, const double *frequency, int64_t position, float *row);

/* ---- pieces that the diffusion transformer shares
 * --------------------------------------------------- */

/* [heads + 2·kv_heads] projections of one attention, under `<prefix>.q_proj.weight` and so on. */
void ace_attention_load(ace_loader *l, const ace_block_config *c, const char *norm_name,
                        const char *prefix, ace_attention_weights *out);
void ace_mlp_load(ace_loader *l, const ace_block_config *c, const char *norm_name,
                  const char *prefix, ace_mlp_weights *out);

/* Self-attention of normed rows without the output projection: norm(x) → attended
 * [rows, heads·head_dim], cut from the arena. The caller resets. */
ace_tensor ace_self_attend(ace_stream *s, const ace_block_config *c, const ace_attention_weights *w,
                           ace_tensor x, const ace_norm *norm, const ace_sequences *seq);

/* x += gate ⊙ MLP(norm(x)), in blocks of rows. The gate has one row per item of `rows_per_item`
 * rows, or is empty. */
void ace_mlp_forward(ace_stream *s, const ace_block_config *c, const ace_mlp_weights *w,
                     ace_tensor x, const ace_norm *norm, ace_tensor gate, int64_t rows_per_item);

#endif
