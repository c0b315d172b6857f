/* ace_vf with AVX-512 F, BW, VL, DQ. Included by cpu/vector.h alone. */
#ifndef ACE_CPU_VECTOR_AVX512_H
#define ACE_CPU_VECTOR_AVX512_H

#include <immintrin.h>

enum { ACE_VF = 16 };
typedef __m512 ace_vf;

static inline ace_vf ace_vf_set(float x)
{
    return _mm512_set1_ps(x);
}

static inline ace_vf ace_vf_load(const float *p)
{
    return _mm512_loadu_ps(p);
}

static inline void ace_vf_store(float *p, ace_vf v)
{
    _mm512_storeu_ps(p, v);
}

static inline ace_vf ace_vf_load_bf16(const uint16_t *p)
{
    __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(const void *)p));
    return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
}

/* Round to nearest, ties to even; NaN stays NaN. Spelled in integers, since AVX512-BF16 is not part
 * of the level and its conversion flushes subnormals. */
static inline void ace_vf_store_bf16(uint16_t *p, ace_vf v)
{
    __m512i u = _mm512_castps_si512(v);
    __m512i odd = _mm512_and_si512(_mm512_srli_epi32(u, 16), _mm512_set1_epi32(1));
    __m512i rounded = _mm512_add_epi32(_mm512_add_epi32(u, _mm512_set1_epi32(0x7fff)), odd);
    __mmask16 nan = _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
    rounded = _mm512_mask_or_epi32(rounded, nan, u, _mm512_set1_epi32(0x400000));
    __m256i half = _mm512_cvtepi32_epi16(_mm512_srli_epi32(rounded, 16));
    _mm256_storeu_si256((__m256i *)(void *)p, half);
}

static inline ace_vf ace_vf_load_i8(const int8_t *p)
{
    return _mm512_cvtepi32_ps(
        _mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)(const void *)p)));
}

/* Rounded to nearest, ties to even; for numbers within ±127, and NaN gives 0. */
static inline void ace_vf_store_i8(int8_t *p, ace_vf v)
{
    __m128i bytes = _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(v));
    _mm_storeu_si128((__m128i *)(void *)p, bytes);
}

/* Fours of int8: the first of each, the second, the third and the fourth. */
static inline void ace_vf_load_i8_fours(const int8_t *p, ace_vf out[4])
{
    __m512i fours = _mm512_loadu_si512(p);
    out[0] = _mm512_cvtepi32_ps(_mm512_srai_epi32(_mm512_slli_epi32(fours, 24), 24));
    out[1] = _mm512_cvtepi32_ps(_mm512_srai_epi32(_mm512_slli_epi32(fours, 16), 24));
    out[2] = _mm512_cvtepi32_ps(_mm512_srai_epi32(_mm512_slli_epi32(fours, 8), 24));
    out[3] = _mm512_cvtepi32_ps(_mm512_srai_epi32(fours, 24));
}

/* Pairs of bf16: the first and the second of each. */
static inline void ace_vf_load_bf16_pairs(const uint16_t *p, ace_vf *first, ace_vf *second)
{
    __m512i pairs = _mm512_loadu_si512(p);
    *first = _mm512_castsi512_ps(_mm512_slli_epi32(pairs, 16));
    *second = _mm512_castsi512_ps(_mm512_and_si512(pairs, _mm512_set1_epi32(-0x10000)));
}

static inline ace_vf ace_vf_add(ace_vf a, ace_vf b)
{
    return _mm512_add_ps(a, b);
}

static inline ace_vf ace_vf_sub(ace_vf a, ace_vf b)
{
    return _mm512_sub_ps(a, b);
}

static inline ace_vf ace_vf_mul(ace_vf a, ace_vf b)
{
    return _mm512_mul_ps(a, b);
}

static inline ace_vf ace_vf_div(ace_vf a, ace_vf b)
{
    return _mm512_div_ps(a, b);
}

/* a·b + c, rounded once where the level has FMA. */
static inline ace_vf ace_vf_fma(ace_vf a, ace_vf b, ace_vf c)
{
    return _mm512_fmadd_ps(a, b, c);
}

/* For min and max a NaN in b is kept, one in a is dropped. */
static inline ace_vf ace_vf_min(ace_vf a, ace_vf b)
{
    return _mm512_min_ps(a, b);
}

static inline ace_vf ace_vf_max(ace_vf a, ace_vf b)
{
    return _mm512_max_ps(a, b);
}

static inline float ace_vf_sum(ace_vf v)
{
    return _mm512_reduce_add_ps(v);
}

static inline float ace_vf_peak(ace_vf v)
{
    return _mm512_reduce_max_ps(v);
}

/* value · 2^k for integral k in [-150, 127], 0 below the subnormals. */
static inline ace_vf ace_vf_scale2(ace_vf value, ace_vf k)
{
    return _mm512_scalef_ps(value, k);
}

/* v with the sign flipped where bit 0 of the bit pattern of `count` is set. */
static inline ace_vf ace_vf_flip_odd(ace_vf v, ace_vf count)
{
    __m512i sign = _mm512_slli_epi32(_mm512_castps_si512(count), 31);
    return _mm512_castsi512_ps(_mm512_xor_si512(_mm512_castps_si512(v), sign));
}

/* Row i of the ACE_VF x ACE_VF block becomes column i: interleaves single lanes, then pairs, then
 * quarters twice. */
static inline void ace_vf_transpose(ace_vf r[ACE_VF])
{
    ace_vf s[ACE_VF];
    for (int i = 0; i < ACE_VF; i += 2) {
        s[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
        s[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
    }
    for (int i = 0; i < ACE_VF; i += 4) {
        r[i] = _mm512_shuffle_ps(s[i], s[i + 2], 0x44);
        r[i + 1] = _mm512_shuffle_ps(s[i], s[i + 2], 0xee);
        r[i + 2] = _mm512_shuffle_ps(s[i + 1], s[i + 3], 0x44);
        r[i + 3] = _mm512_shuffle_ps(s[i + 1], s[i + 3], 0xee);
    }
    for (int i = 0; i < ACE_VF; i += 8) {
        for (int j = i; j < i + 4; j++) {
            s[j] = _mm512_shuffle_f32x4(r[j], r[j + 4], 0x88);
            s[j + 4] = _mm512_shuffle_f32x4(r[j], r[j + 4], 0xdd);
        }
    }
    for (int i = 0; i < ACE_VF / 2; i++) {
        r[i] = _mm512_shuffle_f32x4(s[i], s[i + 8], 0x88);
        r[i + 8] = _mm512_shuffle_f32x4(s[i], s[i + 8], 0xdd);
    }
}

#endif
