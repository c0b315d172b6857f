/* Sessions of the language model: the cache of keys and values, and reading what is known. */
#include "base/checked.h"
#include "model/language_pass.h"

#include <string.h>

/* Tokens read at once: enough to keep every kernel busy, few enough that a prompt's length does not
 * show in the working memory. */
enum { READ_TOKENS = ACE_MLP_ROWS };

/* ---- shape ----------------------------------------------------------------------------------- */

static bool is_shape(const ace_lm_shape *shape)
{
    /* far more than any model reads, and small enough for sums in 64 bits and keys in 32 */
    const int64_t most = 1 << 24;
    bool valid = shape->prompts > 0 && shape->prompts <= ACE_LM_MAX_PROMPTS &&
                 shape->sequences >= 0 && shape->sequences <= ACE_LM_MAX_SEQUENCES &&
                 shape->own_tokens >= (shape->sequences > 0) && shape->own_tokens <= most;
    for (int i = 0; valid && i < shape->prompts; i++) {
        valid = shape->prompt_tokens[i] > 0 && shape->prompt_tokens[i] <= most;
    }
    for (int i = 0; valid && i < shape->sequences; i++) {
        valid = shape->prompt_of[i] >= 0 && shape->prompt_of[i] < shape->prompts;
    }
    return valid;
}

int64_t ace_lm_cache_tokens(const ace_lm_shape *shape)
{
    int64_t tokens = shape->sequences * shape->own_tokens;
    for (int i = 0; i < shape->prompts; i++) {
        tokens += shape->prompt_tokens[i];
    }
    return tokens;
}

size_t ace_lm_cache_bytes(const ace_qwen3_config *c, const ace_lm_shape *shape,
                          ace_dtype activation)
{
    size_t number = ace_dtype_bytes(shape->int8_cache ? ACE_I8 : activation);
    size_t row = (size_t)c->block.head_dim * number + (shape->int8_cache ? sizeof(float) : 0);
    size_t bytes = (size_t)(c->layers * 2 * c->block.kv_heads) * row;
    if (!is_shape(shape) || ace_mul_overflows(bytes, (size_t)ace_lm_cache_tokens(shape), &bytes)) {
        return SIZE_MAX;
    }
    return bytes;
}

static int64_t longest_sequence(const ace_lm_shape *shape)
{
    int64_t longest = 0;
    for (int i = 0; i < shape->prompts; i++) {
        longest = shape->prompt_tokens[i] > longest ? shape->prompt_tokens[i] : longest;
    }
    return longest + shape->own_tokens;
}

/* Rows of the cache: the prompts one after another, then what belongs to each sequence. */
static void place_rows(ace_lm_session *d)
{
    int64_t row = 0;
    for (int i = 0; i < d->shape.prompts; i++) {
        d->prompt_first[i] = row;
        row += d->shape.prompt_tokens[i];
    }
    for (int i = 0; i < d->shape.sequences; i++) {
        d->own_first[i] = row;
        row += d->shape.own_tokens;
    }
}

void ace_lm_begin(ace_stream *s, const ace_language_model *m, const ace_lm_shape *shape,
                  ace_lm_session *out)
{
    const ace_block_config *c = &m->config.block;
    memset(out, 0, sizeof *out);
    out->stream = s;
    out->model = m;
    if (!is_shape(shape)) {
        ace_stream_fail(s, ACESTEP_FAILED, "language model: impossible numbers of tokens");
        return;
    }
    out->shape = *shape;
    out->tokens = ace_lm_cache_tokens(shape);
    place_rows(out);
    ace_set_tag(s, "kv");
    int64_t rows = 2 * c->kv_heads * out->tokens;
    for (int64_t i = 0; i < m->config.layers; i++) {
        out->cache[i] = ace_new(s, shape->int8_cache ? ACE_I8 : s->activation, rows, c->head_dim);
        if (shape->int8_cache) {
            out->scale[i] = ace_new(s, ACE_F32, rows, 1);
        }
    }
    ace_set_tag(s, "activations");
    if (shape->int8_cache) {
        ace_lm_balance_norms(out);
    }
    out->rope = ace_rope_table(s, longest_sequence(shape), c->head_dim, c->rope_theta);
    ace_rope_frequencies(c->head_dim, c->rope_theta, out->decoding.frequency);
}

/* ---- reading --------------------------------------------------------------------------------- */

/* Logits of all rows of x, a few rows at a time. */
static void put_logits(ace_lm_session *d, ace_tensor x, const ace_lm_logits *range, float *values)
{
    ace_stream *s = d->stream;
    for (int64_t first = 0; first < x.rows; first += ACE_LM_MAX_SEQUENCES) {
        int64_t left = x.rows - first;
        int64_t n = left < ACE_LM_MAX_SEQUENCES ? left : ACE_LM_MAX_SEQUENCES;
        ace_arena_mark mark = ace_mark(s);
        ace_tensor logits = ace_lm_multiply_head(d, ace_rows(x, first, n), range);
        ace_download(s, values != NULL ? values + first * range->count : NULL, logits);
        ace_reset(s, &mark);
    }
}

/* Tokens on their way into the cache, behind those that a prompt or a sequence has already. */
typedef struct reading {
    int64_t *used; /* tokens there so far */
    int64_t room;
    int64_t first_row; /* of the cache */
    ace_key_rows keys;
    const float *embeddings; /* [n, hidden], or NULL */
    int64_t n;
    const ace_lm_logits *logits;
} reading;

