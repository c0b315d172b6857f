/* One pass of tokens through the layers of the language model, over a cache of keys and values. */
#include "model/language_pass.h"

#include <math.h>

int64_t ace_lm_cache_cols(const ace_block_config *c)
{
    return 2 * c->kv_heads * c->head_dim;
}

/* Keys and values of new tokens [tokens, 2·kv_heads·head_dim] go to the cache, where each head has
 * a run of rows: single tokens to the rows that the pass names, many from the first one's on. */
static void keep(ace_lm_session *d, int64_t layer, const ace_lm_pass *p, ace_tensor kv)
{
    ace_scatter to = {.head_rows = d->tokens, .rows = p->to, .scale = d->scale[layer]};
    if (p->length == 1) {
        ace_scatter_rows(d->stream, d->cache[layer], kv, &to);
        return;
    }
    to.rows = NULL;
    for (int64_t i = 0; i < p->batch; i++) {
        to.first = p->to[i];
        ace_scatter_rows(d->stream, d->cache[layer], ace_rows(kv, i * p->length, p->length), &to);
    }
}

/* Queries, keys and values of the new rows; keys and values go on to the cache. */
static ace_tensor project(ace_lm_session *d, int64_t layer, ace_tensor x, const ace_lm_pass *p)
{
    ace_stream *s = d->stream;
    const ace_block_config *c = &d->model->config.block;
    const ace_attention_weights *w = &d->model->layers[layer].attention;
    int64_t q_cols = c->heads * c->head_dim;
    ace_tensor qkv = ace_new(s, s->activation, x.rows, q_cols + ace_lm_cache_cols(c));
    ace_arena_mark mark = ace_mark(s);
    ace_tensor normed = ace_new(s, s->activation, x.rows, x.cols);
    ace_norm norm = {.weight = w->norm, .eps = c->rms_eps};
    ace_rms_norm(s, normed, x, &norm);
    ace_linear(s, qkv, normed, &w->qkv, NULL);
    ace_reset(s, &mark);

    bool is_balanced = d->shape.int8_cache;
    ace_tensor norms = d->norms[layer];
    ace_head_norm q_norm = {c->heads, is_balanced ? ace_rows(norms, 0, 1) : w->q_norm, c->rms_eps,
                            p->rope};
    ace_head_norm k_norm = {c->kv_heads, is_balanced ? ace_rows(norms, 1, 1) : w->k_norm,
                            c->rms_eps, p->rope};
    ace_head_rms_norm(s, ace_cols(qkv, 0, q_cols), &q_norm);
    ace_head_rms_norm(s, ace_cols(qkv, q_cols, c->kv_heads * c->head_dim), &k_norm);
    ace_tensor kv = ace_cols(qkv, q_cols, ace_lm_cache_cols(c));
    keep(d, layer, p, kv);
    return ace_cols(qkv, 0, q_cols);
}

static void attend(ace_lm_session *d, int64_t layer, ace_tensor x, const ace_lm_pass *p)
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
    if (d->shape.int8_cache) {
        a.k_scale = ace_rows(d->scale[layer], 0, rows);
        a.v_scale = ace_rows(d->scale[layer], rows, rows);
    }
    ace_attend(s, attended, q, ace_rows(d->cache[layer], 0, rows),
               ace_rows(d->cache[layer], rows, rows), &a);
    ace_epilogue into = {.accumulate = true};
    ace_linear(s, x, attended, &d->model->layers[layer].attention.out, &into);
    ace_reset(s, &mark);
}

void ace_lm_run_layers(ace_lm_session *d, ace_tensor x, const ace_lm_pass *p, double done,
                       double share)
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

/* ---- logits ---------------------------------------------------------------------------------- */

bool ace_lm_range_fits(ace_lm_session *d, const ace_lm_logits *range, int64_t tokens)
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

/* Normed rows times the parts of the head that the range touches; of the result, the view of the
 * columns asked for. */
static ace_tensor multiply_parts(ace_lm_session *d, ace_tensor normed, const ace_lm_logits *range)
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

ace_tensor ace_lm_multiply_head(ace_lm_session *d, ace_tensor x, const ace_lm_logits *range)
{
    ace_stream *s = d->stream;
    const ace_language_model *m = d->model;
    ace_norm norm = {.weight = m->norm, .eps = m->config.block.rms_eps};
    ace_tensor normed = ace_new(s, s->activation, x.rows, x.cols);
    ace_rms_norm(s, normed, x, &norm);
    if (m->observer.observe != NULL && s->status == ACESTEP_OK) {
        m->observer.observe(m->observer.context, s, "last_hidden_state", normed);
    }
    return multiply_parts(d, normed, range);
}
