#include "model/vae_posterior.h"

#include <math.h>
#include <stddef.h>

/* ln(1 + e^x) without overflow. */
static float softplus(float x)
{
    return fmaxf(x, 0.0f) + log1pf(expf(-fabsf(x)));
}

void ace_vae_posterior(const float *moments, int64_t frames, int64_t channels, const float *eps,
                       float *latents)
{
    for (int64_t f = 0; f < frames; f++) {
        const float *mean = moments + f * 2 * channels;
        const float *spread = mean + channels;
        for (int64_t c = 0; c < channels; c++) {
            int64_t i = f * channels + c;
            /* 1e-4: the smallest spread in Oobleck's diagonal Gaussian. */
            latents[i] = mean[c] + (eps != NULL ? (softplus(spread[c]) + 1e-4f) * eps[i] : 0.0f);
        }
    }
}
