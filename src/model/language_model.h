/* The 5 Hz language model: a causal Qwen3 decoder whose vocabulary is text followed by audio codes.
 * This is the network alone, with a cache of keys and values; what the logits mean, and which token
 * follows, is decided above it.
 *
 * Token embeddings are gathered on the host (src/weights/embedding.h, "embed_tokens.weight"); the
 * same table is the head where embeddings are tied. Original: acestep/third_parts/nano-vllm/
 * nanovllm/models/qwen3.py. fp16 work tensors would overflow at <|im_start|>, whose residual
 * reaches 2·10⁶; f32 and bf16, which are all there is here, hold it. */
#ifndef ACE_MODEL_LANGUAGE_MODEL_H
#define ACE_MODEL_LANGUAGE_MODEL_H

#include "device/step.h"
#include "model/observer.h"
#include "model/transformer.h"

enum {
    ACE_LM_MAX_SEQUENCES = 32, /* decoded together: 16 songs, each with its unconditional twin */
    ACE_LM_MAX_PROMPTS = 32,
    /* The head is packed in parts of this many rows (twice as many, and so on, for vocabularies of
     * more than ACE_LM_MAX_HEAD_PARTS of them), so that a range of the vocabulary costs little more
     * than its own rows. */
    ACE_LM_HEAD_ROWS = 4096,
    ACE_LM_MAX_HEAD_PARTS = 64
};

typedef struct ace_language_model {
    ace_qwen3_config config;
    ace_block layers[ACE_MAX_LAYERS];
    ace_tensor norm;
    ace_matrix head[ACE_LM_MAX_HEAD_PARTS]; /* [head_rows, hidden], the last one perhaps fewer */
    int64_t head_rows;
    int head_parts;
    ace_observer observer; /* "last_hidden_state": rows after the final norm */
} ace_language_model;

void ace_language_model_load(ace_loader *l, const ace_qwen3_config *c, ace_language_model *out);

/* ---- a session ----------------------------------------------------------------------------------
 *
 * A prompt is a run of tokens that any number of sequences begin with; a sequence is its prompt and
 * tokens of its own. With guidance there are two prompts, and two sequences to a song. */

/* What a session has room for. Its cache has one row in every layer for each token:
 *
 *   tokens = Σ prompt_tokens + sequences · own_tokens
 *   bytes  = tokens · layers · 2 · kv_heads · head_dim · bytes of an activation
 *
 * or, where keys and values are rounded to 8 bits, each head's of a token with a scale of its own,
 *
 *   bytes  = tokens · layers · 2 · kv_heads · (head_dim + 4)
 *
 * so that with c songs of one request, guided, it is P_cond + P_uncond + 2·c·own tokens. */
typedef struct ace_lm_shape {
    int prompts;
    int64_t prompt_tokens[ACE_LM_MAX_PROMPTS];
    int sequences; /* 0: prompts alone are read */
    int prompt_of[ACE_LM_MAX_SEQUENCES];
    int64_t own_tokens; /* of each sequence */
    bool int8_cache;    /* keys and values in 8 bits */
} ace_lm_shape;

/* The formulas above; SIZE_MAX for a shape that is none. activation: F32 or BF16. */
int64_t ace_lm_cache_tokens(const ace_lm_shape *shape);
size_t ace_lm_cache_bytes(const ace_qwen3_config *c, const ace_lm_shape *shape,
                          ace_dtype activation);

/* Items of equally many new tokens going through the layers together. */
typedef struct ace_lm_pass {
    int64_t batch, length;
    ace_tensor rope; /* by row, modulo its own rows */
    int64_t kv_len;  /* no item has more keys, its new ones included */
    ace_key_rows keys[ACE_LM_MAX_SEQUENCES];
    int32_t valid[ACE_LM_MAX_SEQUENCES]; /* keys of each item */
    int64_t to[ACE_LM_MAX_SEQUENCES];    /* row of the cache for each item's first new token */
} ace_lm_pass;

