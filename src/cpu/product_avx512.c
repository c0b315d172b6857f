/* On another processor family the portable body serves under this name. */
#define PRODUCT_KERNELS ace_product_kernels_avx512
#include "cpu/product_body.h"
