#define PACK_KERNELS ace_pack_kernels_generic
#include "cpu/pack_kernels_body.h"