/* Tokens at … at + n - 1 of a reading, n ≤ READ_TOKENS. */
static void read_piece(ace_lm_session *d, const reading *r, int64_t at, int64_t n)
{
    ace_stream *s = d->stream;
    int64_t hidden = d->model->config.block.hidden;
    int64_t start = r->keys.shared + *r->used;
    ace_arena_mark mark = ace_mark(s);
    ace_lm_pass p = {
        .batch = 1,
        .length = n,
        .rope = ace_rows(d->rope, start, n),
        .kv_len = start + n,
        .keys = {r->keys},
        .valid = {(int32_t)(start + n)},
        .to = {r->first_row + *r->used},
    };
    ace_tensor x = ace_new_from(s, ACE_F32, n, hidden,
                                r->embeddings != NULL ? r->embeddings + at * hidden : NULL);
    ace_lm_run_layers(d, x, &p, (double)at / (double)r->n, (double)n / (double)r->n);

    int64_t asked = r->logits->count > 0 ? r->n - r->logits->rows : r->n; /* from here on */
    int64_t skipped = asked > at ? asked - at : 0;
    if (skipped < n) {
        float *values = r->logits->values;
        put_logits(d, ace_rows(x, skipped, n - skipped), r->logits,
                   values != NULL ? values + (at + skipped - asked) * r->logits->count : NULL);
    }
    ace_reset(s, &mark);
    *r->used += n;
}

static void read_tokens(ace_lm_session *d, const reading *r)
{
    if (r->n <= 0 || r->n > r->room - *r->used) {
        ace_stream_fail(d->stream, ACESTEP_FAILED,
                        "language model: no room for %lld tokens more than %lld of %lld",
                        (long long)r->n, (long long)*r->used, (long long)r->room);
    }
    if (ace_stream_status(d->stream) != ACESTEP_OK || !ace_lm_range_fits(d, r->logits, r->n)) {
        return;
    }
    for (int64_t at = 0; at < r->n; at += READ_TOKENS) {
        read_piece(d, r, at, r->n - at < READ_TOKENS ? r->n - at : READ_TOKENS);
    }
}

bool ace_lm_exists(ace_lm_session *d, int index, int count, const char *what)
{
    if (ace_stream_status(d->stream) == ACESTEP_OK && (index < 0 || index >= count)) {
        ace_stream_fail(d->stream, ACESTEP_FAILED, "language model: there is no %s %d", what,
                        index);
    }
    return ace_stream_status(d->stream) == ACESTEP_OK;
}

void ace_lm_bind(ace_lm_session *d, int sequence, int prompt)
{
    if (ace_lm_exists(d, sequence, d->shape.sequences, "sequence") &&
        ace_lm_exists(d, prompt, d->shape.prompts, "prompt")) {
        if (d->own_used[sequence] > 0) {
            ace_stream_fail(d->stream, ACESTEP_FAILED,
                            "language model: sequence %d has tokens of its own", sequence);
            return;
        }
        d->shape.prompt_of[sequence] = prompt;
    }
}

static const ace_lm_logits no_logits;

void ace_lm_read_prompt(ace_lm_session *d, int prompt, const float *embeddings, int64_t n,
                        const ace_lm_logits *logits)
{
    if (!ace_lm_exists(d, prompt, d->shape.prompts, "prompt")) {
        return;
    }
    for (int i = 0; i < d->shape.sequences; i++) {
        if (d->shape.prompt_of[i] == prompt && d->own_used[i] > 0) {
            ace_stream_fail(d->stream, ACESTEP_FAILED,
                            "language model: prompt %d is complete, sequence %d goes on from it",
                            prompt, i);
        }
    }
    reading r = {
        .used = &d->prompt_used[prompt],
        .room = d->shape.prompt_tokens[prompt],
        .first_row = d->prompt_first[prompt],
        .keys = {.own_first = d->prompt_first[prompt]},
        .embeddings = embeddings,
        .n = n,
        .logits = logits != NULL ? logits : &no_logits,
    };
    read_tokens(d, &r);
}

ace_key_rows ace_lm_keys_of(const ace_lm_session *d, int sequence)
{
    int prompt = d->shape.prompt_of[sequence];
    return (ace_key_rows){.shared_first = d->prompt_first[prompt],
                          .shared = d->prompt_used[prompt],
                          .own_first = d->own_first[sequence]};
}

void ace_lm_read(ace_lm_session *d, int sequence, const float *embeddings, int64_t n,
                 const ace_lm_logits *logits)
{
    if (!ace_lm_exists(d, sequence, d->shape.sequences, "sequence")) {
        return;
    }
    reading r = {
        .used = &d->own_used[sequence],
        .room = d->shape.own_tokens,
        .first_row = d->own_first[sequence],
        .keys = ace_lm_keys_of(d, sequence),
        .embeddings = embeddings,
        .n = n,
        .logits = logits != NULL ? logits : &no_logits,
    };
    read_tokens(d, &r);
}

void ace_lm_rewind(ace_lm_session *d, int sequence, int64_t own_tokens)
{
    if (!ace_lm_exists(d, sequence, d->shape.sequences, "sequence")) {
        return;
    }
    if (own_tokens < 0 || own_tokens > d->own_used[sequence]) {
        ace_stream_fail(d->stream, ACESTEP_FAILED,
                        "language model: sequence %d has no %lld tokens to go back to", sequence,
                        (long long)own_tokens);
        return;
    }
    d->own_used[sequence] = own_tokens;
}
