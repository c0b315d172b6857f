/* Dot products beside the f32 loop. A round is one statement of assembler: gcc 12 wraps two moves
 * around each of these intrinsics, which would be measured too. */
#include "cpu/peak_body.h"

#if defined(__AVX512BF16__) && defined(__AVX512VNNI__)

#define ONE(instruction, sum) instruction " %[a], %[a], %[" #sum "]\n\t"

/* static float NAME(int64_t rounds): `instruction` on twelve sums a round. Each sum is an operand
 * of its own, so that it stays in its register. */
#define DOT_LOOP(name, instruction)                                                                \
    static float name(int64_t rounds)                                                              \
    {                                                                                              \
        const __m512 a = _mm512_set1_ps(1.0f);                                                     \
        __m512 s0 = _mm512_setzero_ps(), s1 = s0, s2 = s0, s3 = s0, s4 = s0, s5 = s0, s6 = s0,     \
               s7 = s0, s8 = s0, s9 = s0, s10 = s0, s11 = s0;                                      \
        for (int64_t r = 0; r < rounds; r++) {                                                     \
            __asm__ volatile(ONE(instruction, s0) ONE(instruction, s1) ONE(instruction, s2)        \
                                 ONE(instruction, s3) ONE(instruction, s4) ONE(instruction, s5)    \
                                     ONE(instruction, s6) ONE(instruction, s7)                     \
                                         ONE(instruction, s8) ONE(instruction, s9)                 \
                                             ONE(instruction, s10) ONE(instruction, s11)           \
                             : [s0] "+v"(s0), [s1] "+v"(s1), [s2] "+v"(s2), [s3] "+v"(s3),         \
                               [s4] "+v"(s4), [s5] "+v"(s5), [s6] "+v"(s6), [s7] "+v"(s7),         \
                               [s8] "+v"(s8), [s9] "+v"(s9), [s10] "+v"(s10), [s11] "+v"(s11)      \
                             : [a] "v"(a));                                                        \
        }                                                                                          \
        return _mm512_cvtss_f32(s0);                                                               \
    }

DOT_LOOP(bf16_loop, "vdpbf16ps")
DOT_LOOP(i8_loop, "vpdpbusd")
DOT_LOOP(i16_loop, "vpdpwssd")

/* Lanes of 32 bits hold two bf16 or int16, or four int8. */
const ace_peak_kernels ace_peak_kernels_avx512 = {.loop = {[ACE_PEAK_F32] = f32_loop,
                                                           [ACE_PEAK_BF16] = bf16_loop,
                                                           [ACE_PEAK_I8] = i8_loop,
                                                           [ACE_PEAK_I16] = i16_loop},
                                                  .flops = {[ACE_PEAK_F32] = F32_FLOPS,
                                                            [ACE_PEAK_BF16] = 2 * F32_FLOPS,
                                                            [ACE_PEAK_I8] = 4 * F32_FLOPS,
                                                            [ACE_PEAK_I16] = 2 * F32_FLOPS}};

#else /* on another processor family the portable loop serves under this name */

const ace_peak_kernels ace_peak_kernels_avx512 = {.loop = {[ACE_PEAK_F32] = f32_loop},
                                                  .flops = {[ACE_PEAK_F32] = F32_FLOPS}};

#endif
