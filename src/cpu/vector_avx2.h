/* ace_vf with AVX2 and FMA. Included by cpu/vector.h alone. */
#ifndef ACE_CPU_VECTOR_AVX2_H
#define ACE_CPU_VECTOR_AVX2_H

#include <immintrin.h>

enum { ACE_VF = 8 };
typedef __m256 ace_vf;

static inline ace_vf ace_vf_set(float x)
{
    return _mm256_set1_ps(x);
}

static inline ace_vf ace_vf_load(const float *p)
{
    return _mm256_loadu_ps(p);
}

static inline void ace_vf_store(float *p, ace_vf v)
{
    _mm256_storeu_ps(p, v);
}

static inline ace_vf ace_vf_load_bf16(const uint16_t *p)
{
    __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(const void *)p));
    return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
}

/* Round to nearest, ties to even; NaN stays NaN. */
static inline void ace_vf_store_bf16(uint16_t *p, ace_vf v)
{
    __m256i u = _mm256_castps_si256(v);
    __m256i odd = _mm256_and_si256(_mm256_srli_epi32(u, 16), _mm256_set1_epi32(1));
    __m256i rounded = _mm256_add_epi32(_mm256_add_epi32(u, _mm256_set1_epi32(0x7fff)), odd);
    __m256i quiet = _mm256_or_si256(u, _mm256_set1_epi32(0x400000));
    __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(v, v, _CMP_UNORD_Q));
    rounded = _mm256_srli_epi32(_mm256_blendv_epi8(rounded, quiet, nan), 16);
    __m128i half =
        _mm_packus_epi32(_mm256_castsi256_si128(rounded), _mm256_extracti128_si256(rounded, 1));
    _mm_storeu_si128((__m128i *)(void *)p, half);
}

static inline ace_vf ace_vf_load_i8(const int8_t *p)
{
    return _mm256_cvtepi32_ps(
        _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)p)));
}

/* Rounded to nearest, ties to even; for numbers within ±127, and NaN gives 0. Packing saturates, so
 * that NaN's integer must not get there: with 1.5·2^23 added the lowest byte is the result. */
static inline void ace_vf_store_i8(int8_t *p, ace_vf v)
{
    __m256i bits = _mm256_castps_si256(_mm256_add_ps(v, _mm256_set1_ps(0x1.8p23f)));
    __m256i whole = _mm256_srai_epi32(_mm256_slli_epi32(bits, 24), 24);
    __m128i words =
        _mm_packs_epi32(_mm256_castsi256_si128(whole), _mm256_extracti128_si256(whole, 1));
    _mm_storel_epi64((__m128i *)(void *)p, _mm_packs_epi16(words, words));
}

/* Fours of int8: the first of each, the second, the third and the fourth. */
static inline void ace_vf_load_i8_fours(const int8_t *p, ace_vf out[4])
{
    __m256i fours = _mm256_loadu_si256((const __m256i *)(const void *)p);
    out[0] = _mm256_cvtepi32_ps(_mm256_srai_epi32(_mm256_slli_epi32(fours, 24), 24));
    out[1] = _mm256_cvtepi32_ps(_mm256_srai_epi32(_mm256_slli_epi32(fours, 16), 24));
    out[2] = _mm256_cvtepi32_ps(_mm256_srai_epi32(_mm256_slli_epi32(fours, 8), 24));
    out[3] = _mm256_cvtepi32_ps(_mm256_srai_epi32(fours, 24));
}

/* Pairs of bf16: the first and the second of each. */
static inline void ace_vf_load_bf16_pairs(const uint16_t *p, ace_vf *first, ace_vf *second)
{
    __m256i pairs = _mm256_loadu_si256((const __m256i *)(const void *)p);
    *first = _mm256_castsi256_ps(_mm256_slli_epi32(pairs, 16));
    *second = _mm256_castsi256_ps(_mm256_and_si256(pairs, _mm256_set1_epi32(-0x10000)));
}

static inline ace_vf ace_vf_add(ace_vf a, ace_vf b)
{
    return _mm256_add_ps(a, b);
}

static inline ace_vf ace_vf_sub(ace_vf a, ace_vf b)
{
    return _mm256_sub_ps(a, b);
}

static inline ace_vf ace_vf_mul(ace_vf a, ace_vf b)
{
    return _mm256_mul_ps(a, b);
}

static inline ace_vf ace_vf_div(ace_vf a, ace_vf b)
{
    return _mm256_div_ps(a, b);
}

/* a·b + c, rounded once where the level has FMA. */
static inline ace_vf ace_vf_fma(ace_vf a, ace_vf b, ace_vf c)
{
    return _mm256_fmadd_ps(a, b, c);
}

/* For min and max a NaN in b is kept, one in a is dropped. */
static inline ace_vf ace_vf_min(ace_vf a, ace_vf b)
{
    return _mm256_min_ps(a, b);
}

static inline ace_vf ace_vf_max(ace_vf a, ace_vf b)
{
    return _mm256_max_ps(a, b);
}

static inline float ace_vf_sum(ace_vf v)
{
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

static inline float ace_vf_peak(ace_vf v)
{
    __m128 four = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

/* value · 2^k for integral k in [-150, 127]; 0 below the normal numbers. */
static inline ace_vf ace_vf_scale2(ace_vf value, ace_vf k)
{
    __m256i biased = _mm256_add_epi32(_mm256_cvtps_epi32(k), _mm256_set1_epi32(127));
    biased = _mm256_max_epi32(biased, _mm256_setzero_si256());
    return _mm256_mul_ps(value, _mm256_castsi256_ps(_mm256_slli_epi32(biased, 23)));
}

/* v with the sign flipped where bit 0 of the bit pattern of `count` is set. */
static inline ace_vf ace_vf_flip_odd(ace_vf v, ace_vf count)
{
    __m256i sign = _mm256_slli_epi32(_mm256_castps_si256(count), 31);
    return _mm256_xor_ps(v, _mm256_castsi256_ps(sign));
}

/* Row i of the ACE_VF x ACE_VF block becomes column i: interleaves single lanes, then pairs, then
 * halves. */
static inline void ace_vf_transpose(ace_vf r[ACE_VF])
{
    ace_vf s[ACE_VF];
    for (int i = 0; i < ACE_VF; i += 2) {
        s[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
        s[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
    }
    for (int i = 0; i < ACE_VF; i += 4) {
        r[i] = _mm256_shuffle_ps(s[i], s[i + 2], 0x44);
        r[i + 1] = _mm256_shuffle_ps(s[i], s[i + 2], 0xee);
        r[i + 2] = _mm256_shuffle_ps(s[i + 1], s[i + 3], 0x44);
        r[i + 3] = _mm256_shuffle_ps(s[i + 1], s[i + 3], 0xee);
    }
    for (int i = 0; i < ACE_VF / 2; i++) {
        s[i] = _mm256_permute2f128_ps(r[i], r[i + 4], 0x20);
        s[i + 4] = _mm256_permute2f128_ps(r[i], r[i + 4], 0x31);
    }
    for (int i = 0; i < ACE_VF; i++) {
        r[i] = s[i];
    }
}

#endif
