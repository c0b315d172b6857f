#include "cpu/product.h"

void ace_cpu_conv(ace_device *device, ace_tensor y, ace_tensor x, const ace_matrix *w,
                  const ace_conv *c, const ace_epilogue *e)
{
    ace_product product = {
        .x = x,
        .w = ace_packed_of(w),
        .stride = c->stride,
        .dilation = c->dilation,
        .pad = c->pad,
        .snake_alpha = c->snake_alpha,
        .snake_inv_beta = c->snake_inv_beta,
        .y = y,
        .end = INT64_MAX,
        .accumulate = e->accumulate,
        .bias = e->bias,
        .gate = e->gate,
    };
    ace_product_run(ace_cpu_of(device), &product);
}

/* Result i of the product holds the `stride` rows of y from i·stride - crop on, and hears x[i-1]
 * and x[i]; results 0 and x.rows lie partly outside y and are cut. */
void ace_cpu_conv_transpose(ace_device *device, ace_tensor y, ace_tensor x, const ace_matrix *w,
                            const ace_conv_transpose *c)
{
    int64_t cropped = c->crop * y.cols;
    ace_tensor wide = y;
    wide.addr -= (uint64_t)cropped * ace_dtype_bytes(y.dtype);
    wide.rows = x.rows + 1;
    wide.cols = c->stride * y.cols;
    wide.row_stride = wide.cols;
    ace_product product = {
        .x = x,
        .w = ace_packed_of(w),
        .stride = 1,
        .dilation = 1,
        .pad = 1,
        .snake_alpha = c->snake_alpha,
        .snake_inv_beta = c->snake_inv_beta,
        .y = wide,
        .begin = cropped,
        .end = cropped + y.rows * y.cols,
        .bias = c->bias,
    };
    ace_product_run(ace_cpu_of(device), &product);
}
