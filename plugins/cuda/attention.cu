/* Attention with a running softmax: no matrix of scores in memory.
 *
 * The rows of a block are queries of all heads that share one key head, [query][head of the group]:
 * keys and values are read once for all of them, which is what counts when there is one query only.
 * Each warp has rows of its own. A tile of keys lies in shared memory, then its values in the same
 * place; a lane stands for a key while scores are made, and for columns while values are summed. */
#include "numbers.cuh"

enum { WARPS = 4, KEYS = ACE_WARP };

typedef struct key_range {
    int64_t first, end;
} key_range;

__device__ static bool is_visible(const ace_cuda_attention &a, int64_t item, int64_t i, int64_t j)
{
    return (a.kv_mask == nullptr || a.kv_mask[item * a.kv_len + j] != 0) &&
           (!a.causal || j <= i + a.kv_len - a.q_len) &&
           (a.window == 0 || (i - j <= a.window && j - i <= a.window));
}

/* Keys that any query i … last may see, of which this block takes its share. */
__device__ static key_range keys_for(const ace_cuda_attention &a, int64_t item, int64_t i,
                                     int64_t last, int split)
{
    int64_t first = 0;
    int64_t end = a.kv_len;
    if (a.kv_valid != nullptr && a.kv_valid[item] < end) {
        end = a.kv_valid[item];
    }
    if (a.causal && last + a.kv_len - a.q_len + 1 < end) {
        end = last + a.kv_len - a.q_len + 1;
    }
    if (a.window > 0) {
        first = i - a.window > 0 ? i - a.window : 0;
        end = last + a.window + 1 < end ? last + a.window + 1 : end;
    }
    if (a.splits > 1 && first < end) {
        int64_t tiles = (end - first + KEYS - 1) / KEYS;
        int64_t share = (tiles + a.splits - 1) / a.splits * KEYS;
        first += split * share;
        end = first + share < end ? first + share : end;
    }
    return key_range{first, end};
}

/* Where key j's number c of a key head lies in k or v. */
__device__ static float read_key(const ace_cuda_attention &a, const ace_tensor &t, int64_t item,
                                 int64_t head, int64_t j, int64_t c)
{
    int64_t row;
    if (a.kv_rows != nullptr) {
        ace_key_rows r = a.kv_rows[item];
        row = j < r.shared ? r.shared_first + j : r.own_first + j - r.shared;
    } else {
        row = (a.kv_index != nullptr ? a.kv_index[item] : a.first + item) * a.kv_len + j;
    }
    return a.kv_head_rows > 0 ? ace_get(t, head * a.kv_head_rows + row, c)
                              : ace_get(t, row, head * a.head_dim + c);
}

template <int DIM>
__device__ static void load_tile(const ace_cuda_attention &a, const ace_tensor &t, int64_t item,
                                 int64_t head, int64_t first, int64_t end, float (*to)[DIM + 1])
{
    for (int i = (int)threadIdx.x; i < KEYS * DIM; i += WARPS * ACE_WARP) {
        int64_t j = first + i / DIM;
        int c = i % DIM;
        to[i / DIM][c] = j < end && c < a.head_dim ? read_key(a, t, item, head, j, c) : 0.0f;
    }
}

/* A row of the block: which query and head it is, and what it has summed so far. */
template <int DIM> struct row_state {
    int64_t i, head; /* i < 0: beyond the last */
    float peak, total;
    float sum[DIM / ACE_WARP];
};

/* The weight of this lane's key; sums so far are brought to the new peak. */
template <int DIM> __device__ static float weigh(row_state<DIM> &r, float score)
{
    float peak = fmaxf(r.peak, ace_warp_max(score));
    if (peak == -INFINITY) {
        return 0.0f;
    }
    float weight = expf(score - peak);
    float fade = expf(r.peak - peak);
    r.total = r.total * fade + ace_warp_sum(weight);
#pragma unroll
    for (int c = 0; c < DIM / ACE_WARP; c++) {
        r.sum[c] *= fade;
    }
    r.peak = peak;
    return weight;
}

/* A query that sees nothing averages all keys. */
template <int DIM>
__device__ static void average(const ace_cuda_attention &a, int64_t item, int64_t key_head,
                               row_state<DIM> &r)
{
    int lane = (int)threadIdx.x % ACE_WARP;
    for (int64_t j = 0; j < a.kv_len; j++) {
#pragma unroll
        for (int c = 0; c < DIM / ACE_WARP; c++) {
            int64_t col = lane + c * ACE_WARP;
            r.sum[c] += col < a.head_dim ? read_key(a, a.v, item, key_head, j, col) : 0.0f;
        }
    }
    r.total = (float)a.kv_len;
}

template <int DIM>
__device__ static void write_row(const ace_cuda_attention &a, int64_t item, int split,
                                 const row_state<DIM> &r)
{
    int lane = (int)threadIdx.x % ACE_WARP;
    int64_t row = (a.first + item) * a.q_len + r.i;
    float *partial = a.partial + (((item * a.q_len + r.i) * a.heads + r.head) * a.splits + split) *
                                     (a.head_dim + 2);
    if (a.splits > 1 && lane == 0) {
        partial[0] = r.peak;
        partial[1] = r.total;
    }
#pragma unroll
    for (int c = 0; c < DIM / ACE_WARP; c++) {
        int64_t col = lane + c * ACE_WARP;
        if (col < a.head_dim && a.splits > 1) {
            partial[2 + col] = r.sum[c];
        } else if (col < a.head_dim) {
            ace_put(a.y, row, r.head * a.head_dim + col, r.total > 0 ? r.sum[c] / r.total : 0.0f);
        }
    }
}

