/* Products of any size: a block makes a tile of results, going through the depth in steps that lie
 * in shared memory. Convolutions are gathered on the way there (implicit GEMM), Snake included. */
#include "product.cuh"

enum { TILE = 64, STEP = 16, SIDE = 16, EACH = TILE / SIDE };

typedef struct tile_place {
    int64_t m, n; /* of the tile's corner */
    int x, y;     /* of the thread in the block of SIDE · SIDE */
} tile_place;

__device__ static void load_inputs(const ace_cuda_product &p, const tile_place &at, int tap,
                                   int64_t k, float (*to)[TILE + 1])
{
#pragma unroll
    for (int i = 0; i < EACH; i++) {
        int row = at.y + i * SIDE;
        to[at.x][row] = ace_input(p, at.m + row, tap, k + at.x);
    }
}

template <typename W>
__device__ static void load_weights(const ace_cuda_product &p, const tile_place &at, int64_t first,
                                    int tap, int64_t k, float (*to)[TILE + 1])
{
#pragma unroll
    for (int i = 0; i < EACH; i++) {
        int col = at.y + i * SIDE;
        int64_t n = at.n + col;
        bool there = n < p.n && k + at.x < p.w.depth;
        to[at.x][col] = there ? ace_weight(ace_weight_row<W>(p, first + n, tap)[k + at.x]) : 0.0f;
    }
}

__device__ static void multiply(const tile_place &at, const float (*a)[TILE + 1],
                                const float (*b)[TILE + 1], float (*sum)[EACH])
{
#pragma unroll
    for (int k = 0; k < STEP; k++) {
        float right[EACH];
#pragma unroll
        for (int j = 0; j < EACH; j++) {
            right[j] = b[k][at.x + j * SIDE];
        }
#pragma unroll
        for (int i = 0; i < EACH; i++) {
            float left = a[k][at.y + i * SIDE];
#pragma unroll
            for (int j = 0; j < EACH; j++) {
                sum[i][j] = fmaf(left, right[j], sum[i][j]);
            }
        }
    }
}

template <typename W, bool PAIR>
__global__ static void __launch_bounds__(SIDE *SIDE) tiled(ace_cuda_product p)
{
    __shared__ float a[STEP][TILE + 1];
    __shared__ float b[STEP][TILE + 1];
    __shared__ float c[PAIR ? STEP : 1][TILE + 1];
    tile_place at = {(int64_t)blockIdx.x * TILE, (int64_t)blockIdx.y * TILE,
                     (int)threadIdx.x % SIDE, (int)threadIdx.x / SIDE};
    float sum[EACH][EACH] = {};
    float up[PAIR ? EACH : 1][EACH] = {};
    for (int tap = 0; tap < p.w.taps; tap++) {
        for (int64_t k = 0; k < p.w.cols; k += STEP) {
            load_inputs(p, at, tap, k, a);
            load_weights<W>(p, at, 0, tap, k, b);
            if (PAIR) {
                load_weights<W>(p, at, p.n, tap, k, c);
            }
            __syncthreads();
            multiply(at, a, b, sum);
            if (PAIR) {
                multiply(at, a, c, up);
            }
            __syncthreads();
        }
    }
#pragma unroll
    for (int i = 0; i < EACH; i++) {
#pragma unroll
        for (int j = 0; j < EACH; j++) {
            int64_t m = at.m + at.y + i * SIDE;
            int64_t n = at.n + at.x + j * SIDE;
            if (m < p.m && n < p.n) {
                ace_deliver(p, m, n, sum[i][j], PAIR ? up[PAIR ? i : 0][j] : 0.0f);
            }
        }
    }
}

template <typename W, bool PAIR> static void launch(const ace_cuda_product *p, cudaStream_t stream)
{
    auto kernel = tiled<W, PAIR>;
    dim3 grid(ace_blocks(p->m, TILE), ace_blocks(p->n, TILE));
    ACE_LAUNCH(kernel, grid, dim3(SIDE * SIDE), stream, *p);
}

extern "C" void ace_cuda_tiled_product(const ace_cuda_product *p, cudaStream_t stream)
{
    ACE_BY_WEIGHTS(p, launch, p, stream);
}
