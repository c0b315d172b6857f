#include "model/dit_adapters.h"

#include "base/block_formats.h"

#include <stdio.h>
#include <string.h>

_Static_assert((int)ACE_ADAPTER_LAYERS >= (int)ACE_MAX_LAYERS, "every layer can be adapted");

/* ---- the model's matrices ---------------------------------------------------------------------
 */

static const struct {
    int n;
    ace_adapter_target part[ACE_LOW_RANK_PARTS];
} matrices[ACE_DIT_MATRICES] = {
    [ACE_DIT_SELF_QKV] = {3, {ACE_TARGET_SELF_Q, ACE_TARGET_SELF_K, ACE_TARGET_SELF_V}},
    [ACE_DIT_SELF_OUT] = {1, {ACE_TARGET_SELF_OUT}},
    [ACE_DIT_CROSS_Q] = {1, {ACE_TARGET_CROSS_Q}},
    [ACE_DIT_CROSS_KV] = {2, {ACE_TARGET_CROSS_K, ACE_TARGET_CROSS_V}},
    [ACE_DIT_CROSS_OUT] = {1, {ACE_TARGET_CROSS_OUT}},
    [ACE_DIT_GATE_UP] = {2, {ACE_TARGET_GATE, ACE_TARGET_UP}},
    [ACE_DIT_DOWN] = {1, {ACE_TARGET_DOWN}},
};

/* [out, in] of a layer that adapters can change. */
static void shape_of(const ace_dit_config *config, ace_adapter_target target, int64_t *out,
                     int64_t *in)
{
    const ace_block_config *c = &config->decoder;
    *out = c->hidden;
    *in = c->hidden;
    switch (target) {
    case ACE_TARGET_SELF_Q:
    case ACE_TARGET_CROSS_Q:
        *out = c->heads * c->head_dim;
        break;
    case ACE_TARGET_SELF_K:
    case ACE_TARGET_SELF_V:
    case ACE_TARGET_CROSS_K:
    case ACE_TARGET_CROSS_V:
        *out = c->kv_heads * c->head_dim;
        break;
    case ACE_TARGET_SELF_OUT:
    case ACE_TARGET_CROSS_OUT:
        *in = c->heads * c->head_dim;
        break;
    case ACE_TARGET_GATE:
    case ACE_TARGET_UP:
        *out = c->intermediate;
        break;
    case ACE_TARGET_DOWN:
        *in = c->intermediate;
        break;
    case ACE_TARGETS:
        break;
    }
}

static ace_status check_module(const ace_dit_config *c, const ace_adapter *a, int layer,
                               ace_adapter_target target, ace_error *err)
{
    const ace_adapter_module *m = &a->module[layer][target];
    int64_t out = 0;
    int64_t in = 0;
    if (m->down == NULL) {
        return ACESTEP_OK;
    }
    if (layer >= c->layers) {
        return ace_fail(err, ACESTEP_MODEL,
                        "%.300s: %.200s is for layer %d, and this model has layers 0 to %lld; the "
                        "adapter is another model's",
                        a->path, m->down->name, layer, (long long)c->layers - 1);
    }
    shape_of(c, target, &out, &in);
    if (m->down->dim[1] != in || m->up->dim[0] != out) {
        return ace_fail(err, ACESTEP_MODEL,
                        "%.300s: %.200s is for a layer [%lld, %lld], and this model's is [%lld, "
                        "%lld]; the adapter is another model's",
                        a->path, m->down->name, (long long)m->up->dim[0],
                        (long long)m->down->dim[1], (long long)out, (long long)in);
    }
    return ACESTEP_OK;
}

ace_status ace_dit_adapter_check(const ace_dit_config *c, const ace_adapter *adapter,
                                 ace_error *err)
{
    ace_status status = ACESTEP_OK;
    for (int i = 0; i < ACE_ADAPTER_LAYERS * ACE_TARGETS && status == ACESTEP_OK; i++) {
        status =
            check_module(c, adapter, i / ACE_TARGETS, (ace_adapter_target)(i % ACE_TARGETS), err);
    }
    return status;
}

/* ---- loading ----------------------------------------------------------------------------------
 */

/* Everything that is added to one matrix. */
typedef struct gathering {
    const ace_adapter_use *uses;
    int n_uses;
    int64_t layer;
    ace_adapter_target target[ACE_LOW_RANK_PARTS]; /* those that something is added to */
    int n_targets;
} gathering;

/* The module of one use; NULL when it leaves the target alone. */
static const ace_adapter_module *module_of(const gathering *g, int use, ace_adapter_target target)
{
    const ace_adapter_module *m = &g->uses[use].adapter->module[g->layer][target];
    return m->down != NULL && g->uses[use].scale != 0 ? m : NULL;
}

