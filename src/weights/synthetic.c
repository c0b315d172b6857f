#include "weights/synthetic.h"

/* FNV-1a, 64 bits (Fowler, Noll, Vo). */
uint64_t ace_synthetic_seed(const char *name)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (const char *p = name; *p != '\0'; p++) {
        hash = (hash ^ (unsigned char)*p) * UINT64_C(0x100000001b3);
    }
    return hash;
}

/* SplitMix64 (Steele, Lea, Flood 2014): a counter and a mixing function. */
void ace_synthetic_fill(uint64_t seed, float spread, float *out, int64_t n)
{
    const float unit = spread / (float)(1 << 23);
    for (int64_t i = 0; i < n; i++) {
        seed += UINT64_C(0x9e3779b97f4a7c15);
        uint64_t z = seed;
        z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
        z ^= z >> 31;
        out[i] = (float)((int32_t)(z >> 40) - (1 << 23)) * unit;
    }
}
