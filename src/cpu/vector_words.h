/* Vectors of 16-bit integers whose products are summed up in 32 bits, beside ace_vf: as many sums
 * as floats, twice as many words. Integer sums are exact, so all levels give the same bits. */
#ifndef ACE_CPU_VECTOR_WORDS_H
#define ACE_CPU_VECTOR_WORDS_H

#include "cpu/vector.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#else
#define WORDS_APART 1
#endif

enum { ACE_VW = 2 * ACE_VF };

/* gcc keeps sums of this type in their register where it copies those of the intrinsics' own. */
typedef int32_t ace_vs __attribute__((vector_size(4 * ACE_VF)));
typedef int16_t ace_vw __attribute__((vector_size(4 * ACE_VF)));
typedef int8_t ace_vb __attribute__((vector_size(2 * ACE_VF)));

static inline ace_vw ace_vw_load(const int16_t *p)
{
    ace_vw v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* ACE_VW numbers of 8 bits. */
static inline ace_vw ace_vw_load_i8(const int8_t *p)
{
#if defined(__AVX512F__)
    return (ace_vw)_mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)(const void *)p));
#elif defined(__AVX2__)
    return (ace_vw)_mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)p));
#else
    ace_vb bytes;
    memcpy(&bytes, p, sizeof bytes);
    return __builtin_convertvector(bytes, ace_vw);
#endif
}

static inline ace_vs ace_vs_zero(void)
{
    return (ace_vs){0};
}

/* Every lane of the sum gets two products more: of words 2·i and 2·i + 1, or, where
 * WORDS_APART, of i and i + ACE_VF. */
static inline ace_vs ace_vs_dot(ace_vs sum, ace_vw a, ace_vw b)
{
#if defined(__AVX512VNNI__)
    return (ace_vs)_mm512_dpwssd_epi32((__m512i)sum, (__m512i)a, (__m512i)b);
#elif defined(__AVX2__)
    return sum + (ace_vs)_mm256_madd_epi16((__m256i)a, (__m256i)b);
#elif defined(__aarch64__)
    int16x8_t x = (int16x8_t)a;
    int16x8_t y = (int16x8_t)b;
    int32x4_t low = vmlal_s16((int32x4_t)sum, vget_low_s16(x), vget_low_s16(y));
    return (ace_vs)vmlal_high_s16(low, x, y);
#elif defined(__SSE2__)
    return sum + (ace_vs)_mm_madd_epi16((__m128i)a, (__m128i)b);
#else
    typedef int16_t half __attribute__((vector_size(2 * ACE_VF)));
    half x[2];
    half y[2];
    memcpy(x, &a, sizeof a);
    memcpy(y, &b, sizeof b);
    for (int i = 0; i < 2; i++) {
        sum += __builtin_convertvector(x[i], ace_vs) * __builtin_convertvector(y[i], ace_vs);
    }
    return sum;
#endif
}

/* Words of a and b so that ace_vs_dot with ace_vw_pair adds up, in each lane of a sum, what a and b
 * have at one place. Which places: ace_vf_in_order knows. */
static inline void ace_vw_interleave(ace_vw a, ace_vw b, ace_vw *low, ace_vw *high)
{
#if defined(__AVX512F__)
    *low = (ace_vw)_mm512_unpacklo_epi16((__m512i)a, (__m512i)b);
    *high = (ace_vw)_mm512_unpackhi_epi16((__m512i)a, (__m512i)b);
#elif defined(__AVX2__)
    *low = (ace_vw)_mm256_unpacklo_epi16((__m256i)a, (__m256i)b);
    *high = (ace_vw)_mm256_unpackhi_epi16((__m256i)a, (__m256i)b);
#elif defined(__SSE2__)
    *low = (ace_vw)_mm_unpacklo_epi16((__m128i)a, (__m128i)b);
    *high = (ace_vw)_mm_unpackhi_epi16((__m128i)a, (__m128i)b);
#else
    typedef int64_t halves __attribute__((vector_size(16)));
    halves x = (halves)a;
    halves y = (halves)b;
    *low = (ace_vw)(halves){x[0], y[0]};
    *high = (ace_vw)(halves){x[1], y[1]};
#endif
}

/* Two words for every such pair. */
static inline ace_vw ace_vw_pair(const int16_t *two)
{
#if defined(WORDS_APART)
    int16_t lanes[ACE_VW];
    for (int i = 0; i < ACE_VW; i++) {
        lanes[i] = two[i / ACE_VF];
    }
    return ace_vw_load(lanes);
#else
    int32_t both;
    memcpy(&both, two, sizeof both);
    return (ace_vw)((ace_vs){0} + both);
#endif
}

static inline ace_vf ace_vs_float(ace_vs sum)
{
    return __builtin_convertvector(sum, ace_vf);
}

/* What the sums of *low and *high are at ACE_VW places, in their order. */
static inline void ace_vf_in_order(ace_vf *low, ace_vf *high)
{
#if defined(__AVX512F__)
    const __m512i first = _mm512_setr_epi32(0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23);
    const __m512i second =
        _mm512_setr_epi32(8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31);
    ace_vf a = _mm512_permutex2var_ps(*low, first, *high);
    *high = _mm512_permutex2var_ps(*low, second, *high);
    *low = a;
#elif defined(__AVX2__)
    ace_vf a = _mm256_permute2f128_ps(*low, *high, 0x20);
    *high = _mm256_permute2f128_ps(*low, *high, 0x31);
    *low = a;
#else
    (void)low;
    (void)high;
#endif
}

/* Lane i: the sum of all lanes of sums[i]. */
static inline ace_vf ace_vs_totals(const ace_vs sums[ACE_VF])
{
    ace_vf columns[ACE_VF]; /* bits of integers, moved but not computed with */
    for (int i = 0; i < ACE_VF; i++) {
        columns[i] = (ace_vf)sums[i];
    }
    ace_vf_transpose(columns);
    ace_vs total = (ace_vs)columns[0];
    for (int i = 1; i < ACE_VF; i++) {
        total += (ace_vs)columns[i];
    }
    return ace_vs_float(total);
}

#endif
