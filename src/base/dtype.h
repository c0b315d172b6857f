/* Element types and the conversions between them. */
#ifndef ACE_BASE_DTYPE_H
#define ACE_BASE_DTYPE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef enum ace_dtype {
    ACE_F32,
    ACE_BF16,
    ACE_F16,
    ACE_I8,
    ACE_I32,
    ACE_I64,
    ACE_U8,
    ACE_F64,
    ACE_Q8_0, /* GGUF: blocks of 32 int8 with one f16 scale, 34 bytes */
    ACE_Q4_K, /* GGUF K-quants: super-blocks of 256 */
    ACE_Q5_K,
    ACE_Q6_K
} ace_dtype;

/* Bytes of one element; 0 for the block types, which have no single element. */
static inline size_t ace_dtype_bytes(ace_dtype t)
{
    switch (t) {
    case ACE_F32:
    case ACE_I32:
        return 4;
    case ACE_BF16:
    case ACE_F16:
        return 2;
    case ACE_I8:
    case ACE_U8:
        return 1;
    case ACE_I64:
    case ACE_F64:
        return 8;
    case ACE_Q8_0:
    case ACE_Q4_K:
    case ACE_Q5_K:
    case ACE_Q6_K:
        return 0;
    }
    return 0;
}

const char *ace_dtype_name(ace_dtype t);

static inline float ace_f32_from_bits(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static inline uint32_t ace_f32_bits(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

static inline float ace_bf16_to_f32(uint16_t h)
{
    return ace_f32_from_bits((uint32_t)h << 16);
}

/* Round to nearest, ties to even, as PyTorch does; NaN stays NaN. */
static inline uint16_t ace_f32_to_bf16(float f)
{
    uint32_t u = ace_f32_bits(f);
    if ((u & 0x7fffffffu) > 0x7f800000u) {
        return (uint16_t)((u >> 16) | 0x40u);
    }
    return (uint16_t)((u + 0x7fffu + ((u >> 16) & 1u)) >> 16);
}

float ace_f16_to_f32(uint16_t h);

#endif
