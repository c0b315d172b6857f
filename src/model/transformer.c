#include "model/transformer.h"

#include <math.h>
#include <stdio.h>

enum { NAME_BYTES = 160 };

void ace_attention_load(ace_loader *l, const ace_block_config *c, const char *norm_name,
                        const char *prefix, ace_attention_weights *out)
{
    char q[NAME_BYTES];
    char k[NAME_BYTES];
    char v[NAME_BYTES];
    char name[NAME_BYTES];
    (void)snprintf(q, sizeof q, "%s.q_proj.weight", prefix);
    (void)snprintf(k, sizeof k, "%s.k_proj.weight", prefix);
    (void)snprintf(v, sizeof v, "%s.v_proj.weight", prefix);
    const char *const names[] = {q, k, v};
    const int64_t kv = c->kv_heads * c->head_dim;
    const int64_t rows[] = {c->heads * c->head_dim, kv, kv};
    out->qkv_added = NULL;
    out->norm = ace_load_vector(l, norm_name, c->hidden);
    out->qkv = ace_load_linear_fused(l, names, rows, 3, c->hidden, false);
    (void)snprintf(name, sizeof name, "%s.o_proj.weight", prefix);
    out->out = ace_load_linear(l, name, c->hidden, c->heads * c->head_dim);
    (void)snprintf(name, sizeof name, "%s.q_norm.weight", prefix);
    out->q_norm = ace_load_vector(l, name, c->head_dim);
    (void)snprintf(name, sizeof name, "%s.k_norm.weight", prefix);
    out->k_norm = ace_load_vector(l, name, c->head_dim);
}

void ace_mlp_load(ace_loader *l, const ace_block_config *c, const char *norm_name,
                  const char *prefix, ace_mlp_weights *out)
{
    char gate[NAME_BYTES];
    char up[NAME_BYTES];
    char down[NAME_BYTES];
    (void)snprintf(gate, sizeof gate, "%s.gate_proj.weight", prefix);
    (void)snprintf(up, sizeof up, "%s.up_proj.weight", prefix);
    (void)snprintf(down, sizeof down, "%s.down_proj.weight", prefix);
    const char *const names[] = {gate, up};
    const int64_t rows[] = {c->intermediate, c->intermediate};
    out->gate_up_added = NULL;
    out->down_added = NULL;
    out->norm = ace_load_vector(l, norm_name, c->hidden);
    out->gate_up = ace_load_linear_fused(l, names, rows, 2, c->hidden, true);
    out->down = ace_load_linear(l, down, c->hidden, c->intermediate);
}

void ace_block_load(ace_loader *l, const ace_block_config *c, const char *prefix, ace_block *out)
{
    char norm[NAME_BYTES];
    char part[NAME_BYTES];
    (void)snprintf(norm, sizeof norm, "%s.input_layernorm.weight", prefix);
    (void)snprintf(part, sizeof part, "%s.self_attn", prefix);
    ace_attention_load(l, c, norm, part, &out->attention);
    (void)snprintf(norm, sizeof norm, "%s.post_attention_layernorm.weight", prefix);
    (void)snprintf(part, sizeof part, "%s.mlp", prefix);
    ace_mlp_load(l, c, norm, part, &out->mlp);
}

void ace_rope_frequencies(int64_t head_dim, double theta, double *out)
{
    for (int64_t i = 0; i < head_dim / 2; i++) {
        out[i] = pow(theta, -2.0 * (double)i / (double)head_dim);
    }
}

void ace_rope_row(int64_t head_dim, const double *frequency, int64_t position, float *row)
{
    for (int64_t i = 0; i < head_dim / 2; i++) {
        double angle = (double)position * frequency[i];
        row[i] = (float)cos(angle);
        row[head_dim / 2 + i] = (float)sin(angle);
    }
}

static void fill_rope(const void *context, int64_t positions, int64_t head_dim, float *values)
{
    double frequency[ACE_MAX_HEAD_DIM / 2];
    ace_rope_frequencies(head_dim, *(const double *)context, frequency);
    for (int64_t p = 0; p < positions; p++) {
        ace_rope_row(head_dim, frequency, p, values + p * head_dim);
    }
}

ace_tensor ace_rope_table(ace_stream *s, int64_t positions, int64_t head_dim, double theta)
{
    return ace_new_table(s, positions, head_dim, fill_rope, &theta);
}

