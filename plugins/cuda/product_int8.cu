/* Linear layers with int8 weights and int8 inputs on tensor cores. Inputs are quantised by a pass
 * of their own: each run of 128 columns of a row has a scale, its largest magnitude / 127. Sums
 * over a run are exact integers; with the scale they join a sum in f32. */
#include "product_tile.cuh"

/* Half as many columns for a warp as with bf16: it keeps two sums of each kind. */
typedef ace_tile<128, 64, 4, 2, 4> large;
typedef ace_tile<64, 64, 2, 2, 4> small;

enum { RUN = ACE_CUDA_INT8_RUN, STAGES_OF_RUN = RUN / ACE_STAGE_ROW, SIXTEEN = ACE_PIECE };

/* ---- inputs ---------------------------------------------------------------------------------- */

enum { QUANTISING_WARPS = 4, EACH = RUN / ACE_WARP };

/* A warp for a run. */
__global__ static void quantise(ace_cuda_product p, ace_cuda_quantised to, int runs)
{
    const float least = 0x1p-100f; /* its inverse is finite; below it, nothing is left of bf16 */
    int lane = (int)threadIdx.x % ACE_WARP;
    int64_t row = blockIdx.x;
    int run = (int)(blockIdx.y * QUANTISING_WARPS + threadIdx.x / ACE_WARP);
    int64_t k = (int64_t)run * RUN + lane * EACH;
    float v[EACH];
    float peak = 0.0f;
    if (run >= runs) {
        return; /* the whole warp */
    }
#pragma unroll
    for (int i = 0; i < EACH; i++) {
        v[i] = k + i < p.w.cols ? ace_get(p.in.x, p.first + row, k + i) : 0.0f;
        peak = fmaxf(peak, fabsf(v[i]));
    }
    peak = ace_warp_max(peak);
    float inverse = peak < least ? 0.0f : 127.0f / peak;
    unsigned word = 0;
#pragma unroll
    for (int i = 0; i < EACH; i++) {
        word |= (unsigned)(__float2int_rn(v[i] * inverse) & 255) << (8 * i);
    }
    if (k < p.w.depth) {
        *(unsigned *)(to.data + row * p.w.depth + k) = word;
    }
    if (lane == 0) {
        to.scales[row * runs + run] = peak < least ? 0.0f : peak / 127.0f;
    }
}

static int runs_of(const ace_cuda_product *p)
{
    return (int)((p->w.cols + RUN - 1) / RUN);
}

extern "C" void ace_cuda_quantise(const ace_cuda_product *p, const ace_cuda_quantised *to,
                                  cudaStream_t stream)
{
    dim3 grid((unsigned)(p->m - p->first), ace_blocks(runs_of(p), QUANTISING_WARPS));
    ACE_LAUNCH(quantise, grid, dim3(QUANTISING_WARPS * ACE_WARP), stream, *p, *to, runs_of(p));
}

/* ---- the product ----------------------------------------------------------------------------- */

/* A thread's share of a tile: one piece of several rows, which lie `depth` numbers apart. */
template <int ROWS, int AT_ONCE> struct share {
    int64_t row[ROWS]; /* -1: none */

    __device__ inline void bring(const void *data, int64_t depth, int64_t k, unsigned char *stage)
    {
        int piece = (int)threadIdx.x % ACE_PIECES;
        k += piece * SIXTEEN;
#pragma unroll
        for (int r = 0; r < ROWS; r++) {
            bool there = row[r] >= 0 && k < depth;
            const int8_t *from = (const int8_t *)data + (there ? row[r] * depth + k : 0);
            unsigned char *to =
                ace_piece(stage, (int)threadIdx.x / ACE_PIECES + r * AT_ONCE, piece);
            ace_copy_late(to, from, there);
        }
    }
};

/* Integers start from 1.5 · 2^23 as a float's bits: up to 2^22 added or taken away, they are the
 * bits of that many more or less. A run's sum is below 128 · 128 · 127 < 2^21 · 1. */
enum { FLOAT_ZERO = 0x4b400000 };

template <typename T> __device__ static inline void clear(ace_sums<T, int> &sums)
{
#pragma unroll
    for (int i = 0; i < T::MMA_M; i++) {
#pragma unroll
        for (int j = 0; j < T::MMA_N; j++) {
#pragma unroll
            for (int e = 0; e < 4; e++) {
                sums.at[i][j][e] = FLOAT_ZERO;
            }
        }
    }
}

