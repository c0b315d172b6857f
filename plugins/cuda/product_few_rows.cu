/* Linear layers of a few rows, as when the language model writes: what takes time is to read the
 * weights, once. A warp takes a row or two of the matrix, or a part of their depth where there are
 * too few to fill the card; its lanes share out the depth in pieces of 16 bytes, several of which
 * they have under way. Inputs lie in shared memory as f32, a chunk of the depth at a time. */
#include "product.cuh"

enum {
    WARPS = 8,
    THREADS = WARPS * ACE_WARP,
    MOST_INPUTS = 8192, /* of a chunk: 32 KB */
    PIECES_UNDER_WAY = 4,
    WARPS_OF_PROCESSOR = 16 /* at least, of one row or two each: they have 32 KB under way */
};

/* A row or two of the matrix for a warp: gate and up, or columns next to each other, which then
 * share what is read of the inputs. */
template <typename W, bool PAIR, int ROWS> struct few {
    static const int LINES = PAIR || ROWS > 1 ? 2 : 1;
    static const int COLUMNS = PAIR ? 1 : LINES; /* of results */
    static const int SIZE = (int)(16 / sizeof(W));
    static const int CHUNK = MOST_INPUTS / ROWS < 4096 ? MOST_INPUTS / ROWS : 4096;
    static const int PIECES = CHUNK / SIZE;
    static const int AHEAD = PIECES_UNDER_WAY / LINES;
};

/* ---- inputs ---------------------------------------------------------------------------------- */

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

/* Fours of numbers: [row][which four of a piece][piece], so that lanes read next to each other. */
template <typename F> using staged = float4[F::SIZE / 4][F::PIECES];

template <typename F, typename W, int ROWS>
__device__ static inline void stage_inputs(const ace_cuda_product &p, int64_t first,
                                           staged<F> (&to)[ROWS])
{
    int n = (int)(p.w.depth - first < F::CHUNK ? p.w.depth - first : F::CHUNK);
#pragma unroll
    for (int m = 0; m < ROWS; m++) {
        for (int k = (int)threadIdx.x; k < n; k += THREADS) {
            float *four = (float *)&to[m][k % F::SIZE / 4][k / F::SIZE];
            four[k % 4] = plain_input<W>(p, m, first + k);
        }
    }
}

/* ---- weights --------------------------------------------------------------------------------- */

__device__ static inline void widen_word(unsigned word, float *to, float)
{
    to[0] = __uint_as_float(word);
}

__device__ static inline void widen_word(unsigned word, float *to, uint16_t)
{
    to[0] = __uint_as_float(word << 16);
    to[1] = __uint_as_float(word & 0xffff0000u);
}

__device__ static inline void widen_word(unsigned word, float *to, int8_t)
{
    float bytes[4];
    ace_widen_bytes(word, bytes);
#pragma unroll
    for (int i = 0; i < 4; i++) {
        to[i] = bytes[i];
    }
}

template <typename W> __device__ static inline void widen_piece(const uint4 &piece, float *to)
{
    const int each = 4 / sizeof(W);
    widen_word(piece.x, to, W());
    widen_word(piece.y, to + each, W());
    widen_word(piece.z, to + 2 * each, W());
    widen_word(piece.w, to + 3 * each, W());
}

/* Adds a piece of each line times that of each row of the inputs. */
template <typename F, typename W, int ROWS>
__device__ static inline void multiply(const uint4 (&weights)[F::LINES], const staged<F> (&x)[ROWS],
                                       int piece, float (&sum)[ROWS * F::LINES])
{
    float w[F::LINES][F::SIZE];
#pragma unroll
    for (int l = 0; l < F::LINES; l++) {
        widen_piece<W>(weights[l], w[l]);
    }
#pragma unroll
    for (int m = 0; m < ROWS; m++) {
#pragma unroll
        for (int i = 0; i < F::SIZE / 4; i++) {
            float4 v = x[m][i][piece];
#pragma unroll
            for (int l = 0; l < F::LINES; l++) {
                float &s = sum[m * F::LINES + l];
                s = fmaf(w[l][4 * i], v.x, s);
                s = fmaf(w[l][4 * i + 1], v.y, s);
                s = fmaf(w[l][4 * i + 2], v.z, s);
                s = fmaf(w[l][4 * i + 3], v.w, s);
            }
        }
    }
}

/* ---- sums ------------------------------------------------------------------------------------ */

/* Each of N numbers, a power of two, summed over lanes that differ in the bits below 2·STEP; of
 * them, lane l has number l / (2·STEP / N). A lane gives away half of what it still has, until one
 * number is left. */
template <int N, int STEP = ACE_WARP / 2>
__device__ static inline float sums_of_warp(const float (&v)[N])
{
    if constexpr (N == 1) {
        float sum = v[0];
#pragma unroll
        for (int step = STEP; step > 0; step /= 2) {
            sum += __shfl_xor_sync(ACE_ALL_LANES, sum, step);
        }
        return sum;
    } else {
        bool upper = (threadIdx.x & STEP) != 0;
        float half[N / 2];
#pragma unroll
        for (int i = 0; i < N / 2; i++) {
            float given = upper ? v[i] : v[i + N / 2];
            half[i] = upper ? v[i + N / 2] : v[i];
            half[i] += __shfl_xor_sync(ACE_ALL_LANES, given, STEP);
        }
        return sums_of_warp<N / 2, STEP / 2>(half);
    }
}

