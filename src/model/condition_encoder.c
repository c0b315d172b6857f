#include "model/condition_encoder.h"

void ace_condition_encoder_load_words(ace_loader *l, const ace_dit_config *c,
                                      ace_condition_encoder *out)
{
    *out = (ace_condition_encoder){.config = *c};
    out->text_projector =
        ace_load_linear(l, "encoder.text_projector.weight", c->encoder.hidden, c->text_dim);
    ace_latent_stack_load(l, c, "encoder.lyric_encoder", c->text_dim, c->lyric_layers, &out->lyric);
}

void ace_condition_encoder_load_timbre(ace_loader *l, const ace_dit_config *c,
                                       ace_condition_encoder *out)
{
    ace_latent_stack_load(l, c, "encoder.timbre_encoder", c->latent_channels, c->timbre_layers,
                          &out->timbre);
    out->timbre_token =
        ace_load_table(l, "encoder.timbre_encoder.special_token", 1, c->encoder.hidden);
}

void ace_condition_encoder_load(ace_loader *l, const ace_dit_config *c, ace_condition_encoder *out)
{
    ace_condition_encoder_load_words(l, c, out);
    ace_condition_encoder_load_timbre(l, c, out);
}

void ace_text_project(ace_stream *s, const ace_condition_encoder *m, ace_tensor y,
                      const float *text)
{
    ace_arena_mark mark = ace_mark(s);
    ace_tensor x = ace_new_from(s, s->activation, y.rows, m->config.text_dim, text);
    ace_linear(s, y, x, &m->text_projector, NULL);
    ace_reset(s, &mark);
}

void ace_lyric_encode(ace_stream *s, const ace_condition_encoder *m, ace_tensor y,
                      const float *lyrics, int64_t batch, int64_t length, const uint8_t *mask)
{
    ace_arena_mark mark = ace_mark(s);
    ace_tensor x = ace_new_from(s, s->activation, batch * length, m->config.text_dim, lyrics);
    ace_epilogue bias = {.bias = m->lyric.embed_bias};
    ace_linear(s, y, x, &m->lyric.embed, &bias);
    ace_reset(s, &mark);
    /* A query that sees nothing but padding averages everything there (golden README, behaviour 2).
     */
    ace_sequences seq = {
        .batch = batch, .length = length, .mask = mask, .uniform_when_hidden = mask != NULL};
    ace_latent_stack_forward(s, &m->config, &m->lyric, y, seq);
}

/* One reference: its frames, or [token | frames] on the checkpoints that use the token. */
static void encode_reference(ace_stream *s, const ace_condition_encoder *m, ace_tensor y,
                             const float *frames_of_reference, int64_t frames)
{
    ace_arena_mark mark = ace_mark(s);
    int64_t lead = m->config.timbre_cls ? 1 : 0;
    ace_tensor x = ace_new(s, ACE_F32, lead + frames, m->config.encoder.hidden);
    ace_arena_mark inner = ace_mark(s);
    ace_tensor in =
        ace_new_from(s, s->activation, frames, m->config.latent_channels, frames_of_reference);
    ace_epilogue bias = {.bias = m->timbre.embed_bias};
    ace_linear(s, ace_rows(x, lead, frames), in, &m->timbre.embed, &bias);
    ace_reset(s, &inner);
    if (lead != 0) {
        ace_copy(s, ace_rows(x, 0, 1), m->timbre_token);
    }
    ace_sequences seq = {.batch = 1, .length = lead + frames};
    ace_latent_stack_forward(s, &m->config, &m->timbre, x, seq);
    ace_copy(s, y, ace_rows(x, 0, 1));
    ace_reset(s, &mark);
}

void ace_timbre_encode(ace_stream *s, const ace_condition_encoder *m, ace_tensor y,
                       const float *timbre, int64_t n_refs, int64_t frames)
{
    int64_t step = frames * m->config.latent_channels;
    for (int64_t i = 0; i < n_refs; i++) {
        encode_reference(s, m, ace_rows(y, i, 1), timbre != NULL ? timbre + i * step : NULL,
                         frames);
    }
}

void ace_condition_encode(ace_stream *s, const ace_condition_encoder *m,
                          const ace_condition_input *in, float *out)
{
    ace_arena_mark mark = ace_mark(s);
    ace_tensor y =
        ace_new(s, ACE_F32, in->n_lyrics + in->n_refs + in->n_text, m->config.encoder.hidden);
    ace_lyric_encode(s, m, ace_rows(y, 0, in->n_lyrics), in->lyrics, 1, in->n_lyrics, NULL);
    ace_stream_progress(s, 0.4);
    ace_tensor timbre = ace_rows(y, in->n_lyrics, in->n_refs);
    if (in->timbre_known) {
        ace_upload(s, timbre, in->timbre_states);
    } else {
        ace_timbre_encode(s, m, timbre, in->timbre, in->n_refs, in->timbre_frames);
    }
    ace_text_project(s, m, ace_rows(y, in->n_lyrics + in->n_refs, in->n_text), in->text);
    ace_download(s, out, y);
    ace_reset(s, &mark);
}
