/* MT19937 of Matsumoto and Nishimura, "Mersenne Twister" (ACM TOMACS 8, 1998), with the
 * initialisation of 2002 (init_genrand). */
#ifndef ACE_SAMPLE_MERSENNE_H
#define ACE_SAMPLE_MERSENNE_H

#include <stdint.h>

enum { ACE_MERSENNE_WORDS = 624 };

typedef struct ace_mersenne {
    uint32_t state[ACE_MERSENNE_WORDS];
    int next; /* word to hand out; ACE_MERSENNE_WORDS: all used */
} ace_mersenne;

void ace_mersenne_init(ace_mersenne *m, uint32_t seed);
uint32_t ace_mersenne_draw(ace_mersenne *m);

#endif
