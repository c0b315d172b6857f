/* Products on tensor cores whose inputs a pass prepares, in chunks that fit into the workspace. */
#include "products.h"

#include "base/checked.h"

enum { TILE = 128 }; /* of product_tensor.cu, the larger one */

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* ---- Snake
 * ---------------------------------------------------------------------------------------- */

/* How often tiles would ask for the same input, each time with a sine. Twice costs less than a
 * pass, which writes and reads it once more. */
static bool needs_pass(const ace_cuda_product *p)
{
    int64_t reads = p->w.taps * ((p->n + TILE - 1) / TILE) / p->in.stride;
    return p->in.alpha.addr != 0 && reads > 2;
}

/* Rows of results whose inputs fit, whole tiles of them. */
static int64_t rows_of_chunk(const ace_cuda_product *p)
{
    int64_t fit = ACE_CUDA_LIBRARY_BYTES / (p->w.depth * (int64_t)sizeof(uint16_t));
    int64_t span = (p->w.taps - 1) * p->in.dilation + 1;
    return (fit - span) / p->in.stride / TILE * TILE;
}

static void run_chunk(ace_cuda *cuda, const ace_cuda_product *p, int64_t first, int64_t end)
{
    const ace_cuda_inputs *in = &p->in;
    int64_t low = most(0, first * in->stride - in->pad);
    int64_t high = (end - 1) * in->stride + (p->w.taps - 1) * in->dilation - in->pad + 1;
    high = most(low, least(high, in->x.rows));
    ace_cuda_product chunk = *p;
    if (high > low) {
        ace_cuda_activate(p, cuda->area.inputs, low, high - low, cuda->compute);
    }
    chunk.in.x = (ace_tensor){.addr = (uint64_t)(uintptr_t)cuda->area.inputs,
                              .dtype = ACE_BF16,
                              .rows = high - low,
                              .cols = p->w.depth,
                              .row_stride = p->w.depth};
    chunk.in.pad = in->pad + low;
    chunk.in.alpha = (ace_tensor){.addr = 0};
    chunk.w.cols = p->w.depth; /* the pass fills up with zeros */
    chunk.first = first;
    chunk.m = end;
    ace_cuda_tensor_product(&chunk, cuda->processors, cuda->compute);
}

void ace_cuda_run_on_tensor_cores(ace_cuda *cuda, const ace_cuda_product *p)
{
    int64_t rows = needs_pass(p) ? rows_of_chunk(p) : 0;
    if (rows < TILE) {
        ace_cuda_tensor_product(p, cuda->processors, cuda->compute);
        return;
    }
    for (int64_t first = 0; first < p->m; first += rows) {
        run_chunk(cuda, p, first, least(p->m, first + rows));
    }
}

/* ---- 8 bits
 * --------------------------------------------------------------------------------------- */

void ace_cuda_run_in_int8(ace_cuda *cuda, const ace_cuda_product *p)
{
    int64_t runs = (p->w.cols + ACE_CUDA_INT8_RUN - 1) / ACE_CUDA_INT8_RUN;
    int64_t row_bytes = p->w.depth + runs * (int64_t)sizeof(float);
    int64_t rows = least(p->m, (ACE_CUDA_LIBRARY_BYTES - ACE_CUDA_ALIGNMENT) / row_bytes);
    size_t data_bytes = ace_align_up((size_t)(rows * p->w.depth), ACE_CUDA_ALIGNMENT);
    ace_cuda_quantised x = {(int8_t *)cuda->area.inputs,
                            (float *)(void *)(cuda->area.inputs + data_bytes)};
    for (int64_t first = 0; first < p->m; first += rows) {
        ace_cuda_product chunk = *p;
        chunk.first = first;
        chunk.m = least(p->m, first + rows);
        ace_cuda_quantise(&chunk, &x, cuda->compute);
        ace_cuda_int8_product(&chunk, &x, cuda->processors, cuda->compute);
    }
}
