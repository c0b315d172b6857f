/* What becomes of numbers so small that they are not normal any more (below 1.2e-38 in f32).
 *
 * Many processors take a hundred times as long for a product of them, and quiet music is full of
 * them: the square of the sine of almost nothing. In fast mode they count as zero. */
#ifndef ACE_BASE_FLOAT_MODE_H
#define ACE_BASE_FLOAT_MODE_H

#include <stdint.h>

#if defined(__x86_64__)
#include <xmmintrin.h>
typedef unsigned ace_float_mode;

/* Of this thread; returns the mode before. */
static inline ace_float_mode ace_float_mode_fast(void)
{
    enum { FLUSH_RESULTS = 0x8000, FLUSH_OPERANDS = 0x0040 }; /* MXCSR: FTZ, DAZ */
    unsigned before = _mm_getcsr();
    _mm_setcsr(before | FLUSH_RESULTS | FLUSH_OPERANDS);
    return before;
}

static inline void ace_float_mode_set(ace_float_mode mode)
{
    _mm_setcsr(mode);
}
#elif defined(__aarch64__)
typedef uint64_t ace_float_mode;

static inline ace_float_mode ace_float_mode_fast(void)
{
    uint64_t before;
    __asm__ volatile("mrs %0, fpcr" : "=r"(before));
    __asm__ volatile("msr fpcr, %0" : : "r"(before | (uint64_t)1 << 24)); /* FPCR: FZ */
    return before;
}

static inline void ace_float_mode_set(ace_float_mode mode)
{
    __asm__ volatile("msr fpcr, %0" : : "r"(mode));
}
#else
typedef int ace_float_mode;

static inline ace_float_mode ace_float_mode_fast(void)
{
    return 0;
}

static inline void ace_float_mode_set(ace_float_mode mode)
{
    (void)mode;
}
#endif

#endif
