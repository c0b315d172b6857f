/* The random numbers of a song. Each is a pure function of the song's seed, what it is used for,
 * and its position: the same on every device, in any batch, in any order of asking.
 *
 * The stream is Philox4x32-10 with
 *     key      (seed low, seed high)
 *     counter  (index, use, k low, k high)
 * and number k is lane 0 of block k. With use 0 and index 0 this is what the original draws on a
 * GPU with at least k + 1 threads in its grid; words 0 and 1 are that generator's offset within a
 * thread's sequence, so that the other uses lie where it never gets. */
#ifndef ACE_SAMPLE_NOISE_H
#define ACE_SAMPLE_NOISE_H

#include "base/status.h"

#include <stdint.h>

/* Values are part of the stream's definition: never renumber. */
typedef enum ace_noise_use {
    ACE_NOISE_INITIAL = 0,       /* where sampling starts; index 0 */
    ACE_NOISE_SDE = 1,           /* fresh noise of a stochastic step; index = step */
    ACE_NOISE_POSTERIOR = 2,     /* sampling the VAE encoder's distribution; index = which audio */
    ACE_NOISE_REFERENCE_CUT = 3, /* where reference audio is cut; index = which audio */
    ACE_NOISE_TOKEN = 4,         /* tokens of the language model; index = which of its texts */
} ace_noise_use;

/* Standard normals first … first + n - 1 of the initial noise, before any rounding.
 * grid 0: the stream above. Otherwise the order in which a GPU with `grid` threads hands out a long
 * tensor's numbers (its multiprocessors · ⌊threads per multiprocessor / 256⌋ · 256; A100 221184,
 * H100 270336, RTX 4090 196608, RTX 3090 125952, L4 89088). Both agree below `grid`. */
void ace_noise_normal(uint64_t seed, int64_t first, int64_t n, uint64_t grid, float *out);

/* Standard normals of any use. */
void ace_noise_stream(uint64_t seed, ace_noise_use use, uint32_t index, int64_t first, int64_t n,
                      float *out);

/* Number k of any use, uniform in [0, 1). */
double ace_noise_uniform(uint64_t seed, ace_noise_use use, uint32_t index, int64_t k);

/* The normals that PyTorch's CPU generator gives for a tensor of n ≥ 16 numbers, to within
 * rounding: for comparison with runs of the original without a GPU. ARGUMENT below 16. */
ace_status ace_noise_torch_cpu(uint64_t seed, int64_t n, float *out, ace_error *err);

/* A variation of a take: noise ← cos(½πω)·noise + sin(½πω)·other, ω = 0 … 1. Keeps the variance. */
void ace_noise_mix(double variance, int64_t n, const float *other, float *noise);

#endif
