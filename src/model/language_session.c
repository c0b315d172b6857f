/* Passes through the language model over a cache of keys and values. */
#include "base/checked.h"
#include "model/language_model.h"

#include <math.h>
#include <string.h>

/* Tokens read at once: enough to keep every kernel busy, few enough that a prompt's length does not
 * show in the working memory. */
enum { READ_TOKENS = ACE_MLP_ROWS };

/* Items of equally many new tokens going through the layers together. */
typedef struct pass {
    int64_t batch, length;
    ace_tensor rope; /* by row, modulo its own rows */
    int64_t kv_len;  /* keys of the longest item, its new ones included */
    ace_key_rows keys[ACE_LM_MAX_SEQUENCES];
    int32_t valid[ACE_LM_MAX_SEQUENCES]; /* keys of each item */
    int64_t to[ACE_LM_MAX_SEQUENCES];    /* row of the cache for each item's first new token */
} pass;

/* ---- shape --------------------------------------------------------------------------------------
 */

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

/* Numbers of one token in one layer. */
static int64_t cache_cols(const ace_block_config *c)
{
    return 2 * c->kv_heads * c->head_dim;
}

size_t ace_lm_cache_bytes(const ace_qwen3_config *c, const ace_lm_shape *shape,
                          ace_dtype activation)
{
    size_t bytes = (size_t)(c->layers * cache_cols(&c->block)) * ace_dtype_bytes(activation);
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
    for (int64_t i = 0; i < m->config.layers; i++) {
        out->cache[i] = ace_new(s, s->activation, 2 * c->kv_heads * out->tokens, c->head_dim);
    }
    ace_set_tag(s, "activations");
    out->rope = ace_rope_table(s, longest_sequence(shape), c->head_dim, c->rope_theta);
}

/* ---- layers -------------------------------------------------------------------------------------
 */

/* Keys and values of new tokens [tokens, 2·kv_heads·head_dim] go to the cache from token `to` of
 * each head on. Of a single token all heads lie in one row, and move at once. */
static void keep(ace_lm_session *d, int64_t layer, int64_t to, ace_tensor kv)
{
    ace_tensor cache = d->cache[layer];
    int64_t heads = cache.rows / d->tokens;
    int64_t runs = kv.rows > 1 ? heads : 1;
    for (int64_t h = 0; h < runs; h++) {
        ace_tensor from = ace_cols(kv, h * cache.cols, cache.cols);
        ace_tensor rows = ace_rows(cache, h * d->tokens + to, kv.rows);
        if (kv.rows == 1) {
            from = ace_reshape(from, heads, cache.cols);
            rows.rows = heads;
            rows.row_stride = d->tokens * cache.cols;
        }
        ace_copy(d->stream, rows, from);
    }
}

/* Queries, keys and values of the new rows; keys and values go on to the cache. */
static ace_tensor project(ace_lm_session *d, int64_t layer, ace_tensor x, const pass *p)
{
    ace_stream *s = d->stream;
    const ace_block_config *c = &d->model->config.block;
    const ace_attention_weights *w = &d->model->layers[layer].attention;
    int64_t q_cols = c->heads * c->head_dim;
    ace_tensor qkv = ace_new(s, s->activation, x.rows, q_cols + cache_cols(c));
    ace_arena_mark mark = ace_mark(s);
    ace_tensor normed = ace_new(s, s->activation, x.rows, x.cols);
    ace_norm norm = {.weight = w->norm, .eps = c->rms_eps};
    ace_rms_norm(s, normed, x, &norm);
    ace_linear(s, qkv, normed, &w->qkv, NULL);
    ace_reset(s, &mark);

    ace_head_norm q_norm = {c->heads, w->q_norm, c->rms_eps, p->rope};
    ace_head_norm k_norm = {c->kv_heads, w->k_norm, c->rms_eps, p->rope};
    ace_head_rms_norm(s, ace_cols(qkv, 0, q_cols), &q_norm);
    ace_head_rms_norm(s, ace_cols(qkv, q_cols, c->kv_heads * c->head_dim), &k_norm);
    ace_tensor kv = ace_cols(qkv, q_cols, cache_cols(c));
    for (int64_t i = 0; i < p->batch; i++) {
        keep(d, layer, p->to[i], ace_rows(kv, i * p->length, p->length));
    }
    return ace_cols(qkv, 0, q_cols);
}

