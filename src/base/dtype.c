#include "base/dtype.h"

const char *ace_dtype_name(ace_dtype t)
{
    switch (t) {
    case ACE_F32:
        return "f32";
    case ACE_BF16:
        return "bf16";
    case ACE_F16:
        return "f16";
    case ACE_I8:
        return "int8";
    case ACE_I32:
        return "i32";
    case ACE_I64:
        return "i64";
    case ACE_U8:
        return "u8";
    case ACE_F64:
        return "f64";
    case ACE_Q8_0:
        return "q8_0";
    case ACE_Q4_K:
        return "q4_k";
    case ACE_Q5_K:
        return "q5_k";
    case ACE_Q6_K:
        return "q6_k";
    }
    return "unknown";
}

float ace_f16_to_f32(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000u) << 16;
    uint32_t exponent = (h >> 10) & 0x1fu;
    uint32_t mantissa = h & 0x3ffu;
    if (exponent == 0) { /* zero or subnormal: mantissa · 2^-24 */
        float magnitude = (float)mantissa * 0x1p-24f;
        return sign != 0 ? -magnitude : magnitude;
    }
    if (exponent == 31) {
        return ace_f32_from_bits(sign | 0x7f800000u | (mantissa << 13));
    }
    return ace_f32_from_bits(sign | ((exponent + 112u) << 23) | (mantissa << 13));
}
