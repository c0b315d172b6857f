/* The f32 loop in vectors of the including file's level. */
#include "cpu/peak_kernels.h"
#include "cpu/vector.h"

static float f32_loop(int64_t rounds)
{
    const ace_vf half = ace_vf_set(0.5f);
    const ace_vf one = ace_vf_set(1.0f);
    ace_vf
        sum[ACE_PEAK_CHAINS]; /* all towards 2, from different starts: none is another's double */
    for (int i = 0; i < ACE_PEAK_CHAINS; i++) {
        sum[i] = ace_vf_set((float)i);
    }
    for (int64_t r = 0; r < rounds; r++) {
        for (int i = 0; i < ACE_PEAK_CHAINS; i++) {
            sum[i] = ace_vf_fma(sum[i], half, one);
        }
    }
    for (int i = 1; i < ACE_PEAK_CHAINS; i++) {
        sum[0] = ace_vf_fma(sum[i], one, sum[0]);
    }
    return ace_vf_sum(sum[0]);
}

enum { F32_FLOPS = 2 * ACE_VF * ACE_PEAK_CHAINS };
