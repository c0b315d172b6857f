/* From what the encoder says about the latents to latents. */
#ifndef ACE_MODEL_VAE_POSTERIOR_H
#define ACE_MODEL_VAE_POSTERIOR_H

#include <stdint.h>

/* moments [frames, 2·channels]: mean, then the spread before softplus. latents [frames, channels] =
 * mean + (softplus(spread) + 1e-4) · eps; the mean alone when eps [frames, channels] is NULL. */
void ace_vae_posterior(const float *moments, int64_t frames, int64_t channels, const float *eps,
                       float *latents);

#endif