static void attend(ace_lm_session *d, int64_t layer, ace_tensor x, const pass *p)
{
    ace_stream *s = d->stream;
    const ace_block_config *c = &d->model->config.block;
    ace_arena_mark mark = ace_mark(s);
    ace_tensor q = project(d, layer, x, p);
    ace_tensor attended = ace_new(s, s->activation, x.rows, q.cols);
    ace_attention a = {
        .batch = p->batch,
        .q_len = p->length,
        .kv_len = p->kv_len,
        .heads = c->heads,
        .kv_heads = c->kv_heads,
        .head_dim = c->head_dim,
        .scale = (float)(1.0 / sqrt((double)c->head_dim)),
        .causal = p->length > 1, /* a single token sees every key there is */
        .kv_valid = p->valid,
        .kv_rows = p->keys,
        .kv_head_rows = d->tokens,
    };
    int64_t rows = c->kv_heads * d->tokens;
    ace_attend(s, attended, q, ace_rows(d->cache[layer], 0, rows),
               ace_rows(d->cache[layer], rows, rows), &a);
    ace_epilogue into = {.accumulate = true};
    ace_linear(s, x, attended, &d->model->layers[layer].attention.out, &into);
    ace_reset(s, &mark);
}

/* x f32 [batch·length, hidden], in place. The session's progress goes from done to done + share. */
static void run_layers(ace_lm_session *d, ace_tensor x, const pass *p, double done, double share)
{
    const ace_block_config *c = &d->model->config.block;
    int64_t layers = d->model->config.layers;
    for (int64_t i = 0; i < layers; i++) {
        const ace_mlp_weights *mlp = &d->model->layers[i].mlp;
        ace_norm norm = {.weight = mlp->norm, .eps = c->rms_eps};
        ace_tensor no_gate = {0};
        attend(d, i, x, p);
        ace_mlp_forward(d->stream, c, mlp, x, &norm, no_gate, x.rows);
        if (d->progress_share > 0) {
            double part = done + share * (double)(i + 1) / (double)layers;
            ace_stream_progress(d->stream, d->progress + d->progress_share * part);
        }
    }
}

/* ---- logits -------------------------------------------------------------------------------------
 */

/* Normed rows times the parts of the head that the range touches; of the result, the view of the
 * columns asked for. */
static ace_tensor multiply_head(ace_lm_session *d, ace_tensor normed, const ace_lm_logits *range)
{
    ace_stream *s = d->stream;
    const ace_language_model *m = d->model;
    int64_t from = range->first / m->head_rows;
    int64_t to = (range->first + range->count - 1) / m->head_rows;
    int64_t base = from * m->head_rows;
    int64_t end = to * m->head_rows + m->head[to].shape.rows;
    ace_tensor all = ace_new(s, ACE_F32, normed.rows, end - base);
    for (int64_t i = from; i <= to; i++) {
        const ace_matrix *part = &m->head[i];
        int64_t first = i * m->head_rows - base;
        ace_linear(s, ace_cols(all, first, part->shape.rows), normed, part, NULL);
    }
    return ace_cols(all, range->first - base, range->count);
}

/* Logits of all rows of x, a few rows at a time: they are wide. */
static void put_logits(ace_lm_session *d, ace_tensor x, const ace_lm_logits *range, float *values)
{
    ace_stream *s = d->stream;
    const ace_language_model *m = d->model;
    ace_norm norm = {.weight = m->norm, .eps = m->config.block.rms_eps};
    for (int64_t first = 0; first < x.rows; first += ACE_LM_MAX_SEQUENCES) {
        int64_t left = x.rows - first;
        int64_t n = left < ACE_LM_MAX_SEQUENCES ? left : ACE_LM_MAX_SEQUENCES;
        ace_arena_mark mark = ace_mark(s);
        ace_tensor normed = ace_new(s, s->activation, n, x.cols);
        ace_rms_norm(s, normed, ace_rows(x, first, n), &norm);
        if (m->observer.observe != NULL && s->status == ACESTEP_OK) {
            m->observer.observe(m->observer.context, s, "last_hidden_state", normed);
        }
        ace_tensor logits = multiply_head(d, normed, range);
        ace_download(s, values != NULL ? values + first * range->count : NULL, logits);
        ace_reset(s, &mark);
    }
}

/* False with a failed stream for a range that is not one. */
static bool range_fits(ace_lm_session *d, const ace_lm_logits *range, int64_t tokens)
{
    int64_t vocabulary = d->model->config.vocabulary;
    if (range->count == 0) {
        return true;
    }
    if (range->first < 0 || range->count < 0 || range->first > vocabulary - range->count ||
        range->rows < 0 || range->rows > tokens) {
        ace_stream_fail(d->stream, ACESTEP_FAILED,
                        "language model: logits %lld to %lld of %lld tokens are not there",
                        (long long)range->first, (long long)(range->first + range->count - 1),
                        (long long)range->rows);
        return false;
    }
    return true;
}

