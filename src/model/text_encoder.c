#include "model/text_encoder.h"

#include <stdio.h>

void ace_text_encoder_load(ace_loader *l, const ace_qwen3_config *c, ace_text_encoder *out)
{
    out->config = *c;
    for (int64_t i = 0; i < c->layers; i++) {
        char prefix[32];
        (void)snprintf(prefix, sizeof prefix, "layers.%d", (int)i);
        ace_block_load(l, &c->block, prefix, &out->layers[i]);
    }
    out->norm = ace_load_vector(l, "norm.weight", c->block.hidden);
}

void ace_text_encoder_forward(ace_stream *s, const ace_text_encoder *m, ace_tensor embeddings,
                              int64_t batch, int64_t length, const uint8_t *mask, ace_tensor y)
{
    const ace_block_config *c = &m->config.block;
    ace_arena_mark mark = ace_mark(s);
    ace_sequences seq = {
        .batch = batch,
        .length = length,
        .rope = ace_rope_table(s, length, c->head_dim, c->rope_theta),
        .causal = true,
        .mask = mask,
    };
    ace_tensor x = embeddings;
    for (int64_t i = 0; i < m->config.layers; i++) {
        ace_block_forward(s, c, &m->layers[i], x, &seq);
        ace_stream_progress(s, (double)(i + 1) / (double)m->config.layers);
    }
    ace_norm norm = {.weight = m->norm, .eps = c->rms_eps};
    ace_rms_norm(s, y, x, &norm);
    ace_reset(s, &mark);
}
