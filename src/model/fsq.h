/* Between 25 Hz latents and 5 Hz codes: an attention pooler with finite scalar quantisation one
 * way, a small transformer the other. Groups of pool_window (5) frames are independent, so they are
 * worked through in runs of bounded size. */
#ifndef ACE_MODEL_FSQ_H
#define ACE_MODEL_FSQ_H

#include "model/latent_stack.h"

enum { ACE_FSQ_GROUPS = 256 }; /* groups computed at once */

/* ---- numbers: codes and the values they stand for
 * ------------------------------------------------- */

/* The nearest code of z [n_levels]: soft clamp c·tanh(z/c) with c = 1 + 1/(L-1), hard clamp to ±1,
 * nearest of L levels (vector-quantize-pytorch 1.31, residual_fsq). values: the quantised numbers,
 * ±1. */
int32_t ace_fsq_quantise(const ace_dit_config *c, const float *z, float *values);
/* values[n_levels] of a code; digits grow from the first level (little-endian). */
void ace_fsq_values(const ace_dit_config *c, int32_t code, float *values);

/* ---- latents → codes
 * ------------------------------------------------------------------------------ */

typedef struct ace_fsq_tokenizer {
    ace_dit_config config;
    ace_matrix frame_proj; /* audio_acoustic_proj: latent channels → hidden */
    ace_tensor frame_bias;
    ace_latent_stack pooler;
    ace_tensor pool_token;
    ace_matrix project_in; /* hidden → levels */
    ace_tensor in_bias;
    ace_matrix project_out;
    ace_tensor out_bias;
} ace_fsq_tokenizer;

void ace_fsq_tokenizer_load(ace_loader *l, const ace_dit_config *c, ace_fsq_tokenizer *out);

/* What an encoding leaves behind, host arrays; each may be NULL. */
typedef struct ace_fsq_encoding {
    float *pooled;    /* [groups, hidden] */
    float *pre_quant; /* [groups, n_levels] */
    int32_t *codes;   /* [groups] */
    float *quantised; /* [groups, hidden]: after project_out */
} ace_fsq_encoding;

/* latents: host f32 [groups·pool_window, channels], already padded to whole groups. */
void ace_fsq_encode(ace_stream *s, const ace_fsq_tokenizer *m, const float *latents, int64_t groups,
                    const ace_fsq_encoding *out);

/* ---- codes → latents
 * ------------------------------------------------------------------------------ */

typedef struct ace_fsq_detokenizer {
    ace_dit_config config;
    ace_matrix project_out; /* of the tokenizer's quantizer: levels → hidden */
    ace_tensor project_bias;
    ace_latent_stack stack;
    ace_tensor frame_tokens; /* special_tokens [pool_window, hidden] */
    ace_matrix out;
    ace_tensor out_bias;
} ace_fsq_detokenizer;

void ace_fsq_detokenizer_load(ace_loader *l, const ace_dit_config *c, ace_fsq_detokenizer *out);

/* codes: host [groups] → latents: host f32 [groups·pool_window, channels]. quantised: host
 * [groups, hidden] or NULL. */
void ace_fsq_decode(ace_stream *s, const ace_fsq_detokenizer *m, const int32_t *codes,
                    int64_t groups, float *quantised, float *latents);

#endif
