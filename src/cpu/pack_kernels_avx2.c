#define PACK_KERNELS ace_pack_kernels_avx2
#include "cpu/pack_kernels_body.h"
