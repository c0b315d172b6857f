#include "sample/mersenne.h"

enum { WORDS = ACE_MERSENNE_WORDS, MIDDLE = 397 };

void ace_mersenne_init(ace_mersenne *m, uint32_t seed)
{
    m->state[0] = seed;
    for (uint32_t i = 1; i < WORDS; i++) {
        uint32_t last = m->state[i - 1];
        m->state[i] = 1812433253u * (last ^ (last >> 30)) + i;
    }
    m->next = WORDS;
}

static void twist(ace_mersenne *m)
{
    for (int i = 0; i < WORDS; i++) {
        uint32_t y = (m->state[i] & 0x80000000u) | (m->state[(i + 1) % WORDS] & 0x7fffffffu);
        uint32_t odd = (y & 1u) != 0 ? 0x9908b0dfu : 0u;
        m->state[i] = m->state[(i + MIDDLE) % WORDS] ^ (y >> 1) ^ odd;
    }
    m->next = 0;
}

uint32_t ace_mersenne_draw(ace_mersenne *m)
{
    if (m->next == WORDS) {
        twist(m);
    }
    uint32_t y = m->state[m->next++];
    y ^= y >> 11;
    y ^= (y << 7) & 0x9d2c5680u;
    y ^= (y << 15) & 0xefc60000u;
    return y ^ (y >> 18);
}
