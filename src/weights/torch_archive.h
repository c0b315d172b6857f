/* silence_latent.pt: one f32 tensor in PyTorch's zip container. The pickle inside is never looked at; the
 * stored entry that ends in /data/0 holds the raw numbers. */
#ifndef ACE_WEIGHTS_TORCH_ARCHIVE_H
#define ACE_WEIGHTS_TORCH_ARCHIVE_H

#include "base/status.h"
#include "weights/weights.h"

#include <stddef.h>
#include <stdint.h>

/* Finds the entry's bytes inside the file's. The entry must be stored, not compressed. */
ace_status ace_torch_archive_find(const unsigned char *data, size_t bytes, const char *path,
                                  const unsigned char **entry, size_t *entry_bytes, ace_error *err);

/* The tensor [1, channels, frames] of the file, transposed to [frames, channels]; the caller frees *out with
 * ace_free. */
ace_status ace_silence_latent_load(const char *path, int64_t channels, float **out, int64_t *frames,
                                   ace_error *err);

/* The same from a GGUF file's own tensor `silence_latent` [frames, channels]. */
ace_status ace_silence_latent_from_weights(const ace_weights *w, int64_t channels, float **out,
                                           int64_t *frames, ace_error *err);

#endif
