#include "model/language_model.h"

#include <stdio.h>

static int64_t divide_up(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

static void load_head(ace_loader *l, const ace_qwen3_config *c, ace_language_model *out)
{
    const char *name = c->tied_embeddings ? "embed_tokens.weight" : "lm_head.weight";
    int64_t most = (int64_t)ACE_LM_HEAD_ROWS * ACE_LM_MAX_HEAD_PARTS;
    out->head_rows = ACE_LM_HEAD_ROWS * divide_up(c->vocabulary, most);
    out->head_parts = (int)divide_up(c->vocabulary, out->head_rows);
    for (int i = 0; i < out->head_parts; i++) {
        int64_t first = i * out->head_rows;
        int64_t left = c->vocabulary - first;
        int64_t n = left < out->head_rows ? left : out->head_rows;
        out->head[i] = ace_load_linear_rows(l, name, c->vocabulary, c->block.hidden, first, n);
    }
}

void ace_language_model_load(ace_loader *l, const ace_qwen3_config *c, ace_language_model *out)
{
    out->config = *c;
    out->observer = (ace_observer){0};
    for (int64_t i = 0; i < c->layers; i++) {
        char prefix[32];
        (void)snprintf(prefix, sizeof prefix, "layers.%d", (int)i);
        ace_block_load(l, &c->block, prefix, &out->layers[i]);
    }
    out->norm = ace_load_vector(l, "norm.weight", c->block.hidden);
    load_head(l, c, out);
}
