#define PRODUCT_KERNELS ace_product_kernels_generic
#include "cpu/product_body.h"