/* The scales of a thread's rows for a run. */
template <typename T> struct scales {
    float of[T::MMA_M][2];

    __device__ inline void read(const float *from, int64_t rows, int runs, int run)
    {
        int lane = (int)threadIdx.x % ACE_WARP;
        int warp = (int)threadIdx.x / ACE_WARP;
        int64_t row = (int64_t)blockIdx.x * T::M + warp / T::ACROSS * T::WARP_M + lane / 4;
#pragma unroll
        for (int i = 0; i < T::MMA_M; i++) {
#pragma unroll
            for (int h = 0; h < 2; h++) {
                int64_t r = row + 16 * i + 8 * h;
                of[i][h] = r < rows ? from[r * runs + run] : 0.0f;
            }
        }
    }
};

/* A run's integers into the sums. */
template <typename T>
__device__ static inline void add_run(const ace_sums<T, int> &run, const scales<T> &by,
                                      ace_sums<T, float> &sums)
{
    const float zero = __uint_as_float(FLOAT_ZERO);
#pragma unroll
    for (int i = 0; i < T::MMA_M; i++) {
#pragma unroll
        for (int j = 0; j < T::MMA_N; j++) {
#pragma unroll
            for (int e = 0; e < 4; e++) {
                float whole = __uint_as_float((unsigned)run.at[i][j][e]) - zero;
                sums.at[i][j][e] = fmaf(whole, by.of[i][e / 2], sums.at[i][j][e]);
            }
        }
    }
}

/* What a thread brings of both. */
template <typename T> struct shares {
    share<T::M / T::ROWS_AT_ONCE, T::ROWS_AT_ONCE> in;
    share<T::N / T::ROWS_AT_ONCE, T::ROWS_AT_ONCE> w;

    __device__ inline void begin(const ace_cuda_product &p)
    {
        int own = (int)threadIdx.x / ACE_PIECES;
#pragma unroll
        for (int r = 0; r < T::M / T::ROWS_AT_ONCE; r++) {
            int64_t m = (int64_t)blockIdx.x * T::M + own + r * T::ROWS_AT_ONCE;
            in.row[r] = m < p.m - p.first ? m : -1;
        }
#pragma unroll
        for (int r = 0; r < T::N / T::ROWS_AT_ONCE; r++) {
            w.row[r] = ace_matrix_row<T>(p, own + r * T::ROWS_AT_ONCE);
        }
    }

    /* Beyond the depth: zeros. */
    __device__ inline void bring(const ace_cuda_product &p, const int8_t *x, int s,
                                 unsigned char *stage)
    {
        int64_t k = (int64_t)s * ACE_STAGE_ROW;
        in.bring(x, p.w.depth, k, stage);
        w.bring(p.w.data, p.w.depth, k, ace_weights_of<T>(stage));
        ace_end_group();
    }
};

template <typename T>
__global__ static void __launch_bounds__(T::THREADS, 512 / T::THREADS)
    integers(ace_cuda_product p, ace_cuda_quantised x, int runs)
{
#if ACE_HAS_MMA
    alignas(16) __shared__ unsigned char stage[T::STAGES][T::STAGE];
    shares<T> own;
    ace_sums<T, float> sums = {};
    own.begin(p);
    for (int s = 0; s < T::STAGES - 1; s++) {
        own.bring(p, x.data, s, stage[s]);
    }
    for (int r = 0; r < runs; r++) {
        ace_sums<T, int> run;
        scales<T> by;
        clear(run);
        by.read(x.scales, p.m - p.first, runs, r);
#pragma unroll
        for (int i = 0; i < STAGES_OF_RUN; i++) {
            int s = r * STAGES_OF_RUN + i;
            int next = s + T::STAGES - 1;
            ace_wait_groups<T::STAGES - 2>();
            __syncthreads();
            own.bring(p, x.data, next, stage[next % T::STAGES]);
            ace_multiply_stage(stage[s % T::STAGES], run);
        }
        add_run(run, by, sums);
    }
    ace_wait_groups<0>();
    ace_deliver_tile(p, sums, stage[0]);
#endif
}

template <typename T>
static void launch(const ace_cuda_product *p, const ace_cuda_quantised *x, cudaStream_t stream)
{
    auto kernel = integers<T>;
    ACE_LAUNCH(kernel, ace_tile_grid<T>(p), dim3(T::THREADS), stream, *p, *x, runs_of(p));
}

extern "C" void ace_cuda_int8_product(const ace_cuda_product *p, const ace_cuda_quantised *x,
                                      int processors, cudaStream_t stream)
{
    dim3 grid = ace_tile_grid<large>(p);
    if ((int64_t)grid.x * grid.y >= processors) {
        launch<large>(p, x, stream);
    } else {
        launch<small>(p, x, stream);
    }
}
