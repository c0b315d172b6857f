/* ace_vf with NEON, which every 64-bit ARM processor has. Included by cpu/vector.h alone. */
#ifndef ACE_CPU_VECTOR_NEON_H
#define ACE_CPU_VECTOR_NEON_H

#include <arm_neon.h>

enum { ACE_VF = 4 };
typedef float32x4_t ace_vf;

static inline ace_vf ace_vf_set(float x)
{
    return vdupq_n_f32(x);
}

static inline ace_vf ace_vf_load(const float *p)
{
    return vld1q_f32(p);
}

static inline void ace_vf_store(float *p, ace_vf v)
{
    vst1q_f32(p, v);
}

static inline ace_vf ace_vf_load_bf16(const uint16_t *p)
{
    return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(p), 16));
}

/* Round to nearest, ties to even; NaN stays NaN. Spelled in integers, since the BF16 extension is
 * not part of the level. */
static inline void ace_vf_store_bf16(uint16_t *p, ace_vf v)
{
    uint32x4_t u = vreinterpretq_u32_f32(v);
    uint32x4_t odd = vandq_u32(vshrq_n_u32(u, 16), vdupq_n_u32(1));
    uint32x4_t rounded = vaddq_u32(vaddq_u32(u, vdupq_n_u32(0x7fff)), odd);
    uint32x4_t quiet = vorrq_u32(u, vdupq_n_u32(0x400000));
    vst1_u16(p, vshrn_n_u32(vbslq_u32(vceqq_f32(v, v), rounded, quiet), 16));
}

static inline ace_vf ace_vf_load_i8(const int8_t *p)
{
    int32_t four;
    memcpy(&four, p, sizeof four);
    int16x8_t words = vmovl_s8(vreinterpret_s8_s32(vdup_n_s32(four)));
    return vcvtq_f32_s32(vmovl_s16(vget_low_s16(words)));
}

/* Rounded to nearest, ties to even; for numbers within ±127, and NaN gives 0. */
static inline void ace_vf_store_i8(int8_t *p, ace_vf v)
{
    int16x4_t words = vmovn_s32(vcvtnq_s32_f32(v));
    int8x8_t bytes = vmovn_s16(vcombine_s16(words, words));
    int32_t four = vget_lane_s32(vreinterpret_s32_s8(bytes), 0);
    memcpy(p, &four, sizeof four);
}

/* Fours of int8: the first of each, the second, the third and the fourth. */
static inline void ace_vf_load_i8_fours(const int8_t *p, ace_vf out[4])
{
    int32x4_t fours = vreinterpretq_s32_s8(vld1q_s8(p));
    out[0] = vcvtq_f32_s32(vshrq_n_s32(vshlq_n_s32(fours, 24), 24));
    out[1] = vcvtq_f32_s32(vshrq_n_s32(vshlq_n_s32(fours, 16), 24));
    out[2] = vcvtq_f32_s32(vshrq_n_s32(vshlq_n_s32(fours, 8), 24));
    out[3] = vcvtq_f32_s32(vshrq_n_s32(fours, 24));
}

/* Pairs of bf16: the first and the second of each. */
static inline void ace_vf_load_bf16_pairs(const uint16_t *p, ace_vf *first, ace_vf *second)
{
    uint32x4_t pairs = vreinterpretq_u32_u16(vld1q_u16(p));
    *first = vreinterpretq_f32_u32(vshlq_n_u32(pairs, 16));
    *second = vreinterpretq_f32_u32(vandq_u32(pairs, vdupq_n_u32(0xffff0000u)));
}

static inline ace_vf ace_vf_add(ace_vf a, ace_vf b)
{
    return vaddq_f32(a, b);
}

static inline ace_vf ace_vf_sub(ace_vf a, ace_vf b)
{
    return vsubq_f32(a, b);
}

static inline ace_vf ace_vf_mul(ace_vf a, ace_vf b)
{
    return vmulq_f32(a, b);
}

static inline ace_vf ace_vf_div(ace_vf a, ace_vf b)
{
    return vdivq_f32(a, b);
}

/* a·b + c, rounded once where the level has FMA. */
static inline ace_vf ace_vf_fma(ace_vf a, ace_vf b, ace_vf c)
{
    return vfmaq_f32(c, a, b);
}

/* For min and max a NaN in b is kept, one in a is dropped: NEON's own would keep both or neither.
 */
static inline ace_vf ace_vf_min(ace_vf a, ace_vf b)
{
    return vbslq_f32(vcltq_f32(a, b), a, b);
}

static inline ace_vf ace_vf_max(ace_vf a, ace_vf b)
{
    return vbslq_f32(vcgtq_f32(a, b), a, b);
}

static inline float ace_vf_sum(ace_vf v)
{
    return vaddvq_f32(v);
}

static inline float ace_vf_peak(ace_vf v)
{
    return vmaxvq_f32(v);
}

/* value · 2^k for integral k in [-150, 127]; 0 below the normal numbers. */
static inline ace_vf ace_vf_scale2(ace_vf value, ace_vf k)
{
    int32x4_t biased = vaddq_s32(vcvtnq_s32_f32(k), vdupq_n_s32(127));
    biased = vmaxq_s32(biased, vdupq_n_s32(0));
    return vmulq_f32(value, vreinterpretq_f32_s32(vshlq_n_s32(biased, 23)));
}

/* v with the sign flipped where bit 0 of the bit pattern of `count` is set. */
static inline ace_vf ace_vf_flip_odd(ace_vf v, ace_vf count)
{
    uint32x4_t sign = vshlq_n_u32(vreinterpretq_u32_f32(count), 31);
    return vreinterpretq_f32_u32(veorq_u32(vreinterpretq_u32_f32(v), sign));
}

static inline ace_vf ace_vf_join_low(ace_vf a, ace_vf b)
{
    return vcombine_f32(vget_low_f32(a), vget_low_f32(b));
}

static inline ace_vf ace_vf_join_high(ace_vf a, ace_vf b)
{
    return vcombine_f32(vget_high_f32(a), vget_high_f32(b));
}

/* Row i of the ACE_VF x ACE_VF block becomes column i: interleaves single lanes, then pairs. */
static inline void ace_vf_transpose(ace_vf r[ACE_VF])
{
    ace_vf a = vtrn1q_f32(r[0], r[1]);
    ace_vf b = vtrn2q_f32(r[0], r[1]);
    ace_vf c = vtrn1q_f32(r[2], r[3]);
    ace_vf d = vtrn2q_f32(r[2], r[3]);
    r[0] = ace_vf_join_low(a, c);
    r[1] = ace_vf_join_low(b, d);
    r[2] = ace_vf_join_high(a, c);
    r[3] = ace_vf_join_high(b, d);
}

#endif
