/* Decoding and encoding of any length in pieces, from host memory to host memory. The networks see
 * a bounded neighbourhood only, so a piece computed with a wide enough halo equals the same stretch
 * of the whole, up to the order of sums. */
#ifndef ACE_MODEL_VAE_TILING_H
#define ACE_MODEL_VAE_TILING_H

#include "model/vae_decoder.h"
#include "model/vae_encoder.h"

/* Latent frames that the samples of one frame hear on each side, and frames of audio that one
 * latent hears on each side: 9 and 7 for the published ratios, more where the decoder begins with
 * small ones. */
int64_t ace_vae_decoder_halo(const ace_vae_config *c);
int64_t ace_vae_encoder_halo(const ace_vae_config *c);

/* In latent frames. Each tile computes core + halo on both sides, cut at the signal's ends, and
 * keeps the core. core 0, or a signal of at most core + 2·halo frames: everything in one tile. A
 * smaller halo than the above gives audible seams and is taken as asked. */
typedef struct ace_vae_tiling {
    int64_t core, halo;
} ace_vae_tiling;

/* latents: host [frames, latent_channels]; wave: host [frames·hop, audio_channels]; both may be
 * NULL on a measuring device. Reports progress and takes a cancel request before and after every
 * tile. */
ace_vae_tiling ace_vae_tiling_of(int64_t chunk, int64_t overlap); /* windows of chunk frames in all;
                                                                    chunk 0: one tile */
void ace_vae_decode_tiled(ace_stream *s, const ace_vae_decoder *d, const float *latents,
                          int64_t frames, const ace_vae_tiling *tiling, float *wave);

/* From latent frame *done on, which moves with every tile that has reached the host: after a
 * failure the rest can be decoded by other means. */
void ace_vae_decode_from(ace_stream *s, const ace_vae_decoder *d, const float *latents,
                         int64_t frames, const ace_vae_tiling *tiling, int64_t *done, float *wave);
/* The waveform grows on the device and comes to the host at the end, in one piece. */
void ace_vae_decode_resident(ace_stream *s, const ace_vae_decoder *d, const float *latents,
                             int64_t frames, const ace_vae_tiling *tiling, float *wave);

/* wave: host [samples, audio_channels]; moments: host [samples / hop, 2·latent_channels]; both may
 * be NULL on a measuring device. ACESTEP_AUDIO for less than one frame of samples. */
void ace_vae_encode_tiled(ace_stream *s, const ace_vae_encoder *e, const float *wave,
                          int64_t samples, const ace_vae_tiling *tiling, float *moments);

#endif
