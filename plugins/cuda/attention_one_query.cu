/* Attention of a single query, as a language model decodes: bound by reading keys and values, each
 * of which is read once, for all heads that share it.
 *
 * Lanes lie side by side along a key, 16 bytes each, so that a warp reads two keys of 128 numbers
 * or four of 64 at once, and several such loads are under way before the first is needed. Such a
 * row of lanes has a running softmax of its own over the keys that it comes by; they are brought
 * together at the end. Keys and values of 8 bits come by 8 bytes. Any card can do this. */
#include "attention.cuh"

enum { WARPS = 4, THREADS = WARPS * ACE_WARP, EACH = 8 /* numbers of a lane */ };

/* What a lane has of one head. */
typedef struct head_state {
    float peak, total;
    float sum[EACH];
} head_state;

/* Word w of 16 bytes; indices are constants once loops are unrolled. */
__device__ static inline unsigned word_of(const uint4 &v, int w)
{
    return w == 0 ? v.x : w == 1 ? v.y : w == 2 ? v.z : v.w;
}

__device__ static inline float ace_number_of(const uint4 &v, int i)
{
    unsigned w = word_of(v, i / 2);
    return __uint_as_float(i % 2 == 0 ? w << 16 : w & 0xffff0000u);
}

/* Eight numbers: 16 bytes of bf16, or 8 of int8. */
template <typename EIGHT>
__device__ static inline EIGHT load(const ace_tensor &t, int64_t row, int64_t column, bool there)
{
    const EIGHT *at =
        (const EIGHT *)(t.addr + (uint64_t)(row * t.row_stride + column) * (sizeof(EIGHT) / EACH));
    return there ? *at : EIGHT{};
}

/* Over `lanes` neighbouring lanes, a power of two. */
__device__ static inline float sum_of_lanes(float v, int lanes)
{
    for (int step = lanes / 2; step > 0; step /= 2) {
        v += __shfl_xor_sync(ACE_ALL_LANES, v, step);
    }
    return v;
}

/* Weights of some keys, in place of their scores; sums so far are brought to the new peak. */
template <int KEYS> __device__ static void weigh(head_state &h, float (&score)[KEYS])
{
    float peak = h.peak;
#pragma unroll
    for (int u = 0; u < KEYS; u++) {
        peak = fmaxf(peak, score[u]);
    }
    float base = peak == -INFINITY ? 0.0f : peak; /* nothing seen yet: all weights are 2^-∞ */
    float fade = exp2f(h.peak - base);
    h.peak = peak;
    h.total *= fade;
#pragma unroll
    for (int c = 0; c < EACH; c++) {
        h.sum[c] *= fade;
    }
#pragma unroll
    for (int u = 0; u < KEYS; u++) {
        score[u] = exp2f(score[u] - base);
        h.total += score[u];
    }
}

/* Lanes of the same columns, `lanes` apart, become one. */
__device__ static void unite_lanes(head_state &h, int lanes)
{
    for (int step = lanes; step < ACE_WARP; step *= 2) {
        float peak = fmaxf(h.peak, __shfl_xor_sync(ACE_ALL_LANES, h.peak, step));
        float fade = peak == -INFINITY ? 0.0f : exp2f(h.peak - peak);
        h.peak = peak;
        h.total *= fade;
        h.total += __shfl_xor_sync(ACE_ALL_LANES, h.total, step);
#pragma unroll
        for (int c = 0; c < EACH; c++) {
            h.sum[c] *= fade;
            h.sum[c] += __shfl_xor_sync(ACE_ALL_LANES, h.sum[c], step);
        }
    }
}

/* Column c of a head, from all warps. */
template <int DIM>
__device__ static void write(const ace_cuda_attention &a, int64_t item, int64_t head, int split,
                             int c, const float (*peaks)[2], const float (*sums)[DIM])
{
    float peak = -INFINITY;
    for (int w = 0; w < WARPS; w++) {
        peak = fmaxf(peak, peaks[w][0]);
    }
    float total = 0;
    float sum = 0;
    for (int w = 0; w < WARPS; w++) {
        float fade = peak == -INFINITY ? 0.0f : exp2f(peaks[w][0] - peak);
        total = fmaf(fade, peaks[w][1], total);
        sum = fmaf(fade, sums[w][c], sum);
    }
    if (a.splits == 1) {
        ace_put(a.y, a.first + item, head * a.head_dim + c, total != 0 ? sum / total : 0.0f);
        return;
    }
    float *partial = ace_partial_of(a, item, 0, head, split);
    partial[2 + c] = sum;
    if (c == 0) {
        partial[0] = peak;
        partial[1] = total;
    }
}

