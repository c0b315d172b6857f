/* The diffusion transformer: velocity of the latents at time t, given context and condition.
 *
 *   v = DiT(x_t [T, D], t; context [T, 2D], condition [E, encoder width])
 *
 * Two latent frames make one token. Self-attention slides or is full by layer; cross-attention has
 * no rotary embedding and no mask. Original: acestep/models/…/modeling_acestep_v15_*.py. */
#ifndef ACE_MODEL_DIT_H
#define ACE_MODEL_DIT_H

#include "device/step.h"
#include "model/dit_adapters.h"
#include "model/observer.h"
#include "model/transformer.h"

enum { ACE_DIT_SINUSOID = 256, ACE_DIT_MODULATIONS = 6 };

typedef struct ace_time_embedding {
    ace_matrix linear_1, linear_2, projection;
    ace_tensor bias_1, bias_2, projection_bias;
} ace_time_embedding;

typedef struct ace_dit_layer {
    ace_attention_weights self_attention;
    ace_tensor cross_norm, cross_q_norm;
    ace_matrix cross_q, cross_out;
    ace_mlp_weights mlp;
    ace_tensor modulation; /* scale_shift_table [6, hidden]: shift, scale, gate of attention, then
                              of MLP */
} ace_dit_layer;

/* What turns a condition into keys and values: used once per batch, before the first step. */
typedef struct ace_dit_condition {
    ace_matrix embedder;
    ace_tensor embedder_bias;
    ace_tensor null_condition;           /* f32 [1, encoder width] */
    ace_matrix cross_kv[ACE_MAX_LAYERS]; /* [2·kv_heads·head_dim, hidden] */
    ace_tensor cross_k_norm[ACE_MAX_LAYERS];
} ace_dit_condition;

/* Layers that are not all in the device's memory at once. One evaluation calls begin, then acquire
 * and release for each layer in order. acquire makes ace_dit.layers[index] usable until release.
 * abandon takes the place of the layers that an evaluation leaves out at its end. */
typedef struct ace_layer_source {
    void (*begin)(void *context, ace_stream *s);
    void (*acquire)(void *context, ace_stream *s, int64_t index);
    void (*release)(void *context, ace_stream *s, int64_t index);
    void (*abandon)(void *context, ace_stream *s);
    void *context;
} ace_layer_source;

/* In three parts, which may live in different places: the condition part, the layers, and the core
 * around them. */
typedef struct ace_dit {
    ace_dit_config config;
    ace_matrix patch_in; /* convolution over one patch of frames */
    ace_tensor patch_in_bias;
    ace_time_embedding time, time_r;
    ace_tensor norm_out, modulation_out; /* [1, hidden]; [2, hidden]: shift, scale */
    ace_matrix patch_out;
    ace_tensor patch_out_bias;
    ace_dit_layer layers[ACE_MAX_LAYERS];
    ace_dit_condition condition;
    const ace_layer_source *source;   /* NULL: all layers are there */
    const ace_dit_adapters *adapters; /* of the job at hand; NULL: none */
    ace_observer observer;
} ace_dit;

/* Everything. */
void ace_dit_load(ace_loader *l, const ace_dit_config *c, ace_dit *out);
/* Its parts. Every layer takes the same number of bytes. */
void ace_dit_load_core(ace_loader *l, const ace_dit_config *c, ace_dit *out);
void ace_dit_load_layer(ace_loader *l, const ace_dit_config *c, int64_t index, ace_dit_layer *out);
void ace_dit_load_condition(ace_loader *l, const ace_dit_config *c, ace_dit_condition *out);

/* Matrices of a checkpoint that int8_weight_only quantises: the linear layers of decoder and
 * condition encoder, not those of tokenizer and detokenizer (gpu.md 8.2). */
bool ace_dit_is_quantised(const char *name);

/* What stays the same over all steps of a batch. Host data; read during ace_dit_begin only. */
typedef struct ace_dit_inputs {
    int64_t batch, frames;
    const float *context; /* [batch, frames, 2D]: source latents or hints, then the chunk mask */
    int n_conditions;
    const float *const *condition; /* n_conditions arrays [length, encoder width] */
    const int64_t *condition_length;
    const int32_t
        *condition_of; /* [batch]: items that share a condition share its keys and values */
    bool guided;       /* the null branch will be asked for */
} ace_dit_inputs;

