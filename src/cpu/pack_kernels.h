/* What an instruction set provides to packing (matrix.c): one table per level. All levels give the
 * same bits. */
#ifndef ACE_CPU_PACK_KERNELS_H
#define ACE_CPU_PACK_KERNELS_H

#include "cpu/row_view.h"

typedef struct ace_pack_kernels {
    /* the largest magnitude of n numbers; NaN if a NaN or an infinity is among them */
    float (*peak)(ace_row from, int64_t n);
    /* divided by the scale, rounded to nearest, ties to even; zeros for scale 0 */
    void (*quantise)(int8_t *to, ace_row from, int64_t n, float scale);
    /* n units of 4 bytes of each of ACE_PANEL lanes, from [lane][stride] to [unit][lane] */
    void (*interleave)(void *to, const void *from, int64_t stride, int64_t n);
} ace_pack_kernels;

extern const ace_pack_kernels ace_pack_kernels_generic, ace_pack_kernels_avx2,
    ace_pack_kernels_avx512;

static inline const ace_pack_kernels *ace_pack_kernels_of(ace_cpu_level level)
{
    switch (level) {
    case ACE_CPU_AVX512:
        return &ace_pack_kernels_avx512;
    case ACE_CPU_AVX2:
        return &ace_pack_kernels_avx2;
    case ACE_CPU_GENERIC:
        break;
    }
    return &ace_pack_kernels_generic;
}

#endif
