/* Linear layers of a few rows, as when the language model writes: weights are read once.
 * A warp takes one column of results; its lanes share out the depth in pieces of 16 bytes. */
#include "product.cuh"

enum { WARPS = 4 };

/* 16 bytes of a row of weights. */
template <typename W> struct piece {
    static const int SIZE = (int)(16 / sizeof(W));
    union {
        uint4 bytes;
        W weight[SIZE];
    };
};

template <typename W> __device__ static inline piece<W> load_piece(const W *from)
{
    piece<W> p;
    p.bytes = *(const uint4 *)from;
    return p;
}

/* x[m, k] as the weights' type asks for it. */
template <typename W>
__device__ static inline float plain_input(const ace_cuda_product &p, int64_t m, int64_t k)
{
    if (m >= p.m || k >= p.w.cols) {
        return 0.0f;
    }
    float v = ace_get(p.in.x, m, k);
    return sizeof(W) == sizeof(uint16_t) ? ace_widen_bf16(ace_round_bf16(v)) : v;
}

template <typename W, bool PAIR, int ROWS>
__global__ static void __launch_bounds__(WARPS *ACE_WARP) few_rows(ace_cuda_product p)
{
    const int SIZE = piece<W>::SIZE;
    int lane = (int)threadIdx.x % ACE_WARP;
    int64_t n = (int64_t)blockIdx.x * WARPS + threadIdx.x / ACE_WARP;
    if (n >= p.n) {
        return; /* the whole warp */
    }
    float sum[ROWS] = {};
    float up[PAIR ? ROWS : 1] = {};
    const W *row = ace_weight_row<W>(p, n, 0);
    const W *other = ace_weight_row<W>(p, PAIR ? n + p.n : n, 0);
    for (int64_t k = lane * SIZE; k < p.w.depth; k += ACE_WARP * SIZE) {
        piece<W> w = load_piece(row + k);
        piece<W> v = PAIR ? load_piece(other + k) : w;
#pragma unroll
        for (int i = 0; i < SIZE; i++) {
#pragma unroll
            for (int m = 0; m < ROWS; m++) {
                float x = plain_input<W>(p, m, k + i);
                sum[m] = fmaf(ace_weight(w.weight[i]), x, sum[m]);
                if (PAIR) {
                    up[PAIR ? m : 0] = fmaf(ace_weight(v.weight[i]), x, up[PAIR ? m : 0]);
                }
            }
        }
    }
#pragma unroll
    for (int m = 0; m < ROWS; m++) {
        float value = ace_warp_sum(sum[m]);
        float second = PAIR ? ace_warp_sum(up[PAIR ? m : 0]) : 0.0f;
        if (lane == 0 && m < p.m) {
            ace_deliver(p, m, n, value, second);
        }
    }
}

template <typename W, bool PAIR> static void launch(const ace_cuda_product *p, cudaStream_t stream)
{
    auto kernel = p->m == 1   ? few_rows<W, PAIR, 1>
                  : p->m <= 4 ? few_rows<W, PAIR, 4>
                              : few_rows<W, PAIR, ACE_CUDA_FEW_ROWS>;
    ACE_LAUNCH(kernel, dim3(ace_blocks(p->n, WARPS)), dim3(WARPS * ACE_WARP), stream, *p);
}

extern "C" void ace_cuda_few_rows_product(const ace_cuda_product *p, cudaStream_t stream)
{
    ACE_BY_WEIGHTS(p, launch, p, stream);
}
