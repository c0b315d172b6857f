/* What the arithmetic units of this machine do at the most: loops that keep everything in
 * registers, so that neither memory nor caches hold them back. The bound of every product. */
#ifndef ACE_CPU_PEAK_H
#define ACE_CPU_PEAK_H

#include "cpu/cpu_device.h"

typedef enum ace_peak {
    ACE_PEAK_F32,  /* fused multiply-add of floats, or multiply and add where there is none */
    ACE_PEAK_BF16, /* vdpbf16ps: pairs of bf16 into f32 */
    ACE_PEAK_I8,   /* vpdpbusd: fours of int8 into int32 */
    ACE_PEAK_I16,  /* vpdpwssd: pairs of int16 into int32 */
    ACE_PEAKS
} ace_peak;

typedef struct ace_cpu_peaks {
    double flops[ACE_PEAKS]; /* per second, all threads together; a multiply-add counts as two */
    bool own[ACE_PEAKS];     /* false: the level has no instruction for it, numbers of this kind are
                                widened to f32, and flops is the figure of f32 */
} ace_cpu_peaks;

const char *ace_peak_name(ace_peak peak); /* "f32", "bf16", "int8", "int16" */
/* The units that a product with weights of this type works in. */
ace_peak ace_peak_of(ace_dtype matrix);

/* Measures with all threads of a CPU device, at its level: the best of several tries, about a third
 * of a second. What *best holds is kept where it is higher: other programs only ever slow a try
 * down. */
void ace_cpu_device_peaks(ace_device *device, ace_cpu_peaks *best);

#endif