/* Told of every layer's cross-attention before it is computed: queries and keys after their norms,
 * q [batch·tokens, heads·head_dim], k [conditions·kv_length, kv_heads·head_dim]. */
typedef void ace_dit_hear(void *context, ace_stream *s, int64_t layer, ace_tensor q, ace_tensor k);

enum {
    ACE_DIT_MAX_BATCH = 16,
    ACE_DIT_MAX_CONDITIONS = 16,
    ACE_DIT_EVALUATIONS = 4 /* kinds that come again: two branches, from two places in Heun's way */
};

/* One kind of evaluation, as a step: what a recording of it cannot read anew. */
typedef struct ace_dit_evaluation {
    struct ace_dit_session *session;
    ace_step step;
    const float *x; /* the caller's */
    bool null_branch, same_x;
    ace_tensor out; /* f32 [batch·tokens, patch·latent_channels] */
} ace_dit_evaluation;

/* The device side of a batch: context, cross-attention keys and values of every layer, tables.
 * Lives in the stream's arena from begin until the caller resets it. */
typedef struct ace_dit_session {
    ace_stream *stream;
    const ace_dit *model;
    int64_t batch, frames, tokens; /* tokens = ceil(frames / patch) per item */
    ace_tensor input;              /* [batch·frames, 3D]: context, then x_t */
    ace_tensor rope;
    int64_t kv_length;
    ace_tensor cross_kv[ACE_MAX_LAYERS]; /* [conditions·kv_length, 2·kv_heads·head_dim] */
    int32_t kv_valid[ACE_DIT_MAX_BATCH];
    int32_t kv_index[ACE_DIT_MAX_BATCH];
    ace_tensor null_heads[ACE_MAX_LAYERS]; /* [1, heads·head_dim]: see ace_dit_begin */
    /* One evaluation takes seconds: its layers report `progress` up to `progress` +
     * `progress_share` of the stage. Set by the caller before each evaluation; share 0: silent. */
    double progress, progress_share;
    /* The next evaluation is of the x that is on the device already (the other branch of guidance):
     * it is not copied again. Set by the caller, reset by the evaluation. */
    bool same_x;
    ace_dit_evaluation evaluation[ACE_DIT_EVALUATIONS];
    int next_evaluation;
    float sinusoid[2][ACE_DIT_MAX_BATCH * ACE_DIT_SINUSOID]; /* of t and of t - t_r */
    ace_dit_hear *hear;                                      /* NULL but in ace_dit_listen */
    void *hear_context;
} ace_dit_session;

/* Null branch: its condition is one vector repeated, so all keys and all values are equal, the
 * softmax is uniform, and cross-attention sees the same vector for every query: the values, repeated
 * for the heads of a group. Only the condition part of the model is used; it may go afterwards. */
void ace_dit_begin(ace_stream *s, const ace_dit *m, const ace_dit_inputs *in, ace_dit_session *out);

/* x, v: host f32 [batch, frames, D] (NULL while measuring); t, t_r: host [batch], the original
 * passes t_r = t. null_branch: the velocity without condition. */
void ace_dit_velocity(ace_dit_session *d, const float *x, const float *t, const float *t_r,
                      bool null_branch, float *v);

/* The same evaluation for its cross-attention alone: layers 0 … last, no velocity. t: [batch]. */
void ace_dit_listen(ace_dit_session *d, const float *x, const float *t, int64_t last,
                    ace_dit_hear *hear, void *context);

/* temb [rows, hidden] and its projection [rows, 6·hidden] of the times whose sinusoids the host
 * has, [rows, ACE_DIT_SINUSOID]. */
void ace_dit_time(ace_stream *s, const ace_dit *m, const ace_time_embedding *e,
                  const float *sinusoids, int64_t rows, ace_tensor temb, ace_tensor projection);

/* [cos | sin] of 1000·t·10000^(-i/128): host, f64 inside. out [256]. */
void ace_dit_sinusoid(double t, float *out);

#endif
