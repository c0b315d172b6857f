/* The loops behind peak.h, one table per instruction-set level. */
#ifndef ACE_CPU_PEAK_KERNELS_H
#define ACE_CPU_PEAK_KERNELS_H

#include "cpu/peak.h"

/* Independent sums in flight: enough for two units of six cycles' latency (vdpbf16ps on Zen 4), and
 * with their two factors no more than the 16 registers of SSE and AVX2. */
enum { ACE_PEAK_CHAINS = 12 };

/* One round adds one product to every lane of every sum. Returns a sum, so that nothing is dropped.
 */
typedef float ace_peak_loop(int64_t rounds);

typedef struct ace_peak_kernels {
    ace_peak_loop *loop[ACE_PEAKS]; /* NULL: the level has no instruction for it */
    double flops[ACE_PEAKS];        /* of one round */
} ace_peak_kernels;

extern const ace_peak_kernels ace_peak_kernels_generic, ace_peak_kernels_avx2,
    ace_peak_kernels_avx512;

#endif
