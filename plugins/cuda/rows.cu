/* Norms, elementwise operations, scattered rows: as fast as memory. */
#include "chunks.cuh"

enum { BLOCK = 256, WARPS = BLOCK / ACE_WARP };

/* ---- norms
 * --------------------------------------------------------------------------------------- */

/* Over the threads of a block; every thread has the result. */
__device__ static float block_sum(float v)
{
    __shared__ float part[WARPS];
    v = ace_warp_sum(v);
    if (threadIdx.x % ACE_WARP == 0) {
        part[threadIdx.x / ACE_WARP] = v;
    }
    __syncthreads();
    float sum = 0;
    for (int i = 0; i < WARPS; i++) {
        sum += part[i];
    }
    return sum;
}

/* A block for each row. y may be x: every thread reads what it writes itself. */
__global__ static void __launch_bounds__(BLOCK) normalize(ace_tensor y, ace_tensor x, ace_norm n)
{
    int64_t row = blockIdx.x;
    float sum = 0;
    for (int64_t c = threadIdx.x; c < x.cols; c += BLOCK) {
        float v = ace_get(x, row, c);
        sum = fmaf(v, v, sum);
    }
    float inverse = 1.0f / sqrtf(block_sum(sum) / (float)x.cols + n.eps);
    int64_t group = n.scale.addr != 0 ? row / (x.rows / n.scale.rows) : 0;
    for (int64_t c = threadIdx.x; c < x.cols; c += BLOCK) {
        float v = ace_get(x, row, c) * inverse * ace_get(n.weight, 0, c);
        if (n.scale.addr != 0) {
            v = v * (1.0f + ace_get(n.scale, group, c)) + ace_get(n.shift, group, c);
        }
        ace_put(y, row, c, v);
    }
}

/* The same in pieces of eight columns, where all rows have them. */
__global__ static void __launch_bounds__(BLOCK)
    normalize_chunks(ace_tensor y, ace_tensor x, ace_norm n)
{
    int64_t row = blockIdx.x;
    int64_t first = (int64_t)threadIdx.x * ACE_CHUNK;
    float sum = 0;
    for (int64_t c = first; c < x.cols; c += BLOCK * ACE_CHUNK) {
        float v[ACE_CHUNK];
        ace_get_chunk(x, row, c, v);
#pragma unroll
        for (int i = 0; i < ACE_CHUNK; i++) {
            sum = fmaf(v[i], v[i], sum);
        }
    }
    float inverse = 1.0f / sqrtf(block_sum(sum) / (float)x.cols + n.eps);
    int64_t group = n.scale.addr != 0 ? row / (x.rows / n.scale.rows) : 0;
    for (int64_t c = first; c < x.cols; c += BLOCK * ACE_CHUNK) {
        float v[ACE_CHUNK], weight[ACE_CHUNK];
        ace_get_chunk(x, row, c, v);
        ace_get_chunk(n.weight, 0, c, weight);
#pragma unroll
        for (int i = 0; i < ACE_CHUNK; i++) {
            v[i] = v[i] * inverse * weight[i];
        }
        if (n.scale.addr != 0) {
            float scale[ACE_CHUNK], shift[ACE_CHUNK];
            ace_get_chunk(n.scale, group, c, scale);
            ace_get_chunk(n.shift, group, c, shift);
#pragma unroll
            for (int i = 0; i < ACE_CHUNK; i++) {
                v[i] = v[i] * (1.0f + scale[i]) + shift[i];
            }
        }
        ace_put_chunk(y, row, c, v);
    }
}

extern "C" void ace_cuda_normalize(ace_tensor y, ace_tensor x, const ace_norm *n,
                                   cudaStream_t stream)
{
    if (x.cols % ACE_CHUNK == 0 && ace_has_chunks(y) && ace_has_chunks(x) &&
        ace_has_chunks(n->weight) && ace_has_chunks(n->scale) && ace_has_chunks(n->shift)) {
        ACE_LAUNCH(normalize_chunks, dim3((unsigned)x.rows), dim3(BLOCK), stream, y, x, *n);
        return;
    }
    ACE_LAUNCH(normalize, dim3((unsigned)x.rows), dim3(BLOCK), stream, y, x, *n);
}

