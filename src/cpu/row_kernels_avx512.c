#define ROW_KERNELS ace_row_kernels_avx512
#include "cpu/row_kernels_body.h"
