/* Change of sample rate by band-limited interpolation, with the kernel torchaudio uses by default.
 *
 * The input x[i] at rate a is read as the continuous signal it stands for, low-pass filtered, and
 * read off at rate b. With a and b divided by their greatest common divisor, f = 0.99 · min(a, b)
 * the filter's edge (roll-off 0.99) and w = 6 the number of zero crossings kept on each side:
 *
 *     y[j] = Σ_i x[i] · h((i / a - j / b) · f)
 *     h(t) = (f / a) · cos²(π t / 2w) · sin(π t) / (π t)   for |t| < w, otherwise 0   (Hann window)
 *
 * x is 0 outside the recording, and n frames become ceil(n · b / a). The coefficients repeat with
 * period b in j, are computed in double and rounded to float, as torchaudio.transforms.Resample
 * does; the sums here run in double. Equal rates copy. */
#ifndef ACE_AUDIO_RESAMPLE_H
#define ACE_AUDIO_RESAMPLE_H

#include "audio/audio.h"

/* Rates the filter table is allowed for: it has at most rate/gcd phases of 12.2 · 24 taps. */
enum { ACE_RESAMPLE_RATE_MIN = 8000, ACE_RESAMPLE_RATE_MAX = 192000 };

/* Frames that n frames become. */
int64_t ace_resample_frames(int64_t n, int from, int to);

/* The whole of in at the new rate; *out is a new buffer. */
ace_status ace_audio_resample(const ace_audio *in, int rate, ace_audio *out, ace_error *err);

/* The same in pieces, for decoders: the result does not depend on how the input is cut. */
typedef struct ace_resampler ace_resampler;

ace_status ace_resampler_create(int from, int to, int channels, ace_resampler **out,
                                ace_error *err);
void ace_resampler_free(ace_resampler *resampler); /* NULL is fine */

/* Appends what the frames make computable to out, whose samples grow; capacity is the number of
 * frames out->samples has room for and is kept by the callee. On failure out stays valid. */
ace_status ace_resampler_push(ace_resampler *resampler, const float *samples, int64_t frames,
                              ace_audio *out, int64_t *capacity, ace_error *err);

/* Ends the input: appends the rest. */
ace_status ace_resampler_finish(ace_resampler *resampler, ace_audio *out, int64_t *capacity,
                                ace_error *err);

#endif
