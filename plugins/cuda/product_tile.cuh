/* Tiles of products on tensor cores: how a block's share of inputs and weights lies in shared
 * memory, how its warps read it, and how their sums become results.
 *
 * A stage of either is rows of 64 bytes, four pieces of 16: 32 bf16 or 64 int8 along the depth.
 * Piece c of row r lies at place c ^ (r / 2 % 4) of the row. Eight rows' pieces of one number,
 * which an ldmatrix takes at once, then lie in different banks, and so do two rows' four, which a
 * quarter of a warp writes. */
#ifndef ACE_CUDA_PRODUCT_TILE_CUH
#define ACE_CUDA_PRODUCT_TILE_CUH

#include "mma.cuh"
#include "product.cuh"

enum { ACE_STAGE_ROW = 64, ACE_PIECE = 16, ACE_PIECES = ACE_STAGE_ROW / ACE_PIECE };

/* M rows by N columns of results, by DOWN · ACROSS warps; the depth in flight: STAGES. */
template <int M_, int N_, int DOWN, int ACROSS_, int STAGES_> struct ace_tile {
    static const int M = M_, N = N_, ACROSS = ACROSS_, STAGES = STAGES_;
    static const int THREADS = DOWN * ACROSS * ACE_WARP;
    static const int WARP_M = M / DOWN, WARP_N = N / ACROSS;
    static const int MMA_M = WARP_M / 16, MMA_N = WARP_N / 8;
    static const int ROWS_AT_ONCE = THREADS / ACE_PIECES; /* that the block's threads bring */
    static_assert(M % ROWS_AT_ONCE == 0 && N % ROWS_AT_ONCE == 0, "a stage in equal shares");
    static_assert(WARP_M % 16 == 0 && WARP_N % 16 == 0,
                  "whole fragments, those of weights in twos");
    static const int STAGE = (M + N) * ACE_STAGE_ROW, BYTES = STAGE * STAGES;
    static_assert(BYTES <= 48 << 10, "static shared memory");
};

__device__ static inline unsigned char *ace_piece(unsigned char *stage, int row, int piece)
{
    return stage + row * ACE_STAGE_ROW + (piece ^ (row / 2 % ACE_PIECES)) * ACE_PIECE;
}

/* Sums of a warp: rows 16·i + …, columns 8·j + …, by the layout of mma. */
template <typename T, typename D> struct ace_sums {
    D at[T::MMA_M][T::MMA_N][4];
};

/* Of a stage, inputs come first. */
template <typename T> __device__ static inline unsigned char *ace_weights_of(unsigned char *stage)
{
    return stage + T::M * ACE_STAGE_ROW;
}

/* Adds what a stage holds: two steps along the depth, each half of its pieces. */
template <typename T, typename D>
__device__ static inline void ace_multiply_stage(unsigned char *a, ace_sums<T, D> &sums)
{
    unsigned char *b = ace_weights_of<T>(a);
    int warp = (int)threadIdx.x / ACE_WARP;
    int lane = (int)threadIdx.x % ACE_WARP;
    int row = warp / T::ACROSS * T::WARP_M + lane % 16;
    int column = warp % T::ACROSS * T::WARP_N + lane / 16 * 8 + lane % 8;
#pragma unroll
    for (int half = 0; half < 2; half++) {
        unsigned left[T::MMA_M][4];
        unsigned right[T::MMA_N][2];
#pragma unroll
        for (int i = 0; i < T::MMA_M; i++) {
            ace_load_matrices(left[i], ace_piece(a, row + 16 * i, 2 * half + lane / 16));
        }
#pragma unroll
        for (int j = 0; j < T::MMA_N; j += 2) {
            unsigned two[4];
            ace_load_matrices(two, ace_piece(b, column + 8 * j, 2 * half + lane / 8 % 2));
            right[j][0] = two[0];
            right[j][1] = two[1];
            right[j + 1][0] = two[2];
            right[j + 1][1] = two[3];
        }
        ace_mma_all(sums.at, left, right);
    }
}

/* Of swiglu, a tile of weights has eight columns of gate and eight of up in turn, so that a thread
 * holds both sums of a result. */
