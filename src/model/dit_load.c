#include "model/dit.h"

#include <stdio.h>
#include <string.h>

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
    (void)snprintf(name, sizeof name, "%s.cross_attn_norm.weight", layer);
    out->cross_norm = ace_load_vector(l, name, c->hidden);
    (void)snprintf(name, sizeof name, "%s.cross_attn.q_norm.weight", layer);
    out->cross_q_norm = ace_load_vector(l, name, c->head_dim);
    (void)snprintf(name, sizeof name, "%s.cross_attn.q_proj.weight", layer);
    out->cross_q = ace_load_linear(l, name, c->heads * c->head_dim, c->hidden);
    (void)snprintf(name, sizeof name, "%s.cross_attn.o_proj.weight", layer);
    out->cross_out = ace_load_linear(l, name, c->hidden, c->heads * c->head_dim);
}

void ace_dit_load_layer(ace_loader *l, const ace_dit_config *config, int64_t index,
                        ace_dit_layer *out)
{
    const ace_block_config *c = &config->decoder;
    char layer[48];
    char name[96];
    char part[96];
    (void)snprintf(layer, sizeof layer, "decoder.layers.%d", (int)index);
    (void)snprintf(name, sizeof name, "%s.self_attn_norm.weight", layer);
    (void)snprintf(part, sizeof part, "%s.self_attn", layer);
    l->int8_inputs =
        true; /* what is normed, attended or gated bears it; times and conditions do not */
    ace_attention_load(l, c, name, part, &out->self_attention);
    load_cross_attention(l, c, layer, out);
    (void)snprintf(name, sizeof name, "%s.mlp_norm.weight", layer);
    (void)snprintf(part, sizeof part, "%s.mlp", layer);
    ace_mlp_load(l, c, name, part, &out->mlp);
    l->int8_inputs = false;
    (void)snprintf(name, sizeof name, "%s.scale_shift_table", layer);
    out->modulation = ace_load_table(l, name, ACE_DIT_MODULATIONS, c->hidden);
}

void ace_dit_load_condition(ace_loader *l, const ace_dit_config *c, ace_dit_condition *out)
{
    const ace_block_config *d = &c->decoder;
    int64_t kv = d->kv_heads * d->head_dim;
    const int64_t rows[] = {kv, kv};
    out->embedder =
        ace_load_linear(l, "decoder.condition_embedder.weight", d->hidden, c->encoder.hidden);
    out->embedder_bias = ace_load_vector(l, "decoder.condition_embedder.bias", d->hidden);
    out->null_condition = ace_load_table(l, "null_condition_emb", 1, c->encoder.hidden);
    for (int i = 0; i < (int)c->layers; i++) {
        char k[96];
        char v[96];
        const char *const names[] = {k, v};
        (void)snprintf(k, sizeof k, "decoder.layers.%d.cross_attn.k_norm.weight", i);
        out->cross_k_norm[i] = ace_load_vector(l, k, d->head_dim);
        (void)snprintf(k, sizeof k, "decoder.layers.%d.cross_attn.k_proj.weight", i);
        (void)snprintf(v, sizeof v, "decoder.layers.%d.cross_attn.v_proj.weight", i);
        out->cross_kv[i] = ace_load_linear_fused(l, names, rows, 2, d->hidden, false);
    }
}

void ace_dit_load_core(ace_loader *l, const ace_dit_config *c, ace_dit *out)
{
    int64_t hidden = c->decoder.hidden;
    out->config = *c;
    out->patch_in = ace_load_conv(l, "decoder.proj_in.1", hidden, c->in_channels, (int)c->patch);
    out->patch_in_bias = ace_load_vector(l, "decoder.proj_in.1.bias", hidden);
    load_time(l, hidden, "decoder.time_embed", &out->time);
    load_time(l, hidden, "decoder.time_embed_r", &out->time_r);
    out->norm_out = ace_load_vector(l, "decoder.norm_out.weight", hidden);
    out->modulation_out = ace_load_table(l, "decoder.scale_shift_table", 2, hidden);
    out->patch_out =
        ace_load_unpatch(l, "decoder.proj_out.1", hidden, c->latent_channels, c->patch);
    out->patch_out_bias =
        ace_load_vector_repeated(l, "decoder.proj_out.1.bias", c->latent_channels, c->patch);
}

void ace_dit_load(ace_loader *l, const ace_dit_config *c, ace_dit *out)
{
    out->observer = (ace_observer){0};
    out->source = NULL;
    out->adapters = NULL;
    ace_dit_load_condition(l, c, &out->condition);
    ace_dit_load_core(l, c, out);
    for (int64_t i = 0; i < c->layers; i++) {
        ace_dit_load_layer(l, c, i, &out->layers[i]);
    }
}

bool ace_dit_is_quantised(const char *name)
{
    static const char prefix[] = "model.";
    static const char end[] = ".weight";
    size_t n = strlen(name);
    if (strncmp(name, prefix, sizeof prefix - 1) == 0) {
        name += sizeof prefix - 1;
        n -= sizeof prefix - 1;
    }
    return (strncmp(name, "decoder.", 8) == 0 || strncmp(name, "encoder.", 8) == 0) &&
           n >= sizeof end && strcmp(name + n - (sizeof end - 1), end) == 0;
}
