#include "audio/encode.h"

#include <math.h>

void ace_block_floats(const ace_audio *audio, int64_t first, int64_t frames, bool clamp, float *out)
{
    const float *x = audio->samples + first * audio->channels;
    int64_t count = frames * audio->channels;
    for (int64_t i = 0; i < count; i++) {
        float value = isfinite(x[i]) ? x[i] : 0.0f;
        out[i] = clamp ? fminf(fmaxf(value, -1.0f), 1.0f) : value;
    }
}

/* A uniform number in [0, 1) from a counter: the finaliser of SplitMix64 (Steele, Lea, Flood 2014).
 */
static double uniform(uint64_t seed, uint64_t counter)
{
    uint64_t z = seed + (counter + 1) * 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    z ^= z >> 31;
    return (double)(z >> 11) * 0x1p-53;
}

void ace_block_integers(const ace_audio *audio, int64_t first, int64_t frames, int bits,
                        const ace_audio_format *format, int32_t *out)
{
    const float *x = audio->samples + first * audio->channels;
    int64_t count = frames * audio->channels;
    uint64_t index = (uint64_t)(first * audio->channels);
    double scale = ldexp(1.0, bits - 1);
    bool dither = format->dither && bits == 16;
    for (int64_t i = 0; i < count; i++, index++) {
        double value = isfinite(x[i]) ? x[i] * scale : 0.0;
        if (dither) {
            value += uniform(format->dither_seed, 2 * index) +
                     uniform(format->dither_seed, 2 * index + 1) - 1.0;
        }
        out[i] = (int32_t)fmin(fmax(rint(value), -scale), scale - 1.0);
    }
}
