/* Arithmetic on sizes that reports overflow instead of wrapping. */
#ifndef ACE_BASE_CHECKED_H
#define ACE_BASE_CHECKED_H

#include <stdbool.h>
#include <stddef.h>

static inline bool ace_add_overflows(size_t a, size_t b, size_t *sum)
{
    return __builtin_add_overflow(a, b, sum);
}

static inline bool ace_mul_overflows(size_t a, size_t b, size_t *product)
{
    return __builtin_mul_overflow(a, b, product);
}

/* value rounded up to a multiple of alignment, a power of two. The caller has checked that value is
 * far below SIZE_MAX. */
static inline size_t ace_align_up(size_t value, size_t alignment)
{
    return (value + alignment - 1) & ~(alignment - 1);
}

#endif
