/* The condition encoder: lyrics, timbre and text as one sequence [lyrics][timbre][text] for the
 * diffusion transformer's cross-attention. */
#ifndef ACE_MODEL_CONDITION_ENCODER_H
#define ACE_MODEL_CONDITION_ENCODER_H

#include "model/latent_stack.h"

typedef struct ace_condition_encoder {
    ace_dit_config config;
    ace_matrix text_projector;
    ace_latent_stack lyric, timbre;
    ace_tensor timbre_token; /* [1, hidden], prepended only where config.timbre_cls */
} ace_condition_encoder;

void ace_condition_encoder_load(ace_loader *l, const ace_dit_config *c, ace_condition_encoder *out);
/* Its two parts, in this order: words suffice where every timbre is known already. */
void ace_condition_encoder_load_words(ace_loader *l, const ace_dit_config *c,
                                      ace_condition_encoder *out);
void ace_condition_encoder_load_timbre(ace_loader *l, const ace_dit_config *c,
                                       ace_condition_encoder *out);

/* One item, on the host, without padding. */
typedef struct ace_condition_input {
    const float *text; /* [n_text, text_dim]: hidden states of the text encoder */
    int64_t n_text;
    const float *lyrics; /* [n_lyrics, text_dim]: rows of its embedding table */
    int64_t n_lyrics;
    const float *timbre; /* [n_refs·timbre_frames, latent_channels] */
    int64_t n_refs, timbre_frames;
    bool timbre_known;          /* it has been encoded before, to */
    const float *timbre_states; /* [n_refs, encoder.hidden]; then timbre is not heard */
} ace_condition_input;

/* out: host f32 [n_lyrics + n_refs + n_text, encoder.hidden] */
void ace_condition_encode(ace_stream *s, const ace_condition_encoder *m,
                          const ace_condition_input *in, float *out);

/* The parts, for the packing above and for the original's padded batches (condition_reference.h):
 * device f32 results. */
void ace_text_project(ace_stream *s, const ace_condition_encoder *m, ace_tensor y,
                      const float *text);
/* y [batch·length, hidden]; mask as in ace_sequences. */
void ace_lyric_encode(ace_stream *s, const ace_condition_encoder *m, ace_tensor y,
                      const float *lyrics, int64_t batch, int64_t length, const uint8_t *mask);
/* y [n_refs, hidden]: position 0 of each reference. */
void ace_timbre_encode(ace_stream *s, const ace_condition_encoder *m, ace_tensor y,
                       const float *timbre, int64_t n_refs, int64_t frames);

#endif
