/* Products of bf16 or int8 weights on tensor cores, inputs rounded to bf16, sums in f32. The depth,
 * all taps' after each other, passes through shared memory in stages, some of which are under way
 * while one is multiplied. Convolutions are gathered on the way there (implicit GEMM).
 *
 * What is bf16 in memory is copied past the registers; other inputs, and those that Snake changes,
 * and int8 weights go through them: they are asked for before a stage is multiplied and put into
 * shared memory after it. */
#include "product_tile.cuh"

enum { EIGHT = 8, STEP = ACE_STAGE_ROW / 2 }; /* numbers of a piece; of a row of a stage */

typedef ace_tile<128, 128, 2, 4, 3> large;
typedef ace_tile<64, 64, 2, 2, 4> small;

/* ---- inputs ---------------------------------------------------------------------------------- */

/* Eight numbers of a row of x; zeros beyond its columns. wide: x lies at multiples of 16 bytes.
 * Unused, as below, where a card has no tensor cores. */
[[maybe_unused]] __device__ static inline void read_eight(const ace_tensor &x, bool wide,
                                                          int64_t row, int k, float (&to)[EIGHT])
{
    if (!wide || k + EIGHT > x.cols) {
#pragma unroll
        for (int i = 0; i < EIGHT; i++) {
            to[i] = k + i < x.cols ? ace_get(x, row, k + i) : 0.0f;
        }
    } else if (x.dtype == ACE_BF16) {
        uint4 v = *(const uint4 *)((const uint16_t *)x.addr + row * x.row_stride + k);
        const unsigned word[4] = {v.x, v.y, v.z, v.w};
#pragma unroll
        for (int i = 0; i < 4; i++) {
            to[2 * i] = __uint_as_float(word[i] << 16);
            to[2 * i + 1] = __uint_as_float(word[i] & 0xffff0000u);
        }
    } else {
        const uint4 *from = (const uint4 *)((const float *)x.addr + row * x.row_stride + k);
#pragma unroll
        for (int i = 0; i < 2; i++) {
            uint4 v = from[i];
            to[4 * i] = __uint_as_float(v.x);
            to[4 * i + 1] = __uint_as_float(v.y);
            to[4 * i + 2] = __uint_as_float(v.z);
            to[4 * i + 3] = __uint_as_float(v.w);
        }
    }
}

