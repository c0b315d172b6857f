#include "model/latent_stack.h"

#include <stdio.h>

void ace_latent_stack_load(ace_loader *l, const ace_dit_config *c, const char *prefix,
                           int64_t width, int64_t n_layers, ace_latent_stack *out)
{
    char name[96];
    (void)snprintf(name, sizeof name, "%s.embed_tokens.weight", prefix);
    out->embed = ace_load_linear(l, name, c->encoder.hidden, width);
    (void)snprintf(name, sizeof name, "%s.embed_tokens.bias", prefix);
    out->embed_bias = ace_load_vector(l, name, c->encoder.hidden);
    out->n_layers = n_layers;
    for (int64_t i = 0; i < n_layers; i++) {
        (void)snprintf(name, sizeof name, "%s.layers.%d", prefix, (int)i);
        ace_block_load(l, &c->encoder, name, &out->layers[i]);
    }
    (void)snprintf(name, sizeof name, "%s.norm.weight", prefix);
    out->norm = ace_load_vector(l, name, c->encoder.hidden);
}

void ace_latent_stack_forward(ace_stream *s, const ace_dit_config *c, const ace_latent_stack *m,
                              ace_tensor x, ace_sequences seq)
{
    ace_arena_mark mark = ace_mark(s);
    seq.rope = ace_rope_table(s, seq.length, c->encoder.head_dim, c->encoder.rope_theta);
    for (int64_t i = 0; i < m->n_layers; i++) {
        seq.window = c->sliding[i] ? c->encoder.window : 0;
        ace_block_forward(s, &c->encoder, &m->layers[i], x, &seq);
    }
    ace_norm norm = {.weight = m->norm, .eps = c->encoder.rms_eps};
    ace_rms_norm(s, x, x, &norm);
    ace_reset(s, &mark);
}