/* The logits asked for: columns first … first + count - 1 of the vocabulary for the last `rows`
 * tokens. NULL in the place of this, or count 0: none. */
typedef struct ace_lm_logits {
    int64_t first, count;
    int64_t rows;  /* when decoding: one to each sequence, whatever this says */
    float *values; /* host [rows, count]; may be NULL while measuring */
    /* When decoding on a device that chooses: columns come down in place of the values. Rows are
     * the sequences' in their order. choices and chosen may be NULL while measuring. */
    const ace_choice *choices;
    int n_choices;
    int32_t *chosen; /* host [n_choices] */
} ace_lm_logits;

/* One token for each of several sequences: tables that the step reads, and what it is made of. */
typedef struct ace_lm_decoding {
    ace_step step;
    ace_lm_pass pass;
    double frequency[ACE_MAX_HEAD_DIM / 2];
    float rope[ACE_LM_MAX_SEQUENCES * ACE_MAX_HEAD_DIM]; /* [n, head_dim] */
    int n;
    const float *embeddings; /* the caller's */
    ace_lm_logits range;
    ace_tensor logits;
} ace_lm_decoding;

/* Lives in the stream's arena from begin until the caller resets it; host state is in the struct.
 */
typedef struct ace_lm_session {
    ace_stream *stream;
    const ace_language_model *model;
    ace_lm_shape shape;
    int64_t tokens;                           /* of the cache */
    ace_tensor rope;                          /* f32 [tokens of the longest sequence, head_dim] */
    ace_tensor cache[ACE_MAX_LAYERS];         /* [2·kv_heads·tokens, head_dim]: the keys of one
                                                 head after another, then the values */
    ace_tensor scale[ACE_MAX_LAYERS];         /* f32 [the same rows, 1], or empty */
    ace_tensor norms[ACE_MAX_LAYERS];         /* with int8_cache f32 [2, head_dim]: in the place of
                                                 the model's, of queries and of keys */
    int64_t prompt_first[ACE_LM_MAX_PROMPTS]; /* rows of the cache */
    int64_t prompt_used[ACE_LM_MAX_PROMPTS];  /* tokens so far */
    int64_t own_first[ACE_LM_MAX_SEQUENCES];
    int64_t own_used[ACE_LM_MAX_SEQUENCES];
    ace_lm_decoding decoding;
    /* A long prompt takes seconds: its layers report `progress` up to `progress` + `progress_share`
     * of the stage. Set by the caller; share 0: silent. */
    double progress, progress_share;
} ace_lm_session;

/* The cache under the tag "kv". FAILED for a shape that is none. */
void ace_lm_begin(ace_stream *s, const ace_language_model *m, const ace_lm_shape *shape,
                  ace_lm_session *out);

/* Makes a sequence without tokens of its own go on from another prompt. */
void ace_lm_bind(ace_lm_session *d, int sequence, int prompt);

/* The next n tokens of a prompt, before any of its sequences has tokens of its own. embeddings:
 * host f32 [n, hidden] (NULL while measuring). Working memory does not grow with n: a thousand
 * tokens are read at a time. */
void ace_lm_read_prompt(ace_lm_session *d, int prompt, const float *embeddings, int64_t n,
                        const ace_lm_logits *logits);
/* The same for tokens of one sequence that are known in advance. */
void ace_lm_read(ace_lm_session *d, int sequence, const float *embeddings, int64_t n,
                 const ace_lm_logits *logits);

/* One token for each of n different sequences. embeddings: host f32 [n, hidden]; logits [n, count].
 * Lengths may differ, and a sequence yields the same in any company. */
void ace_lm_decode(ace_lm_session *d, const int *sequences, int n, const float *embeddings,
                   const ace_lm_logits *logits);

/* Forgets all but the first own_tokens of a sequence's own. */
void ace_lm_rewind(ace_lm_session *d, int sequence, int64_t own_tokens);

#endif
