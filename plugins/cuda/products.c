/* Linear layers and convolutions: what they ask for, and which way it is made. */
#include "products.h"
#include "layout.h"

static ace_cuda_weights weights_of(const ace_matrix *w)
{
    ace_cuda_layout l = ace_cuda_layout_of(&w->shape);
    return (ace_cuda_weights){
        .data = (const void *)(uintptr_t)w->addr,
        .scales = w->shape.dtype == ACE_I8 ? (const float *)(uintptr_t)(w->addr + l.scales) : NULL,
        .dtype = w->shape.dtype,
        .rows = w->shape.rows,
        .cols = w->shape.cols,
        .depth = l.depth,
        .taps = w->shape.taps};
}

typedef enum way { FEW_ROWS, LIBRARY, INT8, TENSOR, TILED } way;

/* Guesses until they are measured (scripts/gpu-check does, with and without the library).
 *   f32          never on tensor cores, which would round it
 *   before 8.0   no tensor cores that our kernels use
 *   int8         their inputs twice as fast as bf16 where a matrix allows them; else widened on the
 *                way, where the library would need a pass over the weights
 *   convolutions gathered on the way, where the library would need a pass over taps · inputs
 *   the rest     the library where x and y are as it wants them: it knows the card best; with an
 *                epilogue, which would be a pass over f32 sums, only from 9.0 on, whose faster
 *                instructions (wgmma) our kernels do not use */
static way choose_way(const ace_cuda *cuda, const ace_cuda_product *p, bool int8_inputs)
{
    bool is_linear = p->w.taps == 1 && p->in.alpha.addr == 0 && p->in.stride == 1 && p->in.pad == 0;
    if (is_linear && p->m <= ACE_CUDA_FEW_ROWS) {
        return FEW_ROWS;
    }
    if (cuda->capability < ACE_CUDA_LEAST_TENSOR_CAPABILITY || p->w.dtype == ACE_F32) {
        return LIBRARY;
    }
    if (p->w.dtype == ACE_I8) {
        return is_linear && int8_inputs ? INT8 : TENSOR;
    }
    if (ace_cuda_needs_pass_for_inputs(p)) {
        return TENSOR;
    }
    return cuda->capability >= 90 || !ace_cuda_needs_pass_for_results(p) ? LIBRARY : TENSOR;
}

static void run(ace_cuda *cuda, const ace_cuda_product *p, bool int8_inputs, const char *operation)
{
    if (!ace_cuda_may_launch(cuda)) {
        return;
    }
    way by = choose_way(cuda, p, int8_inputs);
    if (by == LIBRARY && !ace_cuda_run_by_library(cuda, p)) {
        bool on_tensor_cores = cuda->capability >= ACE_CUDA_LEAST_TENSOR_CAPABILITY;
        by = on_tensor_cores && p->w.dtype != ACE_F32 ? TENSOR : TILED;
    }
    if (by == FEW_ROWS) {
        ace_cuda_few_rows_product(p, cuda->processors, cuda->compute);
    } else if (by == INT8) {
        ace_cuda_run_in_int8(cuda, p);
    } else if (by == TENSOR) {
        ace_cuda_run_on_tensor_cores(cuda, p);
    } else if (by == TILED) {
        ace_cuda_tiled_product(p, cuda->compute);
    }
    ace_cuda_launched(cuda, operation);
}

void ace_cuda_linear(ace_device *device, ace_tensor y, ace_tensor x, const ace_matrix *w,
                     const ace_epilogue *e)
{
    bool swiglu = w->shape.swiglu && y.cols != w->shape.rows;
    ace_cuda_product p = {.in = {.x = x, .stride = 1, .dilation = 1},
                          .w = weights_of(w),
                          .out = {.y = y,
                                  .bias = e->bias,
                                  .gate = e->gate,
                                  .accumulate = e->accumulate,
                                  .swiglu = swiglu},
                          .m = y.rows,
                          .n = y.cols};
    run(ace_cuda_of(device), &p, w->shape.int8_inputs, "linear");
}

void ace_cuda_conv(ace_device *device, ace_tensor y, ace_tensor x, const ace_matrix *w,
                   const ace_conv *c, const ace_epilogue *e)
{
    ace_cuda_product p = {
        .in = {.x = x,
               .stride = c->stride,
               .dilation = c->dilation,
               .pad = c->pad,
               .alpha = c->snake_alpha,
               .inv_beta = c->snake_inv_beta},
        .w = weights_of(w),
        .out = {.y = y, .bias = e->bias, .gate = e->gate, .accumulate = e->accumulate},
        .m = y.rows,
        .n = y.cols};
    run(ace_cuda_of(device), &p, false, "conv");
}

/* Row i of the product hears x[i - 1] and x[i], and lands at y from i·stride - crop on. */
void ace_cuda_conv_transpose(ace_device *device, ace_tensor y, ace_tensor x, const ace_matrix *w,
                             const ace_conv_transpose *c)
{
    ace_cuda_product p = {.in = {.x = x,
                                 .stride = 1,
                                 .dilation = 1,
                                 .pad = 1,
                                 .alpha = c->snake_alpha,
                                 .inv_beta = c->snake_inv_beta},
                          .w = weights_of(w),
                          .out = {.y = y, .bias = c->bias, .scatter = c->stride, .crop = c->crop},
                          .m = x.rows + 1,
                          .n = w->shape.rows};
    run(ace_cuda_of(device), &p, false, "conv_transpose");
}