/* A warp for each head of a row; a lane owns pairs i, i + head_dim / 2. */
__global__ static void __launch_bounds__(BLOCK) normalize_heads(ace_tensor x, ace_head_norm n)
{
    int lane = (int)threadIdx.x % ACE_WARP;
    int64_t at = (int64_t)blockIdx.x * WARPS + threadIdx.x / ACE_WARP;
    int64_t row = at / n.heads;
    int64_t dim = n.weight.cols;
    int64_t first = at % n.heads * dim;
    if (row >= x.rows) {
        return; /* the whole warp */
    }
    float sum = 0;
    for (int64_t i = lane; i < dim; i += ACE_WARP) {
        float v = ace_get(x, row, first + i);
        sum = fmaf(v, v, sum);
    }
    float inverse = 1.0f / sqrtf(ace_warp_sum(sum) / (float)dim + n.eps);
    for (int64_t i = lane; i < dim / 2; i += ACE_WARP) {
        int64_t j = i + dim / 2;
        float a = ace_get(x, row, first + i) * inverse * ace_get(n.weight, 0, i);
        float b = ace_get(x, row, first + j) * inverse * ace_get(n.weight, 0, j);
        if (n.rope.addr != 0) {
            int64_t position = row % n.rope.rows;
            float cosine = ace_get(n.rope, position, i);
            float sine = ace_get(n.rope, position, j);
            float turned = a * cosine - b * sine;
            b = b * cosine + a * sine;
            a = turned;
        }
        ace_put(x, row, first + i, a);
        ace_put(x, row, first + j, b);
    }
}

extern "C" void ace_cuda_normalize_heads(ace_tensor x, const ace_head_norm *n, cudaStream_t stream)
{
    ACE_LAUNCH(normalize_heads, dim3(ace_blocks(x.rows * n->heads, WARPS)), dim3(BLOCK), stream, x,
               *n);
}

/* ---- elementwise
 * --------------------------------------------------------------------------------- */

/* The rows of a and b that row r of y comes from. */
__device__ static int64_t row_of_a(int what, const ace_tensor &y, const ace_tensor &a, int64_t r)
{
    return what == ACE_CUDA_ADD ? r / (y.rows / a.rows) : r;
}

__device__ static int64_t row_of_b(int what, const ace_tensor &b, int64_t r)
{
    return what == ACE_CUDA_ADD ? r % b.rows : r;
}

__device__ static float map(int what, float a, float b)
{
    switch (what) {
    case ACE_CUDA_SILU:
        return ace_silu(a);
    case ACE_CUDA_SILU_MUL:
        return ace_silu(a) * b;
    case ACE_CUDA_ADD:
        return a + b;
    default:
        return a;
    }
}

__global__ static void __launch_bounds__(ACE_PASS_THREADS)
    map_rows(int across, int what, ace_tensor y, ace_tensor a, ace_tensor b, float value)
{
    int64_t r = ace_pass_row(across);
    for (int64_t c = ace_pass_column(across); r < y.rows && c < y.cols;
         c += ace_pass_step(across)) {
        float of_a = a.addr != 0 ? ace_get(a, row_of_a(what, y, a, r), c) : value;
        float of_b = b.addr != 0 ? ace_get(b, row_of_b(what, b, r), c) : 0.0f;
        ace_put(y, r, c, map(what, of_a, of_b));
    }
}

/* The same in pieces of eight columns, where all rows have them. */
__global__ static void __launch_bounds__(ACE_PASS_THREADS)
    map_chunks(int across, int what, ace_tensor y, ace_tensor a, ace_tensor b, float value)
{
    int64_t r = ace_pass_row(across);
    for (int64_t n = ace_pass_column(across); r < y.rows && n < y.cols / ACE_CHUNK;
         n += ace_pass_step(across)) {
        float of_a[ACE_CHUNK], of_b[ACE_CHUNK] = {};
#pragma unroll
        for (int i = 0; i < ACE_CHUNK; i++) {
            of_a[i] = value;
        }
        if (a.addr != 0) {
            ace_get_chunk(a, row_of_a(what, y, a, r), n * ACE_CHUNK, of_a);
        }
        if (b.addr != 0) {
            ace_get_chunk(b, row_of_b(what, b, r), n * ACE_CHUNK, of_b);
        }
#pragma unroll
        for (int i = 0; i < ACE_CHUNK; i++) {
            of_a[i] = map(what, of_a[i], of_b[i]);
        }
        ace_put_chunk(y, r, n * ACE_CHUNK, of_a);
    }
}