/* A thread's share of the inputs: one piece of several rows of the tile. */
template <typename T, bool DIRECT> struct inputs {
    static const int ROWS = T::M / T::ROWS_AT_ONCE;
    int row[ROWS]; /* of x, at the first tap */
    int tap, k;    /* where the piece is; k: within the tap */
    float held[DIRECT ? 1 : ROWS][EIGHT];

    __device__ inline void begin(const ace_cuda_product &p)
    {
#pragma unroll
        for (int r = 0; r < ROWS; r++) {
            int64_t m = p.first + (int64_t)blockIdx.x * T::M + threadIdx.x / ACE_PIECES +
                        r * T::ROWS_AT_ONCE;
            row[r] = m < p.m ? (int)(m * p.in.stride - p.in.pad) : INT32_MIN / 2;
        }
        tap = 0;
        k = (int)threadIdx.x % ACE_PIECES * EIGHT;
        settle(p);
    }

    /* Into the tap that k has run into. */
    __device__ inline void settle(const ace_cuda_product &p)
    {
        while (k >= p.w.depth && tap < p.w.taps) {
            k -= (int)p.w.depth;
            tap++;
        }
    }

    __device__ inline unsigned char *piece(unsigned char *stage, int r)
    {
        return ace_piece(stage, (int)threadIdx.x / ACE_PIECES + r * T::ROWS_AT_ONCE,
                         (int)threadIdx.x % ACE_PIECES);
    }

    __device__ inline void bring(const ace_cuda_product &p, bool wide, unsigned char *stage)
    {
        bool in_depth = tap < p.w.taps && k < p.w.cols;
#pragma unroll
        for (int r = 0; r < ROWS; r++) {
            int64_t from = row[r] + tap * p.in.dilation;
            bool there = in_depth && from >= 0 && from < p.in.x.rows;
            if (DIRECT) {
                int64_t at = there ? from * p.in.x.row_stride + k : 0;
                ace_copy_late(piece(stage, r), (const uint16_t *)p.in.x.addr + at, there);
            } else if (there) {
                read_eight(p.in.x, wide, from, k, held[DIRECT ? 0 : r]);
            } else {
#pragma unroll
                for (int i = 0; i < EIGHT; i++) {
                    held[DIRECT ? 0 : r][i] = 0.0f;
                }
            }
        }
    }

    __device__ inline void activate(const ace_cuda_product &p)
    {
#pragma unroll
        for (int i = 0; i < EIGHT; i++) {
            if (k + i < p.w.cols) {
#pragma unroll
                for (int r = 0; r < ROWS; r++) {
                    float &v = held[DIRECT ? 0 : r][i];
                    v = ace_activate(p.in, k + i, v);
                }
            }
        }
    }

    __device__ inline void place(const ace_cuda_product &p, unsigned char *stage)
    {
        if (!DIRECT) {
            if (p.in.alpha.addr != 0) {
                activate(p);
            }
#pragma unroll
            for (int r = 0; r < ROWS; r++) {
                const float(&v)[EIGHT] = held[DIRECT ? 0 : r];
                *(uint4 *)piece(stage, r) =
                    uint4{ace_pair_bf16(v[0], v[1]), ace_pair_bf16(v[2], v[3]),
                          ace_pair_bf16(v[4], v[5]), ace_pair_bf16(v[6], v[7])};
            }
        }
        k += STEP;
        settle(p);
    }
};

/* ---- weights --------------------------------------------------------------------------------- */

/* The upper halves of two floats: whole numbers of 8 bits are exact in them. */
__device__ static inline unsigned upper_halves(float first, float second)
{
    return __byte_perm(__float_as_uint(first), __float_as_uint(second), 0x7632u);
}

/* Eight int8 as bf16. */
[[maybe_unused]] __device__ static inline uint4 widen_eight(uint2 bytes)
{
    float low[4];
    float high[4];
    ace_widen_bytes(bytes.x, low);
    ace_widen_bytes(bytes.y, high);
    return uint4{upper_halves(low[0], low[1]), upper_halves(low[2], low[3]),
                 upper_halves(high[0], high[1]), upper_halves(high[2], high[3])};
}

/* A thread's share of the weights, likewise; their depth has no holes. */
template <typename T, typename W> struct weights {
    static const bool DIRECT = sizeof(W) == sizeof(uint16_t);
    static const int ROWS = T::N / T::ROWS_AT_ONCE;
    int width, k;
    int row[ROWS]; /* of the matrix; -1: none */
    uint2 held[DIRECT ? 1 : ROWS];

    __device__ inline void begin(const ace_cuda_product &p)
    {
        width = (int)(p.w.taps * p.w.depth);
        k = (int)threadIdx.x % ACE_PIECES * EIGHT;
#pragma unroll
        for (int r = 0; r < ROWS; r++) {
            row[r] = (int)ace_matrix_row<T>(p, (int)threadIdx.x / ACE_PIECES + r * T::ROWS_AT_ONCE);
        }
    }

    __device__ inline unsigned char *piece(unsigned char *stage, int r)
    {
        return ace_piece(stage, (int)threadIdx.x / ACE_PIECES + r * T::ROWS_AT_ONCE,
                         (int)threadIdx.x % ACE_PIECES);
    }

    __device__ inline void bring(const ace_cuda_product &p, unsigned char *stage)
    {
#pragma unroll
        for (int r = 0; r < ROWS; r++) {
            bool there = row[r] >= 0 && k < width;
            const W *from = (const W *)p.w.data + (there ? (int64_t)row[r] * width + k : 0);
            if (DIRECT) {
                ace_copy_late(piece(stage, r), from, there);
            } else {
                held[DIRECT ? 0 : r] = there ? *(const uint2 *)from : uint2{0, 0};
            }
        }
    }

    __device__ inline void place(unsigned char *stage)
    {
        if (!DIRECT) {
#pragma unroll
            for (int r = 0; r < ROWS; r++) {
                *(uint4 *)piece(stage, r) = widen_eight(held[DIRECT ? 0 : r]);
            }
        }
        k += STEP;
    }
};

