#include "cpu/product.h"

void ace_cpu_linear(ace_device *device, ace_tensor y, ace_tensor x, const ace_matrix *w,
                    const ace_epilogue *e)
{
    ace_product product = {
        .x = x,
        .w = ace_packed_of(w),
        .stride = 1,
        .dilation = 1,
        .y = y,
        .end = INT64_MAX,
        .swiglu = w->shape.swiglu && y.cols != w->shape.rows,
        .apart = w->shape.swiglu && y.cols == w->shape.rows,
        .accumulate = e->accumulate,
        .int8_inputs = w->shape.int8_inputs && ace_cpu_of(device)->int8_compute,
        .bias = e->bias,
        .gate = e->gate,
    };
    ace_product_run(ace_cpu_of(device), &product);
}
