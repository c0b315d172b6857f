#define ROW_KERNELS ace_row_kernels_generic
#include "cpu/row_kernels_body.h"
