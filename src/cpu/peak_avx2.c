#include "cpu/peak_body.h"

const ace_peak_kernels ace_peak_kernels_avx2 = {.loop = {[ACE_PEAK_F32] = f32_loop},
                                                .flops = {[ACE_PEAK_F32] = F32_FLOPS}};
