#include "model/fsq.h"

void ace_fsq_detokenizer_load(ace_loader *l, const ace_dit_config *c, ace_fsq_detokenizer *out)
{
    int64_t hidden = c->encoder.hidden;
    out->config = *c;
    out->project_out =
        ace_load_linear(l, "tokenizer.quantizer.project_out.weight", hidden, c->n_fsq_levels);
    out->project_bias = ace_load_vector(l, "tokenizer.quantizer.project_out.bias", hidden);
    ace_latent_stack_load(l, c, "detokenizer", hidden, c->pooler_layers, &out->stack);
    out->frame_tokens = ace_load_table(l, "detokenizer.special_tokens", c->pool_window, hidden);
    out->out = ace_load_linear(l, "detokenizer.proj_out.weight", c->latent_channels, hidden);
    out->out_bias = ace_load_vector(l, "detokenizer.proj_out.bias", c->latent_channels);
}

static void decode_run(ace_stream *s, const ace_fsq_detokenizer *m, const int32_t *codes,
                       int64_t groups, float *quantised, float *latents)
{
    const ace_dit_config *c = &m->config;
    int64_t hidden = c->encoder.hidden;
    int64_t frames = groups * c->pool_window;
    float values[ACE_FSQ_GROUPS * ACE_MAX_FSQ_LEVELS];
    for (int64_t g = 0; g < groups; g++) {
        ace_fsq_values(c, codes[g], values + g * c->n_fsq_levels);
    }
    ace_arena_mark mark = ace_mark(s);
    ace_tensor x = ace_new(s, ACE_F32, frames, hidden);
    ace_arena_mark inner = ace_mark(s);
    ace_tensor digits = ace_new_from(s, ACE_F32, groups, c->n_fsq_levels, values);
    ace_tensor projected = ace_new(s, ACE_F32, groups, hidden);
    ace_tensor embedded = ace_new(s, ACE_F32, groups, hidden);
    ace_epilogue project_bias = {.bias = m->project_bias};
    ace_epilogue embed_bias = {.bias = m->stack.embed_bias};
    ace_linear(s, projected, digits, &m->project_out, &project_bias);
    if (quantised != NULL) {
        ace_download(s, quantised, projected);
    }
    ace_linear(s, embedded, projected, &m->stack.embed, &embed_bias);
    ace_add(s, x, embedded, m->frame_tokens); /* every code in each of its frames */
    ace_reset(s, &inner);

    ace_sequences seq = {.batch = groups, .length = c->pool_window};
    ace_latent_stack_forward(s, c, &m->stack, x, seq);
    ace_tensor y = ace_new(s, ACE_F32, frames, c->latent_channels);
    ace_epilogue out_bias = {.bias = m->out_bias};
    ace_linear(s, y, x, &m->out, &out_bias);
    ace_download(s, latents, y);
    ace_reset(s, &mark);
}

void ace_fsq_decode(ace_stream *s, const ace_fsq_detokenizer *m, const int32_t *codes,
                    int64_t groups, float *quantised, float *latents)
{
    const ace_dit_config *c = &m->config;
    for (int64_t first = 0; first < groups && s->status == ACESTEP_OK; first += ACE_FSQ_GROUPS) {
        int64_t n = groups - first < ACE_FSQ_GROUPS ? groups - first : ACE_FSQ_GROUPS;
        int64_t at = first * c->pool_window * c->latent_channels;
        decode_run(s, m, codes + first, n,
                   quantised != NULL ? quantised + first * c->encoder.hidden : NULL,
                   latents != NULL ? latents + at : NULL);
        ace_stream_progress(s, (double)(first + n) / (double)groups);
    }
}
