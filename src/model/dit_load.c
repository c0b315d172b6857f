#include "model/dit.h"

#include <stdio.h>

static void load_time(ace_loader *l, int64_t hidden, const char *prefix, ace_time_embedding *out)
{
    char name[96];
    (void)snprintf(name, sizeof name, "%s.linear_1.weight", prefix);
    out->linear_1 = ace_load_linear(l, name, hidden, ACE_DIT_SINUSOID);
    (void)snprintf(name, sizeof name, "%s.linear_1.bias", prefix);
    out->bias_1 = ace_load_vector(l, name, hidden);
    (void)snprintf(name, sizeof name, "%s.linear_2.weight", prefix);
    out->linear_2 = ace_load_linear(l, name, hidden, hidden);
    (void)snprintf(name, sizeof name, "%s.linear_2.bias", prefix);
    out->bias_2 = ace_load_vector(l, name, hidden);
    (void)snprintf(name, sizeof name, "%s.time_proj.weight", prefix);
    out->projection = ace_load_linear(l, name, ACE_DIT_MODULATIONS * hidden, hidden);
    (void)snprintf(name, sizeof name, "%s.time_proj.bias", prefix);
    out->projection_bias = ace_load_vector(l, name, ACE_DIT_MODULATIONS * hidden);
}

static void load_cross_attention(ace_loader *l, const ace_block_config *c, const char *layer,
                                 ace_dit_layer *out)
{
    char name[96];
    char other[96];
    int64_t kv = c->kv_heads * c->head_dim;
    (void)snprintf(name, sizeof name, "%s.cross_attn_norm.weight", layer);
    out->cross_norm = ace_load_vector(l, name, c->hidden);
    (void)snprintf(name, sizeof name, "%s.cross_attn.q_norm.weight", layer);
    out->cross_q_norm = ace_load_vector(l, name, c->head_dim);
    (void)snprintf(name, sizeof name, "%s.cross_attn.k_norm.weight", layer);
    out->cross_k_norm = ace_load_vector(l, name, c->head_dim);
    (void)snprintf(name, sizeof name, "%s.cross_attn.q_proj.weight", layer);
    out->cross_q = ace_load_linear(l, name, c->heads * c->head_dim, c->hidden);
    (void)snprintf(name, sizeof name, "%s.cross_attn.o_proj.weight", layer);
    out->cross_out = ace_load_linear(l, name, c->hidden, c->heads * c->head_dim);
    (void)snprintf(name, sizeof name, "%s.cross_attn.k_proj.weight", layer);
    (void)snprintf(other, sizeof other, "%s.cross_attn.v_proj.weight", layer);
    const char *const names[] = {name, other};
    const int64_t rows[] = {kv, kv};
    out->cross_kv = ace_load_linear_fused(l, names, rows, 2, c->hidden, false);
}

static void load_layer(ace_loader *l, const ace_block_config *c, int64_t index, ace_dit_layer *out)
{
    char layer[48];
    char name[96];
    char part[96];
    (void)snprintf(layer, sizeof layer, "decoder.layers.%d", (int)index);
    (void)snprintf(name, sizeof name, "%s.self_attn_norm.weight", layer);
    (void)snprintf(part, sizeof part, "%s.self_attn", layer);
    ace_attention_load(l, c, name, part, &out->self_attention);
    load_cross_attention(l, c, layer, out);
    (void)snprintf(name, sizeof name, "%s.mlp_norm.weight", layer);
    (void)snprintf(part, sizeof part, "%s.mlp", layer);
    ace_mlp_load(l, c, name, part, &out->mlp);
    (void)snprintf(name, sizeof name, "%s.scale_shift_table", layer);
    out->modulation = ace_load_table(l, name, ACE_DIT_MODULATIONS, c->hidden);
}

void ace_dit_load(ace_loader *l, const ace_dit_config *c, ace_dit *out)
{
    int64_t hidden = c->decoder.hidden;
    out->config = *c;
    out->observer = (ace_observer){0};
    out->patch_in = ace_load_conv(l, "decoder.proj_in.1", hidden, c->in_channels, (int)c->patch);
    out->patch_in_bias = ace_load_vector(l, "decoder.proj_in.1.bias", hidden);
    load_time(l, hidden, "decoder.time_embed", &out->time);
    load_time(l, hidden, "decoder.time_embed_r", &out->time_r);
    out->condition_embedder =
        ace_load_linear(l, "decoder.condition_embedder.weight", hidden, c->encoder.hidden);
    out->condition_bias = ace_load_vector(l, "decoder.condition_embedder.bias", hidden);
    for (int64_t i = 0; i < c->layers; i++) {
        load_layer(l, &c->decoder, i, &out->layers[i]);
    }
    out->norm_out = ace_load_vector(l, "decoder.norm_out.weight", hidden);
    out->modulation_out = ace_load_table(l, "decoder.scale_shift_table", 2, hidden);
    out->patch_out =
        ace_load_unpatch(l, "decoder.proj_out.1", hidden, c->latent_channels, c->patch);
    out->patch_out_bias =
        ace_load_vector_repeated(l, "decoder.proj_out.1.bias", c->latent_channels, c->patch);
    out->null_condition = ace_load_table(l, "null_condition_emb", 1, c->encoder.hidden);
}
