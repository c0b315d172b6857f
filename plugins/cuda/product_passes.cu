/* The passes around a product made by a library: gathering its inputs, widening int8 weights, and
 * what becomes of its results. All are as fast as memory. */
#include "product.cuh"

__global__ static void gather(int across, ace_cuda_product p, void *to, int is_bf16, int64_t first,
                              int64_t m)
{
    int64_t row = ace_pass_row(across);
    int64_t width = p.w.taps * p.w.depth;
    for (int64_t c = ace_pass_column(across); row < m && c < width; c += ace_pass_step(across)) {
        float v = ace_input(p, first + row, (int)(c / p.w.depth), c % p.w.depth);
        if (is_bf16) {
            ((uint16_t *)to)[row * width + c] = ace_round_bf16(v);
        } else {
            ((float *)to)[row * width + c] = v;
        }
    }
}

__global__ static void activate(int across, ace_cuda_product p, uint16_t *to, int64_t first,
                                int64_t rows)
{
    int64_t row = ace_pass_row(across);
    for (int64_t k = ace_pass_column(across); row < rows && k < p.w.depth;
         k += ace_pass_step(across)) {
        float v = k < p.w.cols ? ace_activate(p.in, k, ace_get(p.in.x, first + row, k)) : 0.0f;
        to[row * p.w.depth + k] = ace_round_bf16(v);
    }
}

__global__ static void widen(int across, ace_cuda_product p, uint16_t *to, int64_t column,
                             int64_t n)
{
    int64_t row = ace_pass_row(across);
    int64_t width = p.w.taps * p.w.depth;
    const int8_t *from = (const int8_t *)p.w.data + (column + row) * width;
    for (int64_t c = ace_pass_column(across); row < n && c < width; c += ace_pass_step(across)) {
        to[row * width + c] = ace_round_bf16((float)from[c]); /* exact */
    }
}

__global__ static void finish(int across, ace_cuda_product p, const float *values, const float *ups,
                              int64_t first, int64_t m, int64_t column, int64_t n)
{
    int64_t row = ace_pass_row(across);
    for (int64_t c = ace_pass_column(across); row < m && c < n; c += ace_pass_step(across)) {
        float up = p.out.swiglu ? ups[row * n + c] : 0.0f;
        ace_deliver(p, first + row, column + c, values[row * n + c], up);
    }
}

extern "C" void ace_cuda_gather(const ace_cuda_product *p, void *to, ace_dtype dtype, int64_t first,
                                int64_t m, cudaStream_t stream)
{
    ace_pass pass = ace_pass_over(m, p->w.taps * p->w.depth);
    ACE_LAUNCH(gather, pass.grid, dim3(ACE_PASS_THREADS), stream, pass.across, *p, to,
               dtype == ACE_BF16, first, m);
}

extern "C" void ace_cuda_activate(const ace_cuda_product *p, void *to, int64_t first, int64_t rows,
                                  cudaStream_t stream)
{
    ace_pass pass = ace_pass_over(rows, p->w.depth);
    ACE_LAUNCH(activate, pass.grid, dim3(ACE_PASS_THREADS), stream, pass.across, *p, (uint16_t *)to,
               first, rows);
}

extern "C" void ace_cuda_widen(const ace_cuda_product *p, void *to, int64_t column, int64_t n,
                               cudaStream_t stream)
{
    ace_pass pass = ace_pass_over(n, p->w.taps * p->w.depth);
    ACE_LAUNCH(widen, pass.grid, dim3(ACE_PASS_THREADS), stream, pass.across, *p, (uint16_t *)to,
               column, n);
}

extern "C" void ace_cuda_finish(const ace_cuda_product *p, const float *values, const float *ups,
                                int64_t first, int64_t m, int64_t column, int64_t n,
                                cudaStream_t stream)
{
    ace_pass pass = ace_pass_over(m, n);
    ACE_LAUNCH(finish, pass.grid, dim3(ACE_PASS_THREADS), stream, pass.across, *p, values, ups,
               first, m, column, n);
}