template <int DIM, int HEADS, typename EIGHT>
__global__ static void __launch_bounds__(THREADS) attend_one(ace_cuda_attention a)
{
    const int LANES = DIM / EACH;         /* of a key */
    const int ABREAST = ACE_WARP / LANES; /* keys that a warp reads at once */
    const int LOADS = HEADS <= 4 ? 4 : 2; /* under way; with eight heads registers end */
    const int STRIP = ABREAST * LOADS;    /* keys of a warp's turn */
    const bool IS_INT8 = sizeof(EIGHT) == EACH;
    __shared__ float sums[HEADS][WARPS][DIM];
    __shared__ float peaks[HEADS][WARPS][2];
    int lane = (int)(threadIdx.x % ACE_WARP);
    int warp = (int)(threadIdx.x / ACE_WARP);
    int column = lane % LANES * EACH;
    int64_t key_head = blockIdx.y;
    int64_t item = blockIdx.z / a.splits;
    int split = (int)(blockIdx.z % a.splits);
    bool is_inside = column < a.head_dim;
    float q[HEADS][EACH];
    head_state state[HEADS];
#pragma unroll
    for (int h = 0; h < HEADS; h++) {
        uint4 of_head =
            load<uint4>(a.q, a.first + item, (key_head * a.group + h) * a.head_dim + column,
                        is_inside && h < a.group);
#pragma unroll
        for (int c = 0; c < EACH; c++) {
            q[h][c] = ace_number_of(of_head, c) * (a.scale * ACE_LOG2_E);
        }
        state[h] = head_state{-INFINITY, 0.0f, {}};
    }
    ace_key_place at = ace_place_of_keys(a, item, key_head);
    ace_key_range keys = ace_keys_of_block(a, item, 0, 0, split, WARPS * STRIP);
    const uint8_t *mask = a.kv_mask != nullptr ? a.kv_mask + item * a.kv_len : nullptr;
    for (int first = keys.first + warp * STRIP; first < keys.end; first += WARPS * STRIP) {
        EIGHT k[LOADS], v[LOADS];
        float k_scale[LOADS], v_scale[LOADS]; /* of int8 */
        bool seen[LOADS];
#pragma unroll
        for (int u = 0; u < LOADS; u++) {
            int j = first + u * ABREAST + lane / LANES;
            seen[u] = j < keys.end && (mask == nullptr || mask[j] != 0);
            int64_t row = ace_row_of_key(at, j);
            k[u] = load<EIGHT>(a.k, row, at.column + column, is_inside && seen[u]);
            v[u] = load<EIGHT>(a.v, row, at.column + column, is_inside && seen[u]);
            if (IS_INT8) {
                k_scale[u] = seen[u] ? a.k_scale[row] : 0.0f;
                v_scale[u] = seen[u] ? a.v_scale[row] : 0.0f;
            }
        }
#pragma unroll
        for (int h = 0; h < HEADS; h++) {
            float weight[LOADS];
#pragma unroll
            for (int u = 0; u < LOADS; u++) {
                float sum = 0;
#pragma unroll
                for (int c = 0; c < EACH; c++) {
                    sum = fmaf(q[h][c], ace_number_of(k[u], c), sum);
                }
                sum = sum_of_lanes(sum, LANES);
                if (IS_INT8) {
                    sum *= k_scale[u];
                }
                weight[u] = seen[u] ? sum : -INFINITY;
            }
            weigh<LOADS>(state[h], weight);
#pragma unroll
            for (int u = 0; u < LOADS; u++) {
                if (IS_INT8) {
                    weight[u] *= v_scale[u];
                }
#pragma unroll
                for (int c = 0; c < EACH; c++) {
                    state[h].sum[c] = fmaf(weight[u], ace_number_of(v[u], c), state[h].sum[c]);
                }
            }
        }
    }
#pragma unroll
    for (int h = 0; h < HEADS; h++) {
        unite_lanes(state[h], LANES);
        if (lane < LANES) {
#pragma unroll
            for (int c = 0; c < EACH; c++) {
                sums[h][warp][column + c] = state[h].sum[c];
            }
        }
        if (lane == 0) {
            peaks[h][warp][0] = state[h].peak;
            peaks[h][warp][1] = state[h].total;
        }
    }
    __syncthreads();
    for (int i = (int)threadIdx.x; i < a.group * DIM; i += THREADS) {
        int h = i / DIM;
        if (i % DIM < a.head_dim) {
            write<DIM>(a, item, key_head * a.group + h, split, i % DIM, peaks[h], sums[h]);
        }
    }
}

template <int DIM, int HEADS, typename EIGHT>
static void launch(const ace_cuda_attention *a, cudaStream_t stream)
{
    auto kernel = attend_one<DIM, HEADS, EIGHT>;
    dim3 grid(1, (unsigned)a->kv_heads, (unsigned)(a->batch * a->splits));
    ACE_LAUNCH(kernel, grid, dim3(THREADS), stream, *a);
}

template <int DIM, typename EIGHT>
static void launch_heads(const ace_cuda_attention *a, cudaStream_t stream)
{
    int group = a->group;
    if (group == 1) {
        launch<DIM, 1, EIGHT>(a, stream);
    } else if (group == 2) {
        launch<DIM, 2, EIGHT>(a, stream);
    } else if (group <= 4) {
        launch<DIM, 4, EIGHT>(a, stream);
    } else {
        launch<DIM, ACE_CUDA_ONE_QUERY_HEADS, EIGHT>(a, stream);
    }
}

template <typename EIGHT> static void launch_keys(const ace_cuda_attention *a, cudaStream_t stream)
{
    if (a->head_dim <= 64) {
        launch_heads<64, EIGHT>(a, stream);
    } else {
        launch_heads<128, EIGHT>(a, stream);
    }
}

extern "C" void ace_cuda_attend_one_query(const ace_cuda_attention *a, cudaStream_t stream)
{
    if (a->k.dtype == ACE_I8) {
        launch_keys<uint2>(a, stream);
    } else {
        launch_keys<uint4>(a, stream);
    }
}
