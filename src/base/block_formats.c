#include "base/block_formats.h"

#include <string.h>

enum { SUPER = 256 };

int64_t ace_block_elements(ace_dtype t)
{
    switch (t) {
    case ACE_Q8_0:
        return 32;
    case ACE_Q4_K:
    case ACE_Q5_K:
    case ACE_Q6_K:
        return SUPER;
    default:
        return 1;
    }
}

size_t ace_block_bytes(ace_dtype t)
{
    switch (t) {
    case ACE_Q8_0:
        return 2 + 32;
    case ACE_Q4_K:
        return 2 + 2 + 12 + SUPER / 2;
    case ACE_Q5_K:
        return 2 + 2 + 12 + SUPER / 8 + SUPER / 2;
    case ACE_Q6_K:
        return SUPER / 2 + SUPER / 4 + SUPER / 16 + 2;
    default:
        return ace_dtype_bytes(t);
    }
}

static float read_f16(const unsigned char *p)
{
    return ace_f16_to_f32((uint16_t)(p[0] | p[1] << 8));
}

static void decode_q8_0(const unsigned char *b, float *out)
{
    float scale = read_f16(b);
    for (int i = 0; i < 32; i++) {
        out[i] = scale * (float)(int8_t)b[2 + i];
    }
}

/* Sub-block j's 6-bit scale and minimum, packed into 12 bytes. */
static void scale_and_minimum(const unsigned char *packed, int j, float *scale, float *minimum)
{
    int s = 0;
    int m = 0;
    if (j < 4) {
        s = packed[j] & 63;
        m = packed[j + 4] & 63;
    } else {
        s = (packed[j + 4] & 15) | ((packed[j - 4] >> 6) << 4);
        m = (packed[j + 4] >> 4) | ((packed[j] >> 6) << 4);
    }
    *scale = (float)s;
    *minimum = (float)m;
}

/* Q4_K and Q5_K: eight sub-blocks of 32; the fifth bits, if any, lie apart. */
static void decode_q45_k(const unsigned char *b, const unsigned char *fifth,
                         const unsigned char *nibbles, float *out)
{
    float d = read_f16(b);
    float dmin = read_f16(b + 2);
    for (int j = 0; j < 8; j++) {
        float scale = 0;
        float minimum = 0;
        scale_and_minimum(b + 4, j, &scale, &minimum);
        const unsigned char *q = nibbles + 32 * (j / 2);
        for (int i = 0; i < 32; i++) {
            int value = j % 2 == 0 ? q[i] & 15 : q[i] >> 4;
            if (fifth != NULL) {
                value |= ((fifth[i] >> j) & 1) << 4;
            }
            out[32 * j + i] = d * scale * (float)value - dmin * minimum;
        }
    }
}

static void decode_q6_k(const unsigned char *b, float *out)
{
    const unsigned char *low = b;
    const unsigned char *high = b + SUPER / 2;
    const unsigned char *scales = high + SUPER / 4;
    float d = read_f16(scales + SUPER / 16);
    for (int half = 0; half < 2; half++) {
        for (int i = 0; i < 32; i++) {
            for (int quarter = 0; quarter < 4; quarter++) {
                int nibble_byte = low[64 * half + i + 32 * (quarter & 1)];
                int nibble = quarter < 2 ? nibble_byte & 15 : nibble_byte >> 4;
                int top = (high[32 * half + i] >> (2 * quarter)) & 3;
                int value = (nibble | top << 4) - 32;
                int at = 128 * half + 32 * quarter + i;
                out[at] = d * (float)(int8_t)scales[at / 16] * (float)value;
            }
        }
    }
}

static void decode_plain(ace_dtype t, const unsigned char *p, int64_t n, float *out)
{
    for (int64_t i = 0; i < n; i++) {
        uint16_t half = 0;
        double wide = 0;
        switch (t) {
        case ACE_F32:
            memcpy(&out[i], p + 4 * i, 4);
            break;
        case ACE_BF16:
            memcpy(&half, p + 2 * i, 2);
            out[i] = ace_bf16_to_f32(half);
            break;
        case ACE_F16:
            memcpy(&half, p + 2 * i, 2);
            out[i] = ace_f16_to_f32(half);
            break;
        case ACE_I8:
            out[i] = (float)(int8_t)p[i];
            break;
        case ACE_F64:
            memcpy(&wide, p + 8 * i, 8);
            out[i] = (float)wide;
            break;
        default:
            out[i] = 0;
        }
    }
}

void ace_decode_row(ace_dtype t, const void *data, int64_t n, float *out)
{
    const unsigned char *p = data;
    int64_t step = ace_block_elements(t);
    if (step == 1) {
        decode_plain(t, p, n, out);
        return;
    }
    for (int64_t i = 0; i < n; i += step, p += ace_block_bytes(t), out += step) {
        switch (t) {
        case ACE_Q8_0:
            decode_q8_0(p, out);
            break;
        case ACE_Q4_K:
            decode_q45_k(p, NULL, p + 16, out);
            break;
        case ACE_Q5_K:
            decode_q45_k(p, p + 16, p + 16 + SUPER / 8, out);
            break;
        case ACE_Q6_K:
            decode_q6_k(p, out);
            break;
        default:
            break;
        }
    }
}