/* ---- reading ------------------------------------------------------------------------------------
 */

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
    pass p = {
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
    run_layers(d, x, &p, (double)at / (double)r->n, (double)n / (double)r->n);

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
    if (ace_stream_status(d->stream) != ACESTEP_OK || !range_fits(d, r->logits, r->n)) {
        return;
    }
    for (int64_t at = 0; at < r->n; at += READ_TOKENS) {
        read_piece(d, r, at, r->n - at < READ_TOKENS ? r->n - at : READ_TOKENS);
    }
}

/* False on a stream that stands still, too. */
static bool exists(ace_lm_session *d, int index, int count, const char *what)
{
    if (ace_stream_status(d->stream) == ACESTEP_OK && (index < 0 || index >= count)) {
        ace_stream_fail(d->stream, ACESTEP_FAILED, "language model: there is no %s %d", what,
                        index);
    }
    return ace_stream_status(d->stream) == ACESTEP_OK;
}

void ace_lm_bind(ace_lm_session *d, int sequence, int prompt)
{
    if (exists(d, sequence, d->shape.sequences, "sequence") &&
        exists(d, prompt, d->shape.prompts, "prompt")) {
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
    if (!exists(d, prompt, d->shape.prompts, "prompt")) {
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

/* Where a sequence's keys lie. */
static ace_key_rows keys_of(const ace_lm_session *d, int sequence)
{
    int prompt = d->shape.prompt_of[sequence];
    return (ace_key_rows){.shared_first = d->prompt_first[prompt],
                          .shared = d->prompt_used[prompt],
                          .own_first = d->own_first[sequence]};
}

void ace_lm_read(ace_lm_session *d, int sequence, const float *embeddings, int64_t n,
                 const ace_lm_logits *logits)
{
    if (!exists(d, sequence, d->shape.sequences, "sequence")) {
        return;
    }
    reading r = {
        .used = &d->own_used[sequence],
        .room = d->shape.own_tokens,
        .first_row = d->own_first[sequence],
        .keys = keys_of(d, sequence),
        .embeddings = embeddings,
        .n = n,
        .logits = logits != NULL ? logits : &no_logits,
    };
    read_tokens(d, &r);
}

/* ---- decoding -----------------------------------------------------------------------------------
 */

static bool can_decode(ace_lm_session *d, const int *sequences, int n)
{
    uint64_t seen = 0;
    if (n <= 0 || n > ACE_LM_MAX_SEQUENCES) {
        ace_stream_fail(d->stream, ACESTEP_FAILED, "language model: %d sequences at once", n);
    }
    for (int i = 0; i < n && exists(d, sequences[i], d->shape.sequences, "sequence"); i++) {
        uint64_t bit = UINT64_C(1) << sequences[i];
        if ((seen & bit) != 0 || d->own_used[sequences[i]] >= d->shape.own_tokens) {
            ace_stream_fail(d->stream, ACESTEP_FAILED,
                            "language model: sequence %d is full or asked for twice", sequences[i]);
        }
        seen |= bit;
    }
    return ace_stream_status(d->stream) == ACESTEP_OK;
}

void ace_lm_decode(ace_lm_session *d, const int *sequences, int n, const float *embeddings,
                   const ace_lm_logits *logits)
{
    ace_stream *s = d->stream;
    const ace_block_config *c = &d->model->config.block;
    ace_lm_logits range = logits != NULL ? *logits : no_logits;
    range.rows = n;
    if (!can_decode(d, sequences, n) || !range_fits(d, &range, n)) {
        return;
    }
    ace_arena_mark mark = ace_mark(s);
    pass p = {.batch = n, .length = 1, .rope = ace_new(s, ACE_F32, n, c->head_dim)};
    for (int i = 0; i < n; i++) {
        int sequence = sequences[i];
        int64_t own = d->own_used[sequence]++;
        p.keys[i] = keys_of(d, sequence);
        p.to[i] = d->own_first[sequence] + own;
        int64_t position = p.keys[i].shared + own;
        p.valid[i] = (int32_t)(position + 1);
        p.kv_len = position + 1 > p.kv_len ? position + 1 : p.kv_len;
        ace_copy(s, ace_rows(p.rope, i, 1), ace_rows(d->rope, position, 1));
    }
    ace_tensor x = ace_new_from(s, ACE_F32, n, c->hidden, embeddings);
    run_layers(d, x, &p, 0, 1);
    if (range.count > 0) {
        put_logits(d, x, &range, range.values);
    }
    ace_reset(s, &mark);
}

void ace_lm_rewind(ace_lm_session *d, int sequence, int64_t own_tokens)
{
    if (!exists(d, sequence, d->shape.sequences, "sequence")) {
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
