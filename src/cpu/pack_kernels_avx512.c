#define PACK_KERNELS ace_pack_kernels_avx512
#include "cpu/pack_kernels_body.h"
