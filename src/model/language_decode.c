/* Decoding: the next token of several sequences at once, as a step that comes again for every
 * token. What differs from one to the next lies in host memory that the step reads: tokens,
 * rotations, where keys lie and where new ones go. */
#include "model/language_pass.h"

#include <string.h>

/* Attention is asked about a multiple of so many keys, most of them hidden in the end, so that the
 * same step serves as many tokens. */
enum { KEYS_AT_ONCE = 256 };

static bool can_decode(ace_lm_session *d, const int *sequences, int n)
{
    uint64_t seen = 0;
    if (n <= 0 || n > ACE_LM_MAX_SEQUENCES) {
        ace_stream_fail(d->stream, ACESTEP_FAILED, "language model: %d sequences at once", n);
    }
    for (int i = 0; i < n && ace_lm_exists(d, sequences[i], d->shape.sequences, "sequence"); i++) {
        uint64_t bit = UINT64_C(1) << sequences[i];
        if ((seen & bit) != 0 || d->own_used[sequences[i]] >= d->shape.own_tokens) {
            ace_stream_fail(d->stream, ACESTEP_FAILED,
                            "language model: sequence %d is full or asked for twice", sequences[i]);
        }
        seen |= bit;
    }
    return ace_stream_status(d->stream) == ACESTEP_OK;
}

/* The tables of one token more for each sequence. */
static void write_tables(ace_lm_session *d, const int *sequences, int n)
{
    ace_lm_decoding *t = &d->decoding;
    ace_lm_pass *p = &t->pass;
    const ace_block_config *c = &d->model->config.block;
    p->batch = n;
    p->length = 1;
    for (int i = 0; i < n; i++) {
        int64_t own = d->own_used[sequences[i]]++;
        p->keys[i] = ace_lm_keys_of(d, sequences[i]);
        p->to[i] = d->own_first[sequences[i]] + own;
        int64_t position = p->keys[i].shared + own;
        p->valid[i] = (int32_t)(position + 1);
        ace_rope_row(c->head_dim, t->frequency, position, t->rope + i * c->head_dim);
    }
}

/* Keys of the longest sequence, rounded up. */
static int64_t keys_asked(const ace_lm_session *d)
{
    const ace_lm_pass *p = &d->decoding.pass;
    int64_t keys = 0;
    for (int64_t i = 0; i < p->batch; i++) {
        keys = p->valid[i] > keys ? p->valid[i] : keys;
    }
    keys = (keys + KEYS_AT_ONCE - 1) / KEYS_AT_ONCE * KEYS_AT_ONCE;
    return keys < d->rope.rows ? keys : d->rope.rows;
}

static void decode(void *context)
{
    ace_lm_session *d = context;
    ace_stream *s = d->stream;
    ace_lm_decoding *t = &d->decoding;
    const ace_block_config *c = &d->model->config.block;
    t->pass.rope = ace_new_from(s, ACE_F32, t->pass.batch, c->head_dim, t->rope);
    ace_tensor x = ace_new_from(s, ACE_F32, t->pass.batch, c->hidden, t->embeddings);
    ace_lm_run_layers(d, x, &t->pass, 0, 1);
    if (t->range.count > 0) {
        t->logits = ace_lm_multiply_head(d, x, &t->range);
    }
}

/* Whatever a recording cannot read anew. */
static void note_operations(ace_lm_session *d, int n, const float *embeddings,
                            const ace_lm_logits *range)
{
    ace_lm_decoding *t = &d->decoding;
    int64_t keys = keys_asked(d);
    bool same = t->n == n && t->pass.kv_len == keys && t->embeddings == embeddings &&
                t->range.first == range->first && t->range.count == range->count;
    if (!same) {
        ace_step_forget(d->stream, &t->step);
    }
    t->n = n;
    t->pass.kv_len = keys;
    t->embeddings = embeddings;
    t->range = *range;
}

void ace_lm_decode(ace_lm_session *d, const int *sequences, int n, const float *embeddings,
                   const ace_lm_logits *logits)
{
    ace_stream *s = d->stream;
    ace_lm_logits range = logits != NULL ? *logits : (ace_lm_logits){.count = 0};
    range.rows = n;
    if (!can_decode(d, sequences, n) || !ace_lm_range_fits(d, &range, n)) {
        return;
    }
    ace_arena_mark mark = ace_mark(s);
    write_tables(d, sequences, n);
    note_operations(d, n, embeddings, &range);
    if (d->model->observer.observe == NULL) {
        ace_step_run(s, &d->decoding.step, decode, d);
    } else {
        decode(d);
    }
    if (range.n_choices > 0) {
        ace_choose(s, d->decoding.logits, range.choices, range.n_choices, range.chosen);
    } else if (range.count > 0) {
        ace_download(s, range.values, d->decoding.logits);
    }
    ace_reset(s, &mark);
}
