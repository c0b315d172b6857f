#include "model/dit_adapters.h"

#include "base/block_formats.h"
#include "base/memory.h"

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
    ace_stream *stream;
    const ace_adapter_use *uses;
    int n_uses;
    int64_t layer;
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

/* All A of a target, one below the other, from row first_rank of `to` on. */
static void gather_down(const gathering *g, ace_adapter_target target, float *to)
{
    for (int i = 0; i < g->n_uses; i++) {
        const ace_adapter_module *m = module_of(g, i, target);
        if (m != NULL) {
            int64_t n = m->down->dim[0] * m->down->dim[1];
            ace_decode_row(m->down->dtype, m->down->data, n, to);
            to += n;
        }
    }
}

/* All B side by side, times their scales: [rows, rank]. */
static void gather_up(const gathering *g, ace_adapter_target target, int64_t rank, float *to)
{
    for (int i = 0; i < g->n_uses; i++) {
        const ace_adapter_module *m = module_of(g, i, target);
        if (m == NULL) {
            continue;
        }
        int64_t own = m->up->dim[1];
        size_t row_bytes = (size_t)own * ace_dtype_bytes(m->up->dtype);
        float scale = m->scale * g->uses[i].scale;
        for (int64_t r = 0; r < m->up->dim[0]; r++) {
            const unsigned char *row = m->up->data;
            float *at = to + r * rank;
            ace_decode_row(m->up->dtype, row + (size_t)r * row_bytes, own, at);
            for (int64_t c = 0; c < own; c++) {
                at[c] *= scale;
            }
        }
        to += own;
    }
}

static ace_matrix pack(const gathering *g, const char *name, int64_t rows, int64_t cols,
                       const float *values)
{
    ace_dtype dtype = g->stream->activation == ACE_F32 ? ACE_F32 : ACE_BF16;
    ace_matrix_shape shape = {.rows = rows, .cols = cols, .taps = 1, .dtype = dtype};
    ace_matrix_part part = {.name = name,
                            .data = values,
                            .dtype = ACE_F32,
                            .rows = rows,
                            .row_stride = cols,
                            .col_stride = 1};
    return ace_matrix_new(g->stream, &shape, &part, 1);
}

/* Ranks and rows of the parts that are added to; all ranks together. */
static int64_t lay_out(const gathering *g, const ace_dit_config *c, ace_dit_matrix matrix,
                       ace_low_rank *out, ace_adapter_target *targets, int64_t *most_numbers)
{
    int64_t ranks = 0;
    int64_t row = 0;
    int64_t in = 0;
    *most_numbers = 0;
    for (int i = 0; i < matrices[matrix].n; i++) {
        ace_adapter_target target = matrices[matrix].part[i];
        int64_t rows = 0;
        int64_t rank = rank_of(g, target);
        shape_of(c, target, &rows, &in);
        if (rank > 0) {
            targets[out->n_parts] = target;
            out->part[out->n_parts++] = (ace_low_rank_part){
                .first_rank = ranks, .rank = rank, .first_row = row, .up.shape.rows = rows};
            *most_numbers = rows * rank > *most_numbers ? rows * rank : *most_numbers;
        }
        ranks += rank;
        row += rows;
    }
    *most_numbers = ranks * in > *most_numbers ? ranks * in : *most_numbers;
    out->down.shape.rows = ranks;
    out->down.shape.cols = in;
    return ranks;
}

/* values: room for the largest matrix, or NULL on a device that only counts. */
static void fill(const gathering *g, ace_low_rank *out, const ace_adapter_target *targets,
                 float *values)
{
    int64_t in = out->down.shape.cols;
    char name[200];
    (void)snprintf(name, sizeof name, "adapter %.100s, layer %d", g->uses[0].adapter->path,
                   (int)g->layer);
    for (int i = 0; i < out->n_parts && values != NULL; i++) {
        gather_down(g, targets[i], values + out->part[i].first_rank * in);
    }
    out->down = pack(g, name, out->down.shape.rows, in, values);
    for (int i = 0; i < out->n_parts; i++) {
        ace_low_rank_part *p = &out->part[i];
        if (values != NULL) {
            gather_up(g, targets[i], p->rank, values);
        }
        p->up = pack(g, name, p->up.shape.rows, p->rank, values);
    }
}

static void load_matrix(const gathering *g, const ace_dit_config *c, ace_dit_matrix matrix,
                        ace_low_rank *out)
{
    ace_adapter_target targets[ACE_LOW_RANK_PARTS];
    int64_t numbers = 0;
    if (lay_out(g, c, matrix, out, targets, &numbers) == 0) {
        return;
    }
    float *values = NULL;
    if (g->stream->device->computes) {
        values = ace_malloc_array((size_t)numbers, sizeof *values);
        if (values == NULL) {
            ace_stream_fail(g->stream, ACESTEP_MEMORY, "adapter: no host memory");
            return;
        }
    }
    fill(g, out, targets, values);
    ace_free(values);
}

void ace_dit_adapters_load(ace_stream *s, const ace_dit_config *c, const ace_adapter_use *uses,
                           int n, ace_dit_adapters *out)
{
    memset(out, 0, sizeof *out);
    for (int64_t layer = 0; layer < c->layers; layer++) {
        gathering g = {.stream = s, .uses = uses, .n_uses = n, .layer = layer};
        for (int m = 0; m < ACE_DIT_MATRICES && s->status == ACESTEP_OK; m++) {
            load_matrix(&g, c, (ace_dit_matrix)m, &out->added[layer][m]);
        }
    }
}
