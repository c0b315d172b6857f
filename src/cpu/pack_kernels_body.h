/* Packing's inner loops, compiled once per level: the including file defines PACK_KERNELS, the name
 * of the table it provides. */
#include "cpu/pack_kernels.h"
#include "cpu/product.h"

static float peak(ace_row from, int64_t n)
{
    return ace_row_peak(from, n);
}

static void quantise(int8_t *to, ace_row from, int64_t n, float scale)
{
    const ace_vf most = ace_vf_set(127.0f);
    const ace_vf least = ace_vf_set(-127.0f);
    const ace_vf divisor = ace_vf_set(scale > 0 ? scale : INFINITY);
    for (int64_t i = 0; i < n; i += ACE_VF) {
        ace_vf q = ace_vf_div(ace_row_get(from, i, n), divisor);
        /* A subnormal scale is too coarse to keep the quotient within the range. */
        ace_row_round(to, i, n, ace_vf_min(most, ace_vf_max(least, q)));
    }
}

/* Numbers of any kind, moved in the registers of floats: blocks of ACE_VF units of ACE_VF lanes. */
static void interleave(void *to, const void *from, int64_t stride, int64_t n)
{
    float *out = to;
    const float *in = from;
    int64_t whole = n - n % ACE_VF;
    for (int64_t k = 0; k < whole; k += ACE_VF) {
        for (int lane = 0; lane < ACE_PANEL; lane += ACE_VF) {
            ace_vf block[ACE_VF];
            for (int i = 0; i < ACE_VF; i++) {
                block[i] = ace_vf_load(in + (lane + i) * stride + k);
            }
            ace_vf_transpose(block);
            for (int i = 0; i < ACE_VF; i++) {
                ace_vf_store(out + (k + i) * ACE_PANEL + lane, block[i]);
            }
        }
    }
    for (int64_t k = whole; k < n; k++) {
        for (int lane = 0; lane < ACE_PANEL; lane++) {
            memcpy(out + k * ACE_PANEL + lane, in + lane * stride + k, sizeof *out);
        }
    }
}

const ace_pack_kernels PACK_KERNELS = {
    .peak = peak, .quantise = quantise, .interleave = interleave};
