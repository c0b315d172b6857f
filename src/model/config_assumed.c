#include "model/config_assumed.h"

#include <stdio.h>

static const ace_weight *find(const ace_weights *w, const char *layer, const char *part)
{
    char name[128];
    (void)snprintf(name, sizeof name, "%s.self_attn.%s.weight", layer, part);
    return ace_weights_find(w, name);
}

static void complete(ace_block_config *b, const ace_weights *w, const char *layer)
{
    const ace_weight *norm = find(w, layer, "q_norm");
    const ace_weight *keys = find(w, layer, "k_proj");
    if (b->head_dim_assumed && norm != NULL && norm->rank == 1 && norm->dim[0] > 0 &&
        norm->dim[0] <= ACE_MAX_HEAD_DIM && norm->dim[0] % 2 == 0) {
        b->head_dim = norm->dim[0];
        b->head_dim_assumed = false;
    }
    if (b->kv_heads_assumed && keys != NULL && keys->rank == 2 && keys->dim[0] > 0 &&
        keys->dim[0] % b->head_dim == 0 && b->heads % (keys->dim[0] / b->head_dim) == 0) {
        b->kv_heads = keys->dim[0] / b->head_dim;
        b->kv_heads_assumed = false;
    }
}

void ace_dit_config_complete(ace_dit_config *c, const ace_weights *w)
{
    complete(&c->decoder, w, "decoder.layers.0");
    complete(&c->encoder, w, "encoder.lyric_encoder.layers.0");
}

void ace_qwen3_config_complete(ace_qwen3_config *c, const ace_weights *w)
{
    complete(&c->block, w, "layers.0");
}
