/* Blocks of columns mixed by a small matrix (ace_mix). A thread owns columns of y and reads the
 * same columns of every block of x, so that neighbours read neighbours; the weight's rows are few
 * and stay in the cache. */
#include "chunks.cuh"
#include "kernels.h"

/* The columns of one chunk lie in one block: width is a multiple of N. */
template <int N> struct columns;

template <> struct columns<1> {
    __device__ static void get(const ace_tensor &t, int64_t row, int64_t column, float (&to)[1])
    {
        to[0] = ace_get(t, row, column);
    }
    __device__ static void put(const ace_tensor &t, int64_t row, int64_t column,
                               const float (&from)[1])
    {
        ace_put(t, row, column, from[0]);
    }
};

template <> struct columns<ACE_CHUNK> {
    __device__ static void get(const ace_tensor &t, int64_t row, int64_t column,
                               float (&to)[ACE_CHUNK])
    {
        ace_get_chunk(t, row, column, to);
    }
    __device__ static void put(const ace_tensor &t, int64_t row, int64_t column,
                               const float (&from)[ACE_CHUNK])
    {
        ace_put_chunk(t, row, column, from);
    }
};

template <int N>
__device__ static void mix_of(const ace_tensor &x, const ace_tensor &weight, int64_t width,
                              int64_t row, int64_t column, float (&sum)[N])
{
    if (weight.addr == 0) {
        columns<N>::get(x, row, column, sum);
        return;
    }
    int64_t block = column / width;
    int64_t inside = column % width;
    for (int64_t k = 0; k < weight.cols; k++) {
        float v[N];
        float factor = ace_get(weight, block, k);
        columns<N>::get(x, row, k * width + inside, v);
#pragma unroll
        for (int i = 0; i < N; i++) {
            sum[i] = fmaf(factor, v[i], sum[i]);
        }
    }
}

template <int N>
__global__ static void __launch_bounds__(ACE_PASS_THREADS)
    mix_columns(int across, ace_tensor y, ace_tensor x, ace_mix m, int64_t width)
{
    int64_t r = ace_pass_row(across);
    for (int64_t n = ace_pass_column(across); r < y.rows && n < y.cols / N;
         n += ace_pass_step(across)) {
        float sum[N] = {};
        mix_of<N>(x, m.weight, width, r, n * N, sum);
        if (m.gate.addr != 0) {
            float gate[N];
            columns<N>::get(m.gate, r / (y.rows / m.gate.rows), n * N, gate);
#pragma unroll
            for (int i = 0; i < N; i++) {
                sum[i] *= gate[i];
            }
        }
        if (m.accumulate) {
            float before[N];
            columns<N>::get(y, r, n * N, before);
#pragma unroll
            for (int i = 0; i < N; i++) {
                sum[i] += before[i];
            }
        }
        columns<N>::put(y, r, n * N, sum);
    }
}

extern "C" void ace_cuda_mix_columns(ace_tensor y, ace_tensor x, const ace_mix *m,
                                     cudaStream_t stream)
{
    int64_t width = m->weight.addr != 0 ? x.cols / m->weight.cols : x.cols;
    if (width % ACE_CHUNK == 0 && ace_has_chunks(y) && ace_has_chunks(x) &&
        ace_has_chunks(m->gate)) {
        ace_pass pass = ace_pass_over(y.rows, y.cols / ACE_CHUNK);
        ACE_LAUNCH(mix_columns<ACE_CHUNK>, pass.grid, dim3(ACE_PASS_THREADS), stream, pass.across,
                   y, x, *m, width);
        return;
    }
    ace_pass pass = ace_pass_over(y.rows, y.cols);
    ACE_LAUNCH(mix_columns<1>, pass.grid, dim3(ACE_PASS_THREADS), stream, pass.across, y, x, *m,
               width);
}
