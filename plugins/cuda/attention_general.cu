/* Attention of any numbers and any heads, on every card: a running softmax, no matrix of scores in
 * memory.
 *
 * The rows of a block are queries of all heads that share one key head, [query][head of the group]:
 * keys and values are read once for all of them, which is what counts when there is one query only.
 * Each warp has rows of its own. A tile of keys lies in shared memory, then its values in the same
 * place; a lane stands for a key while scores are made, and for columns while values are summed. */
#include "attention.cuh"
#include "chunks.cuh"

enum { WARPS = 4, KEYS = ACE_WARP };

/* Eight numbers of a row of int8, those before `end`. */
__device__ static void get_int8(const ace_tensor &t, int64_t row, int column, int64_t end,
                                float (&to)[ACE_CHUNK])
{
    const int8_t *from = (const int8_t *)t.addr + row * t.row_stride + column;
    if ((uint64_t)from % ACE_CHUNK == 0 && column + ACE_CHUNK <= end) {
        uint2 eight = *(const uint2 *)from;
#pragma unroll
        for (int c = 0; c < ACE_CHUNK; c++) {
            to[c] = ace_number_of(eight, c);
        }
        return;
    }
#pragma unroll
    for (int c = 0; c < ACE_CHUNK; c++) {
        to[c] = column + c < end ? (float)from[c] : 0.0f;
    }
}

template <int DIM>
__device__ static void load_tile(const ace_cuda_attention &a, const ace_tensor &t,
                                 const ace_key_place &at, int first, int end, float (*to)[DIM + 1])
{
    bool chunks = ace_has_chunks(t) && a.head_dim % ACE_CHUNK == 0;
    for (int i = (int)threadIdx.x; i < KEYS * DIM / ACE_CHUNK; i += WARPS * ACE_WARP) {
        int row = i / (DIM / ACE_CHUNK);
        int column = i % (DIM / ACE_CHUNK) * ACE_CHUNK;
        int64_t from = ace_row_of_key(at, first + row);
        float numbers[ACE_CHUNK] = {};
        if (t.dtype == ACE_I8) {
            if (first + row < end && column < a.head_dim) {
                get_int8(t, from, column, a.head_dim, numbers);
            }
        } else if (chunks && first + row < end && column < a.head_dim) {
            ace_get_chunk(t, from, at.column + column, numbers);
        } else if (first + row < end) {
#pragma unroll
            for (int c = 0; c < ACE_CHUNK; c++) {
                numbers[c] =
                    column + c < a.head_dim ? ace_get(t, from, at.column + column + c) : 0.0f;
            }
        }
#pragma unroll
        for (int c = 0; c < ACE_CHUNK; c++) {
            to[row][column + c] = numbers[c];
        }
    }
}

/* A row of the block: which query and head it is, and what it has summed so far. */
template <int DIM> struct row_state {
    int64_t i, head; /* i < 0: beyond the last */
    ace_key_range sees;
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
    float weight = exp2f(score - peak);
    float fade = exp2f(r.peak - peak);
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
__device__ static void average(const ace_cuda_attention &a, const ace_key_place &at,
                               row_state<DIM> &r)
{
    int lane = (int)threadIdx.x % ACE_WARP;
    for (int j = 0; j < a.kv_len; j++) {
#pragma unroll
        for (int c = 0; c < DIM / ACE_WARP; c++) {
            int64_t col = lane + c * ACE_WARP;
            r.sum[c] +=
                col < a.head_dim ? ace_get(a.v, ace_row_of_key(at, j), at.column + col) : 0.0f;
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
    float *partial = ace_partial_of(a, item, r.i, r.head, split);
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
            ace_put(a.y, row, r.head * a.head_dim + col, r.total != 0 ? r.sum[c] / r.total : 0.0f);
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
    int64_t rows = a.q_len * a.group;
    int64_t first = (int64_t)blockIdx.x * ROWS;
    int64_t key_head = blockIdx.y;
    int64_t item = blockIdx.z / a.splits;
    int split = (int)(blockIdx.z % a.splits);
    int64_t last = first + ROWS < rows ? first + ROWS - 1 : rows - 1;
    ace_key_place at = ace_place_of_keys(a, item, key_head);
    ace_key_range keys = ace_keys_of_block(a, item, first / a.group, last / a.group, split, KEYS);
    const uint8_t *mask = a.kv_mask != nullptr ? a.kv_mask + item * a.kv_len : nullptr;
    row_state<DIM> state[EACH];
#pragma unroll
    for (int e = 0; e < EACH; e++) {
        int64_t r = first + own + e;
        state[e] = row_state<DIM>{r < rows ? r / a.group : -1,
                                  key_head * a.group + r % a.group,
                                  ace_keys_of_query(a, r / a.group, keys.end),
                                  -INFINITY,
                                  0.0f,
                                  {}};
        for (int c = lane; c < DIM; c += ACE_WARP) {
            q[own + e][c] = state[e].i >= 0 && c < a.head_dim
                                ? ace_get(a.q, (a.first + item) * a.q_len + state[e].i,
                                          state[e].head * a.head_dim + c)
                                : 0.0f;
        }
    }
    for (int j = keys.first; j < keys.end; j += KEYS) {
        __syncthreads(); /* the values before are done with; the first time: q is there */
        load_tile<DIM>(a, a.k, at, j, keys.end, tile);
        __syncthreads();
#pragma unroll
        for (int e = 0; e < EACH; e++) {
            float score = -INFINITY;
            if (state[e].i >= 0 && state[e].sees.first <= j + lane &&
                j + lane < state[e].sees.end && (mask == nullptr || mask[j + lane] != 0)) {
                float sum = 0;
                for (int c = 0; c < a.head_dim; c++) {
                    sum = fmaf(q[own + e][c], tile[lane][c], sum);
                }
                score = sum * (a.scale * ACE_LOG2_E);
                if (a.k_scale != nullptr) {
                    score *= a.k_scale[ace_row_of_key(at, j + lane)];
                }
            }
            float w = weigh<DIM>(state[e], score);
            if (a.v_scale != nullptr && w != 0) { /* the scale of a hidden value may be NaN */
                w *= a.v_scale[ace_row_of_key(at, j + lane)];
            }
            weight[own + e][lane] = w;
        }
        __syncthreads();
        load_tile<DIM>(a, a.v, at, j, keys.end, tile);
        __syncthreads();
#pragma unroll
        for (int e = 0; e < EACH; e++) {
            for (int i = 0; i < KEYS; i++) {
                float w = weight[own + e][i];
#pragma unroll
                for (int c = 0; w != 0 && c < DIM / ACE_WARP; c++) { /* hidden values may be NaN */
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
            average<DIM>(a, at, state[e]);
        }
        write_row<DIM>(a, item, split, state[e]);
    }
}

template <int DIM, int EACH> static void launch(const ace_cuda_attention *a, cudaStream_t stream)
{
    auto kernel = attend<DIM, EACH>;
    dim3 grid(ace_blocks(a->q_len * a->group, WARPS * EACH), (unsigned)a->kv_heads,
              (unsigned)(a->batch * a->splits));
    ACE_LAUNCH(kernel, grid, dim3(WARPS * ACE_WARP), stream, *a);
}

extern "C" void ace_cuda_attend_general(const ace_cuda_attention *a, cudaStream_t stream)
{
    if (a->head_dim <= 64) {
        launch<64, 4>(a, stream);
    } else if (a->head_dim <= 128) {
        launch<128, 4>(a, stream);
    } else {
        launch<ACE_CUDA_MAX_HEAD, 2>(a, stream);
    }
}
