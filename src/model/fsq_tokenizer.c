#include "model/fsq.h"

#include "base/memory.h"

void ace_fsq_tokenizer_load(ace_loader *l, const ace_dit_config *c, ace_fsq_tokenizer *out)
{
    int64_t hidden = c->encoder.hidden;
    out->config = *c;
    out->frame_proj =
        ace_load_linear(l, "tokenizer.audio_acoustic_proj.weight", hidden, c->latent_channels);
    out->frame_bias = ace_load_vector(l, "tokenizer.audio_acoustic_proj.bias", hidden);
    ace_latent_stack_load(l, c, "tokenizer.attention_pooler", hidden, c->pooler_layers,
                          &out->pooler);
    out->pool_token = ace_load_table(l, "tokenizer.attention_pooler.special_token", 1, hidden);
    out->project_in =
        ace_load_linear(l, "tokenizer.quantizer.project_in.weight", c->n_fsq_levels, hidden);
    out->in_bias = ace_load_vector(l, "tokenizer.quantizer.project_in.bias", c->n_fsq_levels);
    out->project_out =
        ace_load_linear(l, "tokenizer.quantizer.project_out.weight", hidden, c->n_fsq_levels);
    out->out_bias = ace_load_vector(l, "tokenizer.quantizer.project_out.bias", hidden);
}

/* [token | frames] per group → the token's row per group, f32 [groups, hidden]. */
static ace_tensor pool(ace_stream *s, const ace_fsq_tokenizer *m, const float *latents,
                       int64_t groups)
{
    const ace_dit_config *c = &m->config;
    int64_t hidden = c->encoder.hidden;
    int64_t frames = groups * c->pool_window;
    int64_t length = c->pool_window + 1;
    ace_tensor pooled = ace_new(s, ACE_F32, groups, hidden);
    ace_arena_mark mark = ace_mark(s);
    ace_tensor x = ace_new(s, ACE_F32, groups * length, hidden);
    ace_arena_mark inner = ace_mark(s);
    ace_tensor in = ace_new_from(s, s->activation, frames, c->latent_channels, latents);
    ace_tensor projected = ace_new(s, s->activation, frames, hidden);
    ace_tensor embedded = ace_new(s, ACE_F32, frames, hidden);
    ace_epilogue frame_bias = {.bias = m->frame_bias};
    ace_epilogue embed_bias = {.bias = m->pooler.embed_bias};
    ace_linear(s, projected, in, &m->frame_proj, &frame_bias);
    ace_linear(s, embedded, projected, &m->pooler.embed, &embed_bias);
    /* rows of a group side by side: [groups, length·hidden] */
    ace_tensor wide = ace_reshape(x, groups, length * hidden);
    for (int64_t g = 0; g < groups; g++) {
        ace_copy(s, ace_cols(ace_rows(wide, g, 1), 0, hidden), m->pool_token);
    }
    ace_copy(s, ace_cols(wide, hidden, c->pool_window * hidden),
             ace_reshape(embedded, groups, c->pool_window * hidden));
    ace_reset(s, &inner);
    ace_sequences seq = {.batch = groups, .length = length};
    ace_latent_stack_forward(s, c, &m->pooler, x, seq);
    ace_copy(s, pooled, ace_cols(ace_reshape(x, groups, length * hidden), 0, hidden));
    ace_reset(s, &mark);
    return pooled;
}

static void quantise(const ace_fsq_tokenizer *m, const float *z, int64_t groups, int32_t *codes,
                     float *values)
{
    int n = m->config.n_fsq_levels;
    for (int64_t g = 0; g < groups; g++) {
        int32_t code = ace_fsq_quantise(&m->config, z + g * n, values + g * n);
        if (codes != NULL) {
            codes[g] = code;
        }
    }
}

static void encode_run(ace_stream *s, const ace_fsq_tokenizer *m, const float *latents,
                       int64_t groups, const ace_fsq_encoding *out)
{
    const ace_dit_config *c = &m->config;
    float z[ACE_FSQ_GROUPS * ACE_MAX_FSQ_LEVELS] = {0};
    float values[ACE_FSQ_GROUPS * ACE_MAX_FSQ_LEVELS];
    ace_arena_mark mark = ace_mark(s);
    ace_tensor pooled = pool(s, m, latents, groups);
    ace_tensor before = ace_new(s, ACE_F32, groups, c->n_fsq_levels);
    ace_epilogue in_bias = {.bias = m->in_bias};
    ace_linear(s, before, pooled, &m->project_in, &in_bias);
    ace_download(s, z, before);
    quantise(m, z, groups, out->codes, values);
    if (out->pooled != NULL) {
        ace_download(s, out->pooled, pooled);
    }
    if (out->pre_quant != NULL) {
        ace_download(s, out->pre_quant, before);
    }
    if (out->quantised != NULL) {
        ace_tensor after = ace_new(s, ACE_F32, groups, c->encoder.hidden);
        ace_epilogue out_bias = {.bias = m->out_bias};
        ace_upload(s, before, values);
        ace_linear(s, after, before, &m->project_out, &out_bias);
        ace_download(s, out->quantised, after);
    }
    ace_reset(s, &mark);
}

void ace_fsq_encode(ace_stream *s, const ace_fsq_tokenizer *m, const float *latents, int64_t groups,
                    const ace_fsq_encoding *out)
{
    const ace_dit_config *c = &m->config;
    for (int64_t first = 0; first < groups && s->status == ACESTEP_OK; first += ACE_FSQ_GROUPS) {
        int64_t n = groups - first < ACE_FSQ_GROUPS ? groups - first : ACE_FSQ_GROUPS;
        ace_fsq_encoding part = {
            .pooled = out->pooled != NULL ? out->pooled + first * c->encoder.hidden : NULL,
            .pre_quant = out->pre_quant != NULL ? out->pre_quant + first * c->n_fsq_levels : NULL,
            .codes = out->codes != NULL ? out->codes + first : NULL,
            .quantised = out->quantised != NULL ? out->quantised + first * c->encoder.hidden : NULL,
        };
        const float *at =
            latents != NULL ? latents + first * c->pool_window * c->latent_channels : NULL;
        encode_run(s, m, at, n, &part);
        ace_stream_progress(s, (double)(first + n) / (double)groups);
    }
}
