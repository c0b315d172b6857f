/* The encoder of the Oobleck autoencoder: stereo at 48 kHz to the mean and spread of latents at 25
 * Hz. Latent f depends on the samples hop·f - 12,165 … hop·f + 14,084 alone (published shapes). */
#ifndef ACE_MODEL_VAE_ENCODER_H
#define ACE_MODEL_VAE_ENCODER_H

#include "model/config.h"
#include "model/vae_blocks.h"

typedef struct ace_vae_encoder_level {
    int64_t stride, channels; /* channels: of the output */
    ace_vae_residual residuals[ACE_VAE_RESIDUAL_UNITS];
    ace_vae_snake snake;
    ace_matrix down; /* kernel 2·stride */
    ace_tensor bias;
} ace_vae_encoder_level;

typedef struct ace_vae_encoder {
    int64_t latent_channels, audio_channels, hop;
    ace_matrix first, last;
    ace_tensor first_bias, last_bias;
    ace_vae_snake last_snake;
    int n_levels;
    ace_vae_encoder_level level[ACE_MAX_VAE_BLOCKS];
} ace_vae_encoder;

void ace_vae_encoder_load(ace_loader *l, const ace_vae_config *c, ace_vae_encoder *out);

/* wave [samples, audio_channels] → moments f32 [samples / hop, 2·latent_channels]: the mean, then
 * the spread before softplus. samples ≥ hop need not be a multiple of hop: each level drops what
 * does not fill a stride. Works in two buffers of the widest level, given back at the end. */
void ace_vae_encoder_forward(ace_stream *s, const ace_vae_encoder *e, ace_tensor wave,
                             ace_tensor moments);

#endif