ace_tensor ace_self_attend(ace_stream *s, const ace_block_config *c, const ace_attention_weights *w,
                           ace_tensor x, const ace_norm *norm, const ace_sequences *seq)
{
    int64_t q_cols = c->heads * c->head_dim;
    int64_t kv_cols = c->kv_heads * c->head_dim;
    ace_tensor qkv = ace_new(s, s->activation, x.rows, q_cols + 2 * kv_cols);
    ace_arena_mark mark = ace_mark(s);
    ace_tensor normed = ace_new(s, s->activation, x.rows, x.cols);
    ace_rms_norm(s, normed, x, norm);
    ace_linear_added(s, qkv, normed, &w->qkv, w->qkv_added, NULL);
    ace_reset(s, &mark); /* the attended rows take the place of the normed ones */

    ace_tensor q = ace_cols(qkv, 0, q_cols);
    ace_tensor k = ace_cols(qkv, q_cols, kv_cols);
    ace_tensor v = ace_cols(qkv, q_cols + kv_cols, kv_cols);
    ace_tensor rope = seq->rope;
    rope.rows = seq->length; /* row r has position r % length */
    ace_head_norm q_norm = {c->heads, w->q_norm, c->rms_eps, rope};
    ace_head_norm k_norm = {c->kv_heads, w->k_norm, c->rms_eps, rope};
    ace_head_rms_norm(s, q, &q_norm);
    ace_head_rms_norm(s, k, &k_norm);

    ace_tensor attended = ace_new(s, s->activation, x.rows, q_cols);
    ace_attention a = {
        .batch = seq->batch,
        .q_len = seq->length,
        .kv_len = seq->length,
        .heads = c->heads,
        .kv_heads = c->kv_heads,
        .head_dim = c->head_dim,
        .scale = (float)(1.0 / sqrt((double)c->head_dim)),
        .causal = seq->causal,
        .window = seq->window,
        .kv_mask = seq->mask,
        .uniform_when_hidden = seq->uniform_when_hidden,
    };
    ace_attend(s, attended, q, k, v, &a);
    return attended;
}

/* silu(gate · x) ⊙ (up · x); apart where something is added to either before. */
static void gated_product(ace_stream *s, const ace_mlp_weights *w, ace_tensor hidden, ace_tensor x)
{
    if (!ace_adds(w->gate_up_added)) {
        ace_linear(s, hidden, x, &w->gate_up, NULL);
        return;
    }
    ace_arena_mark mark = ace_mark(s);
    ace_tensor both = ace_new(s, s->activation, x.rows, w->gate_up.shape.rows);
    ace_linear_added(s, both, x, &w->gate_up, w->gate_up_added, NULL);
    ace_silu_mul(s, hidden, ace_cols(both, 0, hidden.cols),
                 ace_cols(both, hidden.cols, hidden.cols));
    ace_reset(s, &mark);
}

/* One run of rows that belong to one item; view copies of norm and gate select that item's rows. */
static void mlp_rows(ace_stream *s, const ace_block_config *c, const ace_mlp_weights *w,
                     ace_tensor x, const ace_norm *norm, ace_tensor gate)
{
    ace_arena_mark mark = ace_mark(s);
    ace_tensor hidden = ace_new(s, s->activation, x.rows, c->intermediate);
    ace_arena_mark inner = ace_mark(s);
    ace_tensor normed = ace_new(s, s->activation, x.rows, x.cols);
    ace_rms_norm(s, normed, x, norm);
    gated_product(s, w, hidden, normed);
    ace_reset(s, &inner);
    ace_epilogue into = {.accumulate = true, .gate = gate};
    ace_linear_added(s, x, hidden, &w->down, w->down_added, &into);
    ace_reset(s, &mark);
}

void ace_mlp_forward(ace_stream *s, const ace_block_config *c, const ace_mlp_weights *w,
                     ace_tensor x, const ace_norm *norm, ace_tensor gate, int64_t rows_per_item)
{
    bool modulated = norm->scale.addr != 0;
    /* without modulation items do not matter, and blocks may run across them */
    int64_t run = modulated || gate.addr != 0 ? rows_per_item : x.rows;
    for (int64_t start = 0; start < x.rows; start += run) {
        int64_t item = start / run;
        ace_norm item_norm = *norm;
        ace_tensor item_gate = gate;
        if (modulated) {
            item_norm.scale = ace_rows(norm->scale, item, 1);
            item_norm.shift = ace_rows(norm->shift, item, 1);
        }
        if (gate.addr != 0) {
            item_gate = ace_rows(gate, item, 1);
        }
        for (int64_t first = 0; first < run; first += ACE_MLP_ROWS) {
            int64_t n = run - first < ACE_MLP_ROWS ? run - first : ACE_MLP_ROWS;
            mlp_rows(s, c, w, ace_rows(x, start + first, n), &item_norm, item_gate);
        }
    }
}

void ace_block_forward(ace_stream *s, const ace_block_config *c, const ace_block *b, ace_tensor x,
                       const ace_sequences *seq)
{
    ace_arena_mark mark = ace_mark(s);
    ace_norm norm = {.weight = b->attention.norm, .eps = c->rms_eps};
    ace_tensor attended = ace_self_attend(s, c, &b->attention, x, &norm, seq);
    ace_epilogue into = {.accumulate = true};
    ace_linear(s, x, attended, &b->attention.out, &into);
    ace_reset(s, &mark);

    ace_norm mlp_norm = {.weight = b->mlp.norm, .eps = c->rms_eps};
    ace_tensor no_gate = {0};
    ace_mlp_forward(s, c, &b->mlp, x, &mlp_norm, no_gate, seq->length);
}
