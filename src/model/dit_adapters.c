#include "model/dit_adapters.h"

#include "base/memory.h"
#include "model/adapter_terms.h"
#include "model/dora.h"

#include <stdio.h>
#include <string.h>

_Static_assert((int)ACE_ADAPTER_LAYERS >= (int)ACE_MAX_LAYERS, "every layer can be adapted");

/* ---- the model's matrices -------------------------------------------------------------------- */

static const struct {
    int n;
    ace_adapter_target part[ACE_FUSED_PARTS];
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
    if (m->kind == ACE_ADAPTER_NONE) {
        return ACESTEP_OK;
    }
    const char *name = ace_adapter_first_tensor(m)->name;
    if (layer >= c->layers) {
        return ace_fail(err, ACESTEP_MODEL,
                        "%.300s: %.200s is for layer %d, and this model has layers 0 to %lld; the "
                        "adapter is another model's",
                        a->path, name, layer, (long long)c->layers - 1);
    }
    shape_of(c, target, &out, &in);
    if (m->cols != in || m->rows != out) {
        return ace_fail(err, ACESTEP_MODEL,
                        "%.300s: %.200s is for a layer [%lld, %lld], and this model's is [%lld, "
                        "%lld]; the adapter is another model's",
                        a->path, name, (long long)m->rows, (long long)m->cols, (long long)out,
                        (long long)in);
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

/* ---- loading --------------------------------------------------------------------------------- */

/* One matrix and what is added to it, with the factors of DoRA, which are the host's. */
typedef struct gathering {
    ace_loader *loader;
    const ace_dit_config *config;
    const ace_adapter_use *uses;
    int n_uses;
    int64_t layer;
    ace_adapter_term term[ACE_MAX_KRONECKERS]; /* parts one after another, and in each the uses */
    int n_terms;
    float *stretch; /* owned; NULL: there is no DoRA, or nothing is computed */
} gathering;

/* The module of one use; NULL when it leaves the target alone. */
static const ace_adapter_module *module_of(const gathering *g, int use, ace_adapter_target target)
{
    const ace_adapter_module *m = &g->uses[use].adapter->module[g->layer][target];
    return m->kind != ACE_ADAPTER_NONE && !m->silent && g->uses[use].scale != 0 ? m : NULL;
}

static void list_terms(gathering *g, ace_dit_matrix matrix)
{
    int64_t row = 0;
    for (int i = 0; i < matrices[matrix].n; i++) {
        ace_adapter_target target = matrices[matrix].part[i];
        int64_t rows = 0;
        int64_t in = 0;
        shape_of(g->config, target, &rows, &in);
        for (int use = 0; use < g->n_uses; use++) {
            const ace_adapter_module *m = module_of(g, use, target);
            if (m != NULL) {
                g->term[g->n_terms++] = (ace_adapter_term){.adapter = g->uses[use].adapter,
                                                           .module = m,
                                                           .target = target,
                                                           .scale = g->uses[use].scale,
                                                           .part = i,
                                                           .first_row = row};
            }
        }
        row += rows;
    }
}

/* The factors of all terms with DoRA, one behind another. */
static void find_stretches(gathering *g)
{
    int64_t rows = 0;
    for (int i = 0; i < g->n_terms; i++) {
        rows += g->term[i].module->magnitude != NULL ? g->term[i].module->rows : 0;
    }
    if (rows == 0 || !ace_loader_reads(g->loader)) {
        return;
    }
    float *at = ace_malloc_array((size_t)rows, sizeof *at);
    g->stretch = at;
    if (at == NULL) {
        ace_stream_fail(g->loader->stream, ACESTEP_MEMORY, "adapters: no host memory");
        return;
    }
    for (int i = 0; i < g->n_terms; i++) {
        ace_adapter_term *t = &g->term[i];
        char name[96];
        if (t->module->magnitude == NULL) {
            continue;
        }
        (void)snprintf(name, sizeof name, "decoder.layers.%d.%s.weight", (int)g->layer,
                       ace_adapter_target_name(t->target));
        if (!ace_dora_factors(g->loader, name, t->adapter, t->module, at)) {
            return;
        }
        t->stretch = at;
        at += t->module->rows;
    }
}

static void load_matrix(gathering *g, ace_dit_matrix matrix, ace_added *out)
{
    list_terms(g, matrix);
    if (g->n_terms == 0) {
        return;
    }
    int64_t all_rows = 0;
    for (int i = 0; i < matrices[matrix].n; i++) {
        int64_t rows = 0;
        int64_t in = 0;
        shape_of(g->config, matrices[matrix].part[i], &rows, &in);
        all_rows += rows;
    }
    find_stretches(g);
    ace_adapter_terms_load(g->loader->stream, g->term, g->n_terms, all_rows, out);
    ace_free(g->stretch);
}

void ace_dit_adapters_load(ace_loader *l, const ace_dit_config *c, const ace_adapter_use *uses,
                           int n, ace_dit_adapters *out)
{
    memset(out, 0, sizeof *out);
    for (int64_t layer = 0; layer < c->layers; layer++) {
        for (int m = 0; m < ACE_DIT_MATRICES && l->stream->status == ACESTEP_OK; m++) {
            gathering g = {.loader = l, .config = c, .uses = uses, .n_uses = n, .layer = layer};
            load_matrix(&g, (ace_dit_matrix)m, &out->added[layer][m]);
        }
    }
}
