/* The passes around a product made by a library: gathering its inputs, widening int8 weights, and
 * what becomes of its results. All are as fast as memory. */
#include "product.cuh"

enum { ACROSS = 32, DOWN = 8 };

/* Threads of a block lie side by side along rows; the grid's y goes on along them. */
__device__ static inline int64_t own_row()
{
    return (int64_t)blockIdx.x * DOWN + threadIdx.x / ACROSS;
}

__device__ static inline int64_t first_column()
{
    return (int64_t)blockIdx.y * ACROSS + threadIdx.x % ACROSS;
}

__device__ static inline int64_t column_step()
{
    return (int64_t)gridDim.y * ACROSS;
}

static dim3 grid_of(int64_t rows, int64_t cols)
{
    unsigned across = ace_blocks(cols, ACROSS * 4);
    return dim3(ace_blocks(rows, DOWN), across < 1024 ? across : 1024);
}

__global__ static void gather(ace_cuda_product p, void *to, int is_bf16, int64_t first, int64_t m)
{
    int64_t row = own_row();
    int64_t width = p.w.taps * p.w.depth;
    for (int64_t c = first_column(); row < m && c < width; c += column_step()) {
        float v = ace_input(p, first + row, (int)(c / p.w.depth), c % p.w.depth);
        if (is_bf16) {
            ((uint16_t *)to)[row * width + c] = ace_round_bf16(v);
        } else {
            ((float *)to)[row * width + c] = v;
        }
    }
}

__global__ static void widen(ace_cuda_product p, uint16_t *to, int64_t column, int64_t n)
{
    int64_t row = own_row();
    int64_t width = p.w.taps * p.w.depth;
    const int8_t *from = (const int8_t *)p.w.data + (column + row) * width;
    for (int64_t c = first_column(); row < n && c < width; c += column_step()) {
        to[row * width + c] = ace_round_bf16((float)from[c]); /* exact */
    }
}

__global__ static void finish(ace_cuda_product p, const float *values, const float *ups,
                              int64_t first, int64_t m, int64_t column, int64_t n)
{
    int64_t row = own_row();
    for (int64_t c = first_column(); row < m && c < n; c += column_step()) {
        float up = p.out.swiglu ? ups[row * n + c] : 0.0f;
        ace_deliver(p, first + row, column + c, values[row * n + c], up);
    }
}

extern "C" void ace_cuda_gather(const ace_cuda_product *p, void *to, ace_dtype dtype, int64_t first,
                                int64_t m, cudaStream_t stream)
{
    ACE_LAUNCH(gather, grid_of(m, p->w.taps * p->w.depth), dim3(ACROSS * DOWN), stream, *p, to,
               dtype == ACE_BF16, first, m);
}

extern "C" void ace_cuda_widen(const ace_cuda_product *p, void *to, int64_t column, int64_t n,
                               cudaStream_t stream)
{
    ACE_LAUNCH(widen, grid_of(n, p->w.taps * p->w.depth), dim3(ACROSS * DOWN), stream, *p,
               (uint16_t *)to, column, n);
}

extern "C" void ace_cuda_finish(const ace_cuda_product *p, const float *values, const float *ups,
                                int64_t first, int64_t m, int64_t column, int64_t n,
                                cudaStream_t stream)
{
    ACE_LAUNCH(finish, grid_of(m, n), dim3(ACROSS * DOWN), stream, *p, values, ups, first, m, column,
               n);
}