extern "C" void ace_cuda_map_rows(ace_cuda_map what, ace_tensor y, ace_tensor a, ace_tensor b,
                                  float value, cudaStream_t stream)
{
    if (y.cols % ACE_CHUNK == 0 && ace_has_chunks(y) && ace_has_chunks(a) && ace_has_chunks(b)) {
        ace_pass pass = ace_pass_over(y.rows, y.cols / ACE_CHUNK);
        ACE_LAUNCH(map_chunks, pass.grid, dim3(ACE_PASS_THREADS), stream, pass.across, (int)what, y,
                   a, b, value);
        return;
    }
    ace_pass pass = ace_pass_over(y.rows, y.cols);
    ACE_LAUNCH(map_rows, pass.grid, dim3(ACE_PASS_THREADS), stream, pass.across, (int)what, y, a, b,
               value);
}

__device__ static inline int64_t scattered_row(const ace_scatter &to, int64_t r)
{
    return to.rows != nullptr ? to.rows[r] : to.first + r;
}

__global__ static void __launch_bounds__(ACE_PASS_THREADS)
    scatter_rows(int across, ace_tensor y, ace_tensor x, ace_scatter to)
{
    int64_t r = ace_pass_row(across);
    for (int64_t c = ace_pass_column(across); r < x.rows && c < x.cols;
         c += ace_pass_step(across)) {
        ace_put(y, c / y.cols * to.head_rows + scattered_row(to, r), c % y.cols, ace_get(x, r, c));
    }
}

/* The same as int8: a warp for every head of a row. */
__global__ static void __launch_bounds__(ACE_PASS_THREADS)
    round_rows(ace_tensor y, ace_tensor x, ace_scatter to)
{
    const float least = 0x1p-100f; /* below it 127 / peak may be infinite */
    int64_t heads = y.rows / to.head_rows;
    int64_t i = (int64_t)blockIdx.x * (ACE_PASS_THREADS / ACE_WARP) + threadIdx.x / ACE_WARP;
    int lane = (int)(threadIdx.x % ACE_WARP);
    if (i >= x.rows * heads) {
        return;
    }
    int64_t r = i / heads;
    int64_t head = i % heads;
    float peak = 0;
    float flaw = 0; /* 0 times what is no number is NaN */
    for (int64_t c = lane; c < y.cols; c += ACE_WARP) {
        float v = ace_get(x, r, head * y.cols + c);
        peak = fmaxf(peak, fabsf(v));
        flaw = fmaf(v, 0.0f, flaw);
    }
    peak = ace_warp_max(peak) + ace_warp_sum(flaw);
    int64_t row = head * to.head_rows + scattered_row(to, r);
    if (lane == 0) {
        ace_put(to.scale, row, 0, peak < least ? 0.0f : peak / 127.0f);
    }
    float factor = peak >= least ? 127.0f / peak : 0.0f;
    int8_t *numbers = (int8_t *)y.addr + row * y.row_stride;
    for (int64_t c = lane; c < y.cols; c += ACE_WARP) {
        float number = rintf(ace_get(x, r, head * y.cols + c) * factor);
        numbers[c] = number == number ? (int8_t)number : (int8_t)0;
    }
}

extern "C" void ace_cuda_scatter_rows(ace_tensor y, ace_tensor x, const ace_scatter *to,
                                      cudaStream_t stream)
{
    if (to->scale.addr != 0) {
        unsigned blocks =
            ace_blocks(x.rows * (y.rows / to->head_rows), ACE_PASS_THREADS / ACE_WARP);
        ACE_LAUNCH(round_rows, dim3(blocks), dim3(ACE_PASS_THREADS), stream, y, x, *to);
        return;
    }
    ace_pass pass = ace_pass_over(x.rows, x.cols);
    ACE_LAUNCH(scatter_rows, pass.grid, dim3(ACE_PASS_THREADS), stream, pass.across, y, x, *to);
}
