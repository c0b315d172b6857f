/* Made-up numbers in the place of trained ones, for plans, benchmarks and tests without a
 * checkpoint. The same name gives the same numbers on every machine. */
#ifndef ACE_WEIGHTS_SYNTHETIC_H
#define ACE_WEIGHTS_SYNTHETIC_H

#include <stdint.h>

uint64_t ace_synthetic_seed(const char *name);

/* n numbers, uniform in ±spread. */
void ace_synthetic_fill(uint64_t seed, float spread, float *out, int64_t n);

#endif
