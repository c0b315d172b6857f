/* exp, 2^x, sine and SiLU on vectors of floats: Cody-Waite range reduction and minimax polynomials
 * (Remez fits in double precision, coefficients rounded to float). The same body runs on every
 * level; levels differ by the rounding of a fused or unfused a·b + c. */
#ifndef ACE_CPU_VECTOR_MATH_H
#define ACE_CPU_VECTOR_MATH_H

#include "cpu/vector.h"

/* Adding and subtracting 1.5·2^23 rounds a float below 2^22 to an integer, ties to even, and leaves
 * that integer in the low bits of the sum. */
#define ACE_VF_ROUNDER 0x1.8p23f

static inline ace_vf ace_vf_round(ace_vf x)
{
    ace_vf magic = ace_vf_set(ACE_VF_ROUNDER);
    return ace_vf_sub(ace_vf_add(x, magic), magic);
}

/* 2^x within 2 ulp where the result is a normal number; below that 0 (or, with AVX-512, a
 * subnormal), so 2^-inf = 0. From x = 127.49 on the result stays at the largest power in reach.
 * NaN gives NaN. */
static inline ace_vf ace_vf_exp2(ace_vf x)
{
    x = ace_vf_min(ace_vf_set(127.49f), ace_vf_max(ace_vf_set(-150.0f), x));
    ace_vf k = ace_vf_round(x);
    ace_vf r = ace_vf_sub(x, k); /* in [-1/2, 1/2]; relative error of the fit 2.6e-9 */
    ace_vf p = ace_vf_set(1.55949194e-4f);
    p = ace_vf_fma(p, r, ace_vf_set(1.34067354e-3f));
    p = ace_vf_fma(p, r, ace_vf_set(9.61769186e-3f));
    p = ace_vf_fma(p, r, ace_vf_set(5.55031039e-2f));
    p = ace_vf_fma(p, r, ace_vf_set(2.40226522e-1f));
    p = ace_vf_fma(p, r, ace_vf_set(6.93147242e-1f));
    return ace_vf_scale2(ace_vf_fma(p, r, ace_vf_set(1.0f)), k);
}

/* e^x within 2 ulp; limits as for 2^x: 0 below about -87.3, constant from 88.37 on. */
static inline ace_vf ace_vf_exp(ace_vf x)
{
    x = ace_vf_min(ace_vf_set(88.37f), ace_vf_max(ace_vf_set(-105.0f), x));
    ace_vf k = ace_vf_round(ace_vf_mul(x, ace_vf_set(1.44269504f)));
    /* ln 2 in two parts; the first has 15 bits, so that k·part is exact without FMA too. */
    ace_vf r = ace_vf_fma(k, ace_vf_set(-0x1.62e4p-1f), x);
    r = ace_vf_fma(k, ace_vf_set(-0x1.7f7d1cp-20f), r);
    ace_vf p = ace_vf_set(1.38145266e-3f); /* relative error of the fit 3.1e-9 */
    p = ace_vf_fma(p, r, ace_vf_set(8.36875197e-3f));
    p = ace_vf_fma(p, r, ace_vf_set(4.16683927e-2f));
    p = ace_vf_fma(p, r, ace_vf_set(1.66665196e-1f));
    p = ace_vf_fma(p, r, ace_vf_set(4.9999994e-1f));
    p = ace_vf_fma(ace_vf_mul(p, r), r, r);
    return ace_vf_scale2(ace_vf_add(p, ace_vf_set(1.0f)), k);
}

/* sin x, absolute error below 1.5e-7 for |x| ≤ 25000 (π·2^13). Beyond that the accuracy fades with
 * the spacing of the floats, but the result stays in [-1, 1]. NaN and infinity give NaN. */
static inline ace_vf ace_vf_sin(ace_vf x)
{
    ace_vf magic = ace_vf_set(ACE_VF_ROUNDER);
    ace_vf count = ace_vf_fma(x, ace_vf_set(0.318309886f), magic);
    ace_vf k = ace_vf_sub(count, magic);
    /* π in parts of 8, 11 and 24 bits: k·part is exact for the first two up to k = 2^13. */
    ace_vf r = ace_vf_fma(k, ace_vf_set(-0x1.92p1f), x);
    r = ace_vf_fma(k, ace_vf_set(-0x1.fb4p-11f), r);
    r = ace_vf_fma(k, ace_vf_set(-0x1.4442d2p-23f), r);
    /* A rounded x/π may leave r a little outside ±π/2. */
    r = ace_vf_max(ace_vf_set(-1.5745f), ace_vf_min(ace_vf_set(1.5745f), r));
    ace_vf r2 = ace_vf_mul(r, r);
    ace_vf p = ace_vf_set(2.59933972e-06f); /* absolute error of the fit 4.6e-9 */
    p = ace_vf_fma(p, r2, ace_vf_set(-0.000198062931f));
    p = ace_vf_fma(p, r2, ace_vf_set(0.00833301246f));
    p = ace_vf_fma(p, r2, ace_vf_set(-0.166666567f));
    p = ace_vf_fma(ace_vf_mul(p, r2), r, r);
    return ace_vf_flip_odd(p, count); /* sin(r + kπ) = (-1)^k sin r */
}

/* x / (1 + e^-x) */
static inline ace_vf ace_vf_silu(ace_vf x)
{
    ace_vf one = ace_vf_set(1.0f);
    return ace_vf_div(x, ace_vf_add(one, ace_vf_exp(ace_vf_sub(ace_vf_set(0.0f), x))));
}

#endif
