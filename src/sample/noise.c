#include "sample/noise.h"

#include "sample/philox.h"

#include <math.h>

static const double HALF_PI = 1.57079632679489661923;

static void draw(uint64_t seed, uint32_t index, uint32_t use, uint64_t block, uint32_t out[4])
{
    uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    uint32_t counter[4] = {index, use, (uint32_t)block, (uint32_t)(block >> 32)};
    ace_philox4x32_10(counter, key, out);
}

/* Lane 0 … 3 of the four normals in a block, by Box and Muller (1958). Radius and angle start from
 * f32 values, as in cuRAND's curand_normal.h; the functions are taken in f64 so that the result
 * does not depend on the f32 accuracy of a mathematics library. */
static float normal_lane(const uint32_t words[4], int lane)
{
    uint32_t x = words[lane & 2];
    uint32_t y = words[(lane & 2) + 1];
    float u = (float)x * 0x1p-32f + 0x1p-33f; /* in (0, 1] */
    double step = (double)(0x1p-32f * 6.2831855f);
    float angle = (float)((double)(float)y * step + 0.5 * step);
    double radius = sqrt(-2.0 * log((double)u));
    return (float)(radius * ((lane & 1) == 0 ? sin((double)angle) : cos((double)angle)));
}

void ace_noise_normal(uint64_t seed, int64_t first, int64_t n, uint64_t grid, float *out)
{
    if (grid == 0) {
        ace_noise_stream(seed, ACE_NOISE_INITIAL, 0, first, n, out);
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        uint64_t k = (uint64_t)(first + i);
        uint64_t round =
            k / (4 * grid); /* every thread hands out its four lanes, then goes round */
        uint32_t words[4];
        draw(seed, (uint32_t)round, ACE_NOISE_INITIAL, k % grid, words);
        out[i] = normal_lane(words, (int)(k % (4 * grid) / grid));
    }
}

void ace_noise_stream(uint64_t seed, ace_noise_use use, uint32_t index, int64_t first, int64_t n,
                      float *out)
{
    for (int64_t i = 0; i < n; i++) {
        uint32_t words[4];
        draw(seed, index, (uint32_t)use, (uint64_t)(first + i), words);
        out[i] = normal_lane(words, 0);
    }
}

double ace_noise_uniform(uint64_t seed, ace_noise_use use, uint32_t index, int64_t k)
{
    uint32_t words[4];
    draw(seed, index, (uint32_t)use, (uint64_t)k, words);
    return (double)words[0] * 0x1p-32;
}

void ace_noise_mix(double variance, int64_t n, const float *other, float *noise)
{
    float keep = (float)cos(HALF_PI * variance);
    float take = (float)sin(HALF_PI * variance);
    for (int64_t i = 0; i < n; i++) {
        noise[i] = keep * noise[i] + take * other[i];
    }
}