static int64_t rank_of(const gathering *g, ace_adapter_target target)
{
    int64_t rank = 0;
    for (int i = 0; i < g->n_uses; i++) {
        const ace_adapter_module *m = module_of(g, i, target);
        rank += m != NULL ? m->down->dim[0] : 0;
    }
    return rank;
}

/* A of all targets and uses, one below the other. */
static void gather_down(const void *context, int64_t ranks, int64_t in, float *to)
{
    const gathering *g = context;
    (void)ranks;
    for (int t = 0; t < g->n_targets; t++) {
        for (int i = 0; i < g->n_uses; i++) {
            const ace_adapter_module *m = module_of(g, i, g->target[t]);
            if (m != NULL) {
                int64_t n = m->down->dim[0] * in;
                ace_decode_row(m->down->dtype, m->down->data, n, to);
                to += n;
            }
        }
    }
}

/* B of one target. */
typedef struct gathering_up {
    const gathering *all;
    ace_adapter_target target;
} gathering_up;

/* Side by side for all uses, times their scales. */
static void gather_up(const void *context, int64_t rows, int64_t rank, float *to)
{
    const gathering_up *up = context;
    for (int i = 0; i < up->all->n_uses; i++) {
        const ace_adapter_module *m = module_of(up->all, i, up->target);
        if (m == NULL) {
            continue;
        }
        int64_t own = m->up->dim[1];
        size_t row_bytes = (size_t)own * ace_dtype_bytes(m->up->dtype);
        float scale = m->scale * up->all->uses[i].scale;
        for (int64_t r = 0; r < rows; r++) {
            const unsigned char *from = m->up->data;
            float *at = to + r * rank;
            ace_decode_row(m->up->dtype, from + (size_t)r * row_bytes, own, at);
            for (int64_t c = 0; c < own; c++) {
                at[c] *= scale;
            }
        }
        to += own;
    }
}

/* Ranks and rows of the parts that something is added to; shapes of their matrices. */
static void lay_out(gathering *g, const ace_dit_config *c, ace_dit_matrix matrix, ace_low_rank *out)
{
    ace_matrix_shape *down = &out->down.shape;
    int64_t row = 0;
    for (int i = 0; i < matrices[matrix].n; i++) {
        ace_adapter_target target = matrices[matrix].part[i];
        int64_t rows = 0;
        int64_t rank = rank_of(g, target);
        shape_of(c, target, &rows, &down->cols);
        if (rank > 0) {
            ace_low_rank_part *p = &out->part[out->n_parts++];
            *p = (ace_low_rank_part){.first_rank = down->rows, .rank = rank, .first_row = row};
            p->up.shape = (ace_matrix_shape){.rows = rows, .cols = rank};
            g->target[g->n_targets++] = target;
        }
        down->rows += rank;
        row += rows;
    }
}

static ace_matrix pack(ace_stream *s, ace_matrix_shape shape, const char *name,
                       ace_fill_values *fill, const void *context)
{
    shape.taps = 1;
    shape.dtype = s->activation == ACE_F32 ? ACE_F32 : ACE_BF16;
    return ace_matrix_new_filled(s, &shape, name, fill, context);
}

static void load_matrix(ace_stream *s, const ace_dit_config *c, gathering g, ace_dit_matrix matrix,
                        ace_low_rank *out)
{
    char name[200];
    lay_out(&g, c, matrix, out);
    if (out->n_parts == 0) {
        return;
    }
    (void)snprintf(name, sizeof name, "adapter %.100s, layer %d", g.uses[0].adapter->path,
                   (int)g.layer);
    out->down = pack(s, out->down.shape, name, gather_down, &g);
    for (int i = 0; i < out->n_parts; i++) {
        gathering_up up = {&g, g.target[i]};
        out->part[i].up = pack(s, out->part[i].up.shape, name, gather_up, &up);
    }
}

void ace_dit_adapters_load(ace_stream *s, const ace_dit_config *c, const ace_adapter_use *uses,
                           int n, ace_dit_adapters *out)
{
    memset(out, 0, sizeof *out);
    for (int64_t layer = 0; layer < c->layers; layer++) {
        gathering g = {.uses = uses, .n_uses = n, .layer = layer};
        for (int m = 0; m < ACE_DIT_MATRICES && s->status == ACESTEP_OK; m++) {
            load_matrix(s, c, g, (ace_dit_matrix)m, &out->added[layer][m]);
        }
    }
}
