/* Philox4x32-10, the counter-based generator of Salmon, Moraes, Dror and Shaw, "Parallel random
 * numbers: as easy as 1, 2, 3" (SC 2011): a keyed bijection of 128-bit counters. */
#ifndef ACE_SAMPLE_PHILOX_H
#define ACE_SAMPLE_PHILOX_H

#include <stdint.h>

void ace_philox4x32_10(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

#endif
