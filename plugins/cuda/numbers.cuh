/* Reading and writing numbers of tensors on the device. The conversions are those of base/dtype.h:
 * bf16 rounds to nearest, ties to even, and NaN stays NaN. */
#ifndef ACE_CUDA_NUMBERS_CUH
#define ACE_CUDA_NUMBERS_CUH

#include "kernels.h"
#include "module.cuh"

#include <cuda_runtime.h>
#include <stdint.h>

/* `kernel` is a plain name: of a template, a variable that holds the instance. */
#ifndef ACE_LAUNCH
#define ACE_LAUNCH(kernel, grid, block, stream, ...)                                               \
    kernel<<<(grid), (block), 0, (stream)>>>(__VA_ARGS__)
#endif

enum { ACE_WARP = 32 };
#define ACE_ALL_LANES 0xffffffffu

__device__ static inline float ace_widen_bf16(uint16_t h)
{
    return __uint_as_float((unsigned)h << 16);
}

__device__ static inline uint16_t ace_round_bf16(float f)
{
    unsigned u = __float_as_uint(f);
    if ((u & 0x7fffffffu) > 0x7f800000u) {
        return (uint16_t)((u >> 16) | 0x40u);
    }
    return (uint16_t)((u + 0x7fffu + ((u >> 16) & 1u)) >> 16);
}

__device__ static inline float ace_get(const ace_tensor &t, int64_t row, int64_t col)
{
    int64_t i = row * t.row_stride + col;
    return t.dtype == ACE_BF16 ? ace_widen_bf16(((const uint16_t *)t.addr)[i])
                               : ((const float *)t.addr)[i];
}

__device__ static inline void ace_put(const ace_tensor &t, int64_t row, int64_t col, float value)
{
    int64_t i = row * t.row_stride + col;
    if (t.dtype == ACE_BF16) {
        ((uint16_t *)t.addr)[i] = ace_round_bf16(value);
    } else {
        ((float *)t.addr)[i] = value;
    }
}

__device__ static inline float ace_silu(float v)
{
    return v / (1.0f + expf(-v));
}

/* Over the lanes of a warp; every lane has the result. */
__device__ static inline float ace_warp_sum(float v)
{
    for (int step = ACE_WARP / 2; step > 0; step /= 2) {
        v += __shfl_xor_sync(ACE_ALL_LANES, v, step);
    }
    return v;
}

__device__ static inline float ace_warp_max(float v)
{
    for (int step = ACE_WARP / 2; step > 0; step /= 2) {
        v = fmaxf(v, __shfl_xor_sync(ACE_ALL_LANES, v, step));
    }
    return v;
}

/* ---- elementwise passes
 * ---------------------------------------------------------------------------
 *
 * The threads of a block lie side by side along rows of up to 32 columns and below each other; the
 * grid's y goes on along the rows. Narrow tensors get narrow rows of threads. */
enum { ACE_PASS_THREADS = 256 };

typedef struct ace_pass {
    dim3 grid;
    int across; /* threads along a row, a power of two */
} ace_pass;

static inline ace_pass ace_pass_over(int64_t rows, int64_t cols)
{
    int across = 1;
    while (across < 32 && across < cols) {
        across *= 2;
    }
    int64_t blocks = (cols + across * 4 - 1) / (across * 4);
    int64_t down = ACE_PASS_THREADS / across;
    return ace_pass{
        dim3((unsigned)((rows + down - 1) / down), (unsigned)(blocks < 1024 ? blocks : 1024)),
        across};
}

__device__ static inline int64_t ace_pass_row(int across)
{
    return (int64_t)blockIdx.x * (ACE_PASS_THREADS / across) + threadIdx.x / across;
}

__device__ static inline int64_t ace_pass_column(int across)
{
    return (int64_t)blockIdx.y * across + threadIdx.x % across;
}

__device__ static inline int64_t ace_pass_step(int across)
{
    return (int64_t)gridDim.y * across;
}

static inline unsigned ace_blocks(int64_t n, int64_t per)
{
    return (unsigned)((n + per - 1) / per);
}

#endif