template <typename T> __device__ static inline int64_t ace_first_column(const ace_cuda_product &p)
{
    return (int64_t)blockIdx.y * (p.out.swiglu ? T::N / 2 : T::N);
}

/* The row of the matrix that row r of the tile of weights is; -1: none. */
template <typename T>
__device__ static inline int64_t ace_matrix_row(const ace_cuda_product &p, int r)
{
    int64_t n = ace_first_column<T>(p) + (p.out.swiglu ? r / 16 * 8 + r % 8 : r);
    return n >= p.n ? -1 : p.out.swiglu ? n + r / 8 % 2 * p.n : n;
}

template <typename T> static inline dim3 ace_tile_grid(const ace_cuda_product *p)
{
    return dim3(ace_blocks(p->m - p->first, T::M),
                ace_blocks(p->n, p->out.swiglu ? T::N / 2 : T::N));
}

/* ---- results ----------------------------------------------------------------------------------
 *
 * A warp's sums go through shared memory, two rows of fragments at a time, so that lanes then write
 * results that lie next to each other. The gap behind a row keeps what lanes write in different
 * banks. */
template <typename T> struct ace_slice {
    static const int ROWS = 32;
    float at[ROWS][T::WARP_N + 8];
    static_assert(T::MMA_M % 2 == 0, "two rows of fragments at a time");
};

template <typename T>
__device__ static inline void ace_fill_slice(const ace_sums<T, float> &sums, int i,
                                             ace_slice<T> &to)
{
    int lane = (int)threadIdx.x % ACE_WARP;
#pragma unroll
    for (int r = 0; r < 2; r++) {
#pragma unroll
        for (int j = 0; j < T::MMA_N; j++) {
#pragma unroll
            for (int h = 0; h < 2; h++) {
                float *two = &to.at[16 * r + 8 * h + lane / 4][8 * j + lane % 4 * 2];
                *(float2 *)two = float2{sums.at[i + r][j][2 * h], sums.at[i + r][j][2 * h + 1]};
            }
        }
    }
}

/* A lane's two columns of a slice, all rows of them that it shares out with others. */
template <typename T>
__device__ static inline void ace_deliver_slice(const ace_cuda_product &p, int64_t m,
                                                const ace_slice<T> &slice)
{
    int lane = (int)threadIdx.x % ACE_WARP;
    int warp = (int)threadIdx.x / ACE_WARP;
    int width = p.out.swiglu ? T::WARP_N / 2 : T::WARP_N;
    int column = lane * 2 % width;
    int64_t n = ace_first_column<T>(p) + warp % T::ACROSS * width + column;
    if (n >= p.n) {
        return;
    }
    bool both = n + 1 < p.n;
    ace_column first = ace_column_of(p, n);
    ace_column second = ace_column_of(p, both ? n + 1 : n);
    int from = p.out.swiglu ? column / 8 * 16 + column % 8 : column;
    int up = p.out.swiglu ? from + 8 : from;
#pragma unroll 1
    for (int r = lane * 2 / width; r < slice.ROWS && m + r < p.m; r += ACE_WARP * 2 / width) {
        const float value[2] = {slice.at[r][from], slice.at[r][from + 1]};
        const float beside[2] = {slice.at[r][up], slice.at[r][up + 1]};
        ace_deliver_two(p.out, ace_line_of(p, m + r), first, second, both, value, beside);
    }
}

/* All sums of a block's tile; `shared` is that of the stages, whose last one may still be read. */
template <typename T>
__device__ static inline void
ace_deliver_tile(const ace_cuda_product &p, const ace_sums<T, float> &sums, unsigned char *shared)
{
    static_assert(sizeof(ace_slice<T>) * (T::THREADS / ACE_WARP) <= T::BYTES, "in place of stages");
    int warp = (int)threadIdx.x / ACE_WARP;
    ace_slice<T> &slice = ((ace_slice<T> *)shared)[warp];
    int64_t m = p.first + (int64_t)blockIdx.x * T::M + warp / T::ACROSS * T::WARP_M;
    __syncthreads();
#pragma unroll
    for (int i = 0; i < T::MMA_M; i += 2) {
        ace_fill_slice(sums, i, slice);
        __syncwarp();
        ace_deliver_slice<T>(p, m + 16 * i, slice);
        __syncwarp();
    }
}

#endif
