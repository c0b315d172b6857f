/* Latents to sound. Three ways, best first (gpu.md 6.3); when the device refuses memory the stage
 * goes on with the next one, and keeps what it has. */
#ifndef ACE_RUN_DECODER_STAGE_H
#define ACE_RUN_DECODER_STAGE_H

#include "run/pipeline.h"

/* Bytes of the decoder's weights and of the work arena for a song of `frames` latents, counted by
 * `measure`. */
void ace_decoder_bytes(ace_device *measure, const ace_models *models, ace_precisions precisions,
                       int64_t frames, ace_vae_place place, int64_t chunk, int64_t overlap,
                       size_t *weights, size_t *work);

#endif
