/* ace_vf in the vectors gcc and clang know on every target. Included by cpu/vector.h alone. */
#ifndef ACE_CPU_VECTOR_PORTABLE_H
#define ACE_CPU_VECTOR_PORTABLE_H

enum { ACE_VF = 4 };
typedef float ace_vf __attribute__((vector_size(16)));
typedef int32_t ace_vi __attribute__((vector_size(16)));
typedef uint32_t ace_vu __attribute__((vector_size(16)));
typedef uint16_t ace_vh __attribute__((vector_size(8)));

static inline ace_vf ace_vf_set(float x)
{
    return (ace_vf){x, x, x, x};
}

static inline ace_vf ace_vf_load(const float *p)
{
    ace_vf v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline void ace_vf_store(float *p, ace_vf v)
{
    memcpy(p, &v, sizeof v);
}

static inline ace_vf ace_vf_load_bf16(const uint16_t *p)
{
    ace_vh half;
    memcpy(&half, p, sizeof half);
    return (ace_vf)(__builtin_convertvector(half, ace_vu) << 16);
}

/* Round to nearest, ties to even; NaN stays NaN. */
static inline void ace_vf_store_bf16(uint16_t *p, ace_vf v)
{
    ace_vu u = (ace_vu)v;
    ace_vu rounded = u + 0x7fff + ((u >> 16) & 1);
    ace_vu nan = (ace_vu)(v != v);
    rounded = ((rounded & ~nan) | ((u | 0x400000) & nan)) >> 16;
    ace_vh half = __builtin_convertvector(rounded, ace_vh);
    memcpy(p, &half, sizeof half);
}

static inline ace_vf ace_vf_load_i8(const int8_t *p)
{
    typedef int8_t bytes __attribute__((vector_size(4)));
    bytes four;
    memcpy(&four, p, sizeof four);
    return __builtin_convertvector(four, ace_vf);
}

/* Rounded to nearest, ties to even; for numbers within ±127, and NaN gives 0. */
static inline void ace_vf_store_i8(int8_t *p, ace_vf v)
{
    typedef int8_t bytes __attribute__((vector_size(4)));
    /* With 1.5·2^23 added a number is rounded, and is the lowest byte. */
    bytes four = __builtin_convertvector((ace_vi)(v + 0x1.8p23f), bytes);
    memcpy(p, &four, sizeof four);
}

/* Fours of int8: the first of each, the second, the third and the fourth. */
static inline void ace_vf_load_i8_fours(const int8_t *p, ace_vf out[4])
{
    ace_vi fours;
    memcpy(&fours, p, sizeof fours);
    out[0] = __builtin_convertvector(fours << 24 >> 24, ace_vf);
    out[1] = __builtin_convertvector(fours << 16 >> 24, ace_vf);
    out[2] = __builtin_convertvector(fours << 8 >> 24, ace_vf);
    out[3] = __builtin_convertvector(fours >> 24, ace_vf);
}

/* Pairs of bf16: the first and the second of each. */
static inline void ace_vf_load_bf16_pairs(const uint16_t *p, ace_vf *first, ace_vf *second)
{
    ace_vu pairs;
    memcpy(&pairs, p, sizeof pairs);
    *first = (ace_vf)(pairs << 16);
    *second = (ace_vf)(pairs & 0xffff0000u);
}

static inline ace_vf ace_vf_add(ace_vf a, ace_vf b)
{
    return a + b;
}

static inline ace_vf ace_vf_sub(ace_vf a, ace_vf b)
{
    return a - b;
}

static inline ace_vf ace_vf_mul(ace_vf a, ace_vf b)
{
    return a * b;
}

static inline ace_vf ace_vf_div(ace_vf a, ace_vf b)
{
    return a / b;
}

/* a·b + c, rounded once where the level has FMA. */
static inline ace_vf ace_vf_fma(ace_vf a, ace_vf b, ace_vf c)
{
    return a * b + c;
}

static inline ace_vf ace_vf_pick(ace_vi where, ace_vf a, ace_vf b)
{
    return (ace_vf)(((ace_vi)a & where) | ((ace_vi)b & ~where));
}

/* For min and max a NaN in b is kept, one in a is dropped. */
static inline ace_vf ace_vf_min(ace_vf a, ace_vf b)
{
    return ace_vf_pick(a < b, a, b);
}

static inline ace_vf ace_vf_max(ace_vf a, ace_vf b)
{
    return ace_vf_pick(a > b, a, b);
}

static inline float ace_vf_sum(ace_vf v)
{
    return (v[0] + v[2]) + (v[1] + v[3]);
}

static inline float ace_vf_peak(ace_vf v)
{
    float a = v[0] > v[2] ? v[0] : v[2];
    float b = v[1] > v[3] ? v[1] : v[3];
    return a > b ? a : b;
}

/* value · 2^k for integral k in [-150, 127]; 0 below the normal numbers. */
static inline ace_vf ace_vf_scale2(ace_vf value, ace_vf k)
{
    /* Adding 1.5·2^23 leaves the integer in the low mantissa bits, two's complement. */
    ace_vi biased = (ace_vi)(k + 0x1.8p23f) - (0x4b400000 - 127);
    biased &= biased > 0;
    return value * (ace_vf)(biased << 23);
}

/* v with the sign flipped where bit 0 of the bit pattern of `count` is set. */
static inline ace_vf ace_vf_flip_odd(ace_vf v, ace_vf count)
{
    return (ace_vf)((ace_vu)v ^ ((ace_vu)count << 31));
}

/* Row i of the ACE_VF x ACE_VF block becomes column i. */
static inline void ace_vf_transpose(ace_vf r[ACE_VF])
{
    ace_vf a = r[0], b = r[1], c = r[2], d = r[3];
    for (int i = 0; i < ACE_VF; i++) {
        r[i] = (ace_vf){a[i], b[i], c[i], d[i]};
    }
}

#endif
