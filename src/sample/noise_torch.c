/* PyTorch's normal_() on the CPU for 16 and more numbers (aten/src/ATen/native/cpu/
 * DistributionTemplates.h): uniforms for the whole tensor, then Box-Muller within blocks of 16. */
#include "sample/mersenne.h"
#include "sample/noise.h"

#include <math.h>

enum { BLOCK = 16, PAIRS = BLOCK / 2 };

static void fill_uniform(ace_mersenne *m, float *block)
{
    for (int i = 0; i < BLOCK; i++) {
        block[i] = (float)(ace_mersenne_draw(m) & 0xffffffu) * 0x1p-24f;
    }
}

static void make_normal(float *block)
{
    for (int i = 0; i < PAIRS; i++) {
        float u = 1.0f - block[i]; /* in (0, 1], for the logarithm */
        float angle = 6.2831855f * block[i + PAIRS];
        double radius = sqrt(-2.0 * log((double)u));
        block[i] = (float)(radius * cos((double)angle));
        block[i + PAIRS] = (float)(radius * sin((double)angle));
    }
}

ace_status ace_noise_torch_cpu(uint64_t seed, int64_t n, float *out, ace_error *err)
{
    if (n < BLOCK) {
        return ace_fail(err, ACESTEP_ARGUMENT,
                        "noise: %lld numbers; PyTorch's CPU stream is offered from %d on",
                        (long long)n, BLOCK);
    }
    ace_mersenne m;
    ace_mersenne_init(&m, (uint32_t)seed);
    int64_t whole = n / BLOCK * BLOCK;
    for (int64_t i = 0; i < whole; i += BLOCK) {
        fill_uniform(&m, out + i);
    }
    for (int64_t i = whole; i < n; i++) { /* drawn, then replaced below: the original's order */
        (void)ace_mersenne_draw(&m);
    }
    for (int64_t i = 0; i < whole; i += BLOCK) {
        make_normal(out + i);
    }
    if (whole < n) {
        fill_uniform(&m, out + n - BLOCK);
        make_normal(out + n - BLOCK);
    }
    return ACESTEP_OK;
}