/* ---- the product ----------------------------------------------------------------------------- */

template <typename T, typename W, bool DIRECT>
__global__ static void __launch_bounds__(T::THREADS, DIRECT ? 512 / T::THREADS : 1)
    tensor(ace_cuda_product p, bool wide)
{
#if ACE_HAS_MMA
    alignas(16) __shared__ unsigned char stage[T::STAGES][T::STAGE];
    int steps = (int)((p.w.taps * p.w.depth + STEP - 1) / STEP);
    inputs<T, DIRECT> in;
    weights<T, W> w;
    ace_sums<T, float> sums = {};
    in.begin(p);
    w.begin(p);
    for (int s = 0; s < T::STAGES - 1; s++) {
        if (s < steps) {
            in.bring(p, wide, stage[s]);
            w.bring(p, ace_weights_of<T>(stage[s]));
            in.place(p, stage[s]);
            w.place(ace_weights_of<T>(stage[s]));
        }
        ace_end_group();
    }
    int now = 0;
    int next = T::STAGES - 1; /* multiplied last, which every thread has left at the barrier */
    for (int s = 0; s < steps; s++) {
        bool more = s + T::STAGES - 1 < steps;
        ace_wait_groups<T::STAGES - 2>();
        __syncthreads();
        if (more) {
            in.bring(p, wide, stage[next]);
            w.bring(p, ace_weights_of<T>(stage[next]));
        }
        ace_end_group();
        ace_multiply_stage(stage[now], sums);
        if (more) {
            in.place(p, stage[next]);
            w.place(ace_weights_of<T>(stage[next]));
        }
        now = now + 1 < T::STAGES ? now + 1 : 0;
        next = next + 1 < T::STAGES ? next + 1 : 0;
    }
    ace_wait_groups<0>();
    ace_deliver_tile(p, sums, stage[0]);
#endif
}

template <typename T, typename W>
static void launch(const ace_cuda_product *p, bool wide, cudaStream_t stream)
{
    bool direct =
        wide && p->in.x.dtype == ACE_BF16 && p->in.alpha.addr == 0 && p->w.cols % EIGHT == 0;
    auto kernel = direct ? tensor<T, W, true> : tensor<T, W, false>;
    ACE_LAUNCH(kernel, ace_tile_grid<T>(p), dim3(T::THREADS), stream, *p, wide);
}

template <typename T>
static void launch_for(const ace_cuda_product *p, bool wide, cudaStream_t stream)
{
    p->w.dtype == ACE_I8 ? launch<T, int8_t>(p, wide, stream)
                         : launch<T, uint16_t>(p, wide, stream);
}

extern "C" void ace_cuda_tensor_product(const ace_cuda_product *p, int processors,
                                        cudaStream_t stream)
{
    const ace_tensor *x = &p->in.x;
    uint64_t row_bytes = (uint64_t)x->row_stride * (x->dtype == ACE_BF16 ? 2 : 4);
    bool wide = x->addr % ACE_PIECE == 0 && row_bytes % ACE_PIECE == 0;
    dim3 grid = ace_tile_grid<large>(p);
    if ((int64_t)grid.x * grid.y >= processors) {
        launch_for<large>(p, wide, stream);
    } else {
        launch_for<small>(p, wide, stream);
    }
}