template <int DIM, int EACH>
__global__ static void __launch_bounds__(WARPS *ACE_WARP) attend(ace_cuda_attention a)
{
    const int ROWS = WARPS * EACH;
    __shared__ float q[ROWS][DIM];
    __shared__ float tile[KEYS][DIM + 1];
    __shared__ float weight[ROWS][KEYS];
    int lane = (int)threadIdx.x % ACE_WARP;
    int own = (int)threadIdx.x / ACE_WARP * EACH; /* the warp's first row */
    int64_t group = a.heads / a.kv_heads;
    int64_t rows = a.q_len * group;
    int64_t first = (int64_t)blockIdx.x * ROWS;
    int64_t key_head = blockIdx.y;
    int64_t item = blockIdx.z / a.splits;
    int split = (int)(blockIdx.z % a.splits);
    int64_t last = first + ROWS < rows ? first + ROWS - 1 : rows - 1;
    row_state<DIM> state[EACH];
#pragma unroll
    for (int e = 0; e < EACH; e++) {
        int64_t r = first + own + e;
        state[e] = row_state<DIM>{
            r < rows ? r / group : -1, key_head * group + r % group, -INFINITY, 0.0f, {}};
        for (int c = lane; c < DIM; c += ACE_WARP) {
            q[own + e][c] = state[e].i >= 0 && c < a.head_dim
                                ? ace_get(a.q, (a.first + item) * a.q_len + state[e].i,
                                          state[e].head * a.head_dim + c)
                                : 0.0f;
        }
    }
    key_range keys = keys_for(a, item, first / group, last / group, split);
    for (int64_t j = keys.first; j < keys.end; j += KEYS) {
        __syncthreads(); /* the values before are done with; the first time: q is there */
        load_tile<DIM>(a, a.k, item, key_head, j, keys.end, tile);
        __syncthreads();
#pragma unroll
        for (int e = 0; e < EACH; e++) {
            float score = -INFINITY;
            if (state[e].i >= 0 && j + lane < keys.end &&
                is_visible(a, item, state[e].i, j + lane)) {
                float sum = 0;
                for (int c = 0; c < a.head_dim; c++) {
                    sum = fmaf(q[own + e][c], tile[lane][c], sum);
                }
                score = sum * a.scale;
            }
            weight[own + e][lane] = weigh<DIM>(state[e], score);
        }
        __syncthreads();
        load_tile<DIM>(a, a.v, item, key_head, j, keys.end, tile);
        __syncthreads();
#pragma unroll
        for (int e = 0; e < EACH; e++) {
            for (int i = 0; i < KEYS; i++) {
                float w = weight[own + e][i];
#pragma unroll
                for (int c = 0; w > 0 && c < DIM / ACE_WARP; c++) { /* hidden values may be NaN */
                    state[e].sum[c] = fmaf(w, tile[i][lane + c * ACE_WARP], state[e].sum[c]);
                }
            }
        }
    }
#pragma unroll
    for (int e = 0; e < EACH; e++) {
        if (state[e].i < 0) {
            continue;
        }
        if (state[e].total == 0 && a.uniform_when_hidden) {
            average<DIM>(a, item, key_head, state[e]);
        }
        write_row<DIM>(a, item, split, state[e]);
    }
}

/* A warp for each query and head: the splits' sums, brought to one peak. */
__global__ static void __launch_bounds__(WARPS *ACE_WARP) combine(ace_cuda_attention a)
{
    int lane = (int)threadIdx.x % ACE_WARP;
    int64_t at = (int64_t)blockIdx.x * WARPS + threadIdx.x / ACE_WARP;
    if (at >= a.batch * a.q_len * a.heads) {
        return;
    }
    const float *partial = a.partial + at * a.splits * (a.head_dim + 2);
    float peak = -INFINITY;
    for (int s = 0; s < a.splits; s++) {
        peak = fmaxf(peak, partial[s * (a.head_dim + 2)]);
    }
    float total = 0;
    for (int s = 0; s < a.splits; s++) {
        const float *p = partial + s * (a.head_dim + 2);
        total += p[1] > 0 ? p[1] * expf(p[0] - peak) : 0.0f;
    }
    for (int64_t c = lane; c < a.head_dim; c += ACE_WARP) {
        float sum = 0;
        for (int s = 0; s < a.splits; s++) {
            const float *p = partial + s * (a.head_dim + 2);
            sum += p[1] > 0 ? p[2 + c] * expf(p[0] - peak) : 0.0f;
        }
        ace_put(a.y, a.first * a.q_len + at / a.heads, at % a.heads * a.head_dim + c,
                total > 0 ? sum / total : 0.0f);
    }
}

template <int DIM, int EACH> static void launch(const ace_cuda_attention *a, cudaStream_t stream)
{
    auto kernel = attend<DIM, EACH>;
    dim3 grid(ace_blocks(a->q_len * (a->heads / a->kv_heads), WARPS * EACH), (unsigned)a->kv_heads,
              (unsigned)(a->batch * a->splits));
    ACE_LAUNCH(kernel, grid, dim3(WARPS * ACE_WARP), stream, *a);
}

extern "C" void ace_cuda_attend(const ace_cuda_attention *a, cudaStream_t stream)
{
    if (a->head_dim <= 64) {
        launch<64, 4>(a, stream);
    } else if (a->head_dim <= 128) {
        launch<128, 4>(a, stream);
    } else {
        launch<ACE_CUDA_MAX_HEAD, 2>(a, stream);
    }
    if (a->splits > 1) {
        ACE_LAUNCH(combine, dim3(ace_blocks(a->batch * a->q_len * a->heads, WARPS)),
                   dim3(WARPS * ACE_WARP), stream, *a);
    }
}
