/* The decoder of the Oobleck autoencoder (Stable Audio's, as in diffusers' AutoencoderOobleck):
 * latents at 25 Hz to stereo at 48 kHz. Output frame f depends on latent frames f - 9 … f + 9
 * alone. */
#ifndef ACE_MODEL_VAE_DECODER_H
#define ACE_MODEL_VAE_DECODER_H

#include "model/config.h"
#include "model/observer.h"
#include "model/vae_blocks.h"

typedef struct ace_vae_decoder_level {
    int64_t stride, channels; /* channels: of the output */
    ace_vae_snake snake;
    ace_matrix up; /* transposed convolution, kernel 2·stride */
    ace_tensor bias;
    ace_vae_residual residuals[ACE_VAE_RESIDUAL_UNITS];
} ace_vae_decoder_level;

typedef struct ace_vae_decoder {
    int64_t latent_channels, audio_channels, hop;
    ace_matrix first, last; /* the last one has no bias, and nothing limits its output */
    ace_tensor first_bias;
    ace_vae_snake last_snake;
    int n_levels;
    ace_vae_decoder_level level[ACE_MAX_VAE_BLOCKS];
    ace_observer observer; /* "conv1", "block0.conv_t1", "block0", … */
} ace_vae_decoder;

void ace_vae_decoder_load(ace_loader *l, const ace_vae_config *c, ace_vae_decoder *out);

/* latents [frames, latent_channels] → wave f32 [frames·hop, audio_channels]. Works in two buffers
 * of the widest level (published shapes: 2 · 480 KiB per frame in bf16), given back at the end. */
void ace_vae_decoder_forward(ace_stream *s, const ace_vae_decoder *d, ace_tensor latents,
                             ace_tensor wave);

#endif