/* Warps that share a line bring parts of its sums. */
template <typename F, int ROWS>
__device__ static inline void deliver(const ace_cuda_product &p, int shared_by,
                                      const float (*part)[ROWS * F::LINES])
{
    const int each = ROWS * F::COLUMNS; /* results of a group of warps */
    int groups = WARPS / shared_by;
    for (int i = (int)threadIdx.x; i < groups * each; i += THREADS) {
        int group = i / each;
        int m = i % each / F::COLUMNS;
        int column = i % F::COLUMNS;
        int64_t n = ((int64_t)blockIdx.x * groups + group) * F::COLUMNS + column;
        float value = 0.0f;
        float up = 0.0f;
        for (int w = group * shared_by; w < (group + 1) * shared_by; w++) {
            value += part[w][m * F::LINES + column];
            up += part[w][m * F::LINES + F::LINES - 1];
        }
        if (m < p.m && n < p.n) {
            ace_deliver(p, m, n, value, up);
        }
    }
}

/* ---- the product ----------------------------------------------------------------------------- */

/* The lane's pieces of a chunk: from `first` on, every `step`-th, AHEAD at a time. */
template <typename F>
__device__ static inline void fetch(const uint4 *const (&line)[F::LINES], int64_t chunk, int first,
                                    int step, int end, uint4 (&to)[F::AHEAD][F::LINES])
{
#pragma unroll
    for (int i = 0; i < F::AHEAD; i++) {
#pragma unroll
        for (int l = 0; l < F::LINES; l++) {
            int piece = first + i * step;
            to[i][l] = piece < end ? line[l][chunk + piece] : uint4{0, 0, 0, 0};
        }
    }
}

template <typename W, bool PAIR, int ROWS>
__global__ static void __launch_bounds__(THREADS) few_rows(ace_cuda_product p, int shared_by)
{
    typedef few<W, PAIR, ROWS> F;
    __shared__ staged<F> x[ROWS];
    __shared__ float part[WARPS][ROWS * F::LINES];
    int warp = (int)threadIdx.x / ACE_WARP;
    int lane = (int)threadIdx.x % ACE_WARP;
    int64_t n = ((int64_t)blockIdx.x * WARPS + warp) / shared_by * F::COLUMNS;
    int own = warp % shared_by * ACE_WARP + lane;
    int step = shared_by * ACE_WARP;
    const uint4 *line[F::LINES];
#pragma unroll
    for (int l = 0; l < F::LINES; l++) {
        int64_t column = n + (PAIR ? 0 : l) < p.n ? n + (PAIR ? 0 : l) : p.n - 1; /* any */
        line[l] = (const uint4 *)ace_weight_row<W>(p, column + (PAIR ? l * p.n : 0), 0);
    }
    float sum[ROWS * F::LINES] = {};
    for (int64_t k = 0; k < p.w.depth; k += F::CHUNK) {
        int64_t left = (p.w.depth - k) / F::SIZE;
        int end = (int)(left < F::PIECES ? left : F::PIECES);
        uint4 weights[F::AHEAD][F::LINES];
        fetch<F>(line, k / F::SIZE, own, step, end, weights);
        __syncthreads(); /* all have left the chunk before */
        stage_inputs<F, W, ROWS>(p, k, x);
        __syncthreads();
        for (int piece = own; piece < end; piece += F::AHEAD * step) {
#pragma unroll
            for (int i = 0; i < F::AHEAD; i++) {
                if (piece + i * step < end) {
                    multiply<F, W, ROWS>(weights[i], x, piece + i * step, sum);
                }
            }
            fetch<F>(line, k / F::SIZE, piece + F::AHEAD * step, step, end, weights);
        }
    }
    float total = sums_of_warp(sum);
    const int lanes = ACE_WARP / (ROWS * F::LINES);
    if (lane % lanes == 0) {
        part[warp][lane / lanes] = total;
    }
    __syncthreads();
    deliver<F, ROWS>(p, shared_by, part);
}

/* How many warps share a line: as many as fill the card, while each lane has two pieces. */
static int choose_sharing(int64_t warps, int64_t pieces, int processors)
{
    int by = 1;
    while (by < WARPS && warps * by < (int64_t)processors * WARPS_OF_PROCESSOR &&
           pieces >= (int64_t)4 * by * ACE_WARP) {
        by *= 2;
    }
    return by;
}

template <typename W, bool PAIR, int ROWS>
static void launch_rows(const ace_cuda_product *p, int processors, cudaStream_t stream)
{
    typedef few<W, PAIR, ROWS> F;
    auto kernel = few_rows<W, PAIR, ROWS>;
    int64_t warps = (p->n + F::COLUMNS - 1) / F::COLUMNS;
    int by = choose_sharing(warps, p->w.depth / F::SIZE, processors);
    ACE_LAUNCH(kernel, dim3(ace_blocks(warps * by, WARPS)), dim3(THREADS), stream, *p, by);
}

template <typename W, bool PAIR>
static void launch(const ace_cuda_product *p, int processors, cudaStream_t stream)
{
    p->m == 1   ? launch_rows<W, PAIR, 1>(p, processors, stream)
    : p->m == 2 ? launch_rows<W, PAIR, 2>(p, processors, stream)
    : p->m <= 4 ? launch_rows<W, PAIR, 4>(p, processors, stream)
                : launch_rows<W, PAIR, ACE_CUDA_FEW_ROWS>(p, processors, stream);
}

extern "C" void ace_cuda_few_rows_product(const ace_cuda_product *p, int processors,
                                          cudaStream_t stream)
{
    ACE_BY_WEIGHTS(p, launch, p, processors, stream);
}
