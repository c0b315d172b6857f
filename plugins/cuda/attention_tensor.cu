/* Attention on tensor cores, after FlashAttention-2 (Dao 2023, arXiv 2307.08691): scores, weights
 * and sums stay in registers, keys and values pass through shared memory once for 64 rows.
 *
 * Rows are [query][head of the group], so that all heads that share a key head read it together. A
 * warp has 16 of them: a lane 4·g + t holds columns 2t and 2t + 1 of every eight of rows g and
 * g + 8 (mma.cuh). While one tile of keys and values is computed with, the next one is copied. */
#include "attention.cuh"
#include "mma.cuh"

enum {
    WARPS = 4,
    THREADS = WARPS * ACE_WARP,
    WARP_ROWS = 16,
    ROWS = WARPS * WARP_ROWS,
    CHUNK = 8,          /* numbers in 16 bytes */
    TILE_NUMBERS = 4096 /* two tiles of keys and two of values: 32 KiB */
};

template <int DIM> struct shape {
    static const int KEYS = TILE_NUMBERS / DIM;
    static const int ACROSS = DIM / CHUNK; /* chunks of a row */
};

/* Where a chunk of a tile's row lies. Eight rows that are read together have the same chunk in
 * eight different groups of banks. Chunks 2s and 2s + 1 lie at the place of chunks 0 and 1, ^ 16·s.
 */
template <int DIM> __device__ static inline int place(int row, int chunk)
{
    return row * DIM + (chunk ^ row % CHUNK) * CHUNK;
}

/* What this lane has of two of its warp's rows. */
typedef struct lane_rows {
    float peak[2], total[2];
} lane_rows;

/* What the block is about, for all lanes. It lies in shared memory: registers are short. */
typedef struct block_work {
    int item, split;
    int first; /* row */
    ace_key_range keys;
    ace_key_range all[WARPS], some[WARPS]; /* keys that every row, that any row of a warp sees */
    ace_key_place at;
    const uint8_t *mask; /* of the item, or null */
} block_work;

/* Rows behind the last one count as rows of the last query. */
__device__ static inline int query_of(const ace_cuda_attention &a, int row)
{
    int last = (int)a.q_len - 1;
    int query = row / a.group;
    return query < last ? query : last;
}

/* The last rows come first: with `causal` they have the most to do. */
__device__ static void find_work(const ace_cuda_attention &a, int tile, block_work *to)
{
    int item = (int)(blockIdx.z / a.splits);
    int split = (int)(blockIdx.z % a.splits);
    int first = (int)(gridDim.x - 1 - blockIdx.x) * ROWS;
    ace_key_range keys =
        ace_keys_of_block(a, item, query_of(a, first), query_of(a, first + ROWS - 1), split, tile);
    if (threadIdx.x == 0) {
        to->item = item;
        to->split = split;
        to->first = first;
        to->keys = keys;
        to->at = ace_place_of_keys(a, item, blockIdx.y);
        to->mask = a.kv_mask != nullptr ? a.kv_mask + item * a.kv_len : nullptr;
    }
    if (threadIdx.x < WARPS) {
        int row = first + (int)threadIdx.x * WARP_ROWS;
        ace_key_range top = ace_keys_of_query(a, query_of(a, row), keys.end);
        ace_key_range bottom = ace_keys_of_query(a, query_of(a, row + WARP_ROWS - 1), keys.end);
        to->all[threadIdx.x] = ace_key_range{bottom.first, top.end};
        to->some[threadIdx.x] = ace_key_range{top.first, bottom.end};
    }
    __syncthreads();
}

/* This lane's row i, of two. */
__device__ static inline int row_of(const block_work &work, int i)
{
    int lane = (int)(threadIdx.x % ACE_WARP);
    return work.first + (int)(threadIdx.x / ACE_WARP) * WARP_ROWS + lane / 4 + 8 * i;
}

/* The queries as fragments of mma's a, from memory. */
template <int DIM>
__device__ static void load_queries(const ace_cuda_attention &a, const block_work &work,
                                    unsigned (&q)[DIM / 16][4])
{
    int pair = 2 * (int)(threadIdx.x % 4);
#pragma unroll
    for (int i = 0; i < 2; i++) {
        int64_t row = (a.first + work.item) * a.q_len + query_of(a, row_of(work, i));
        int64_t head = (int)blockIdx.y * a.group + row_of(work, i) % a.group;
        const uint16_t *at =
            (const uint16_t *)a.q.addr + row * a.q.row_stride + head * a.head_dim + pair;
#pragma unroll
        for (int s = 0; s < DIM / 16; s++) {
            bool is_inside = 16 * s < a.head_dim;
            q[s][i] = is_inside ? *(const unsigned *)(at + 16 * s) : 0u;
            q[s][i + 2] = is_inside ? *(const unsigned *)(at + 16 * s + 8) : 0u;
        }
    }
}

/* A tile of keys and values from key `first` on, on its way. Those that nobody sees become zeros:
 * they may be anything in memory, and a weight of zero would not silence NaN. */
template <int DIM>
__device__ static void copy_tile(const ace_cuda_attention &a, const block_work &work, int first,
                                 uint16_t *k, uint16_t *v)
{
    const int ACROSS = shape<DIM>::ACROSS;
    int chunk = (int)(threadIdx.x % ACROSS);
    int64_t column = work.at.column + chunk * CHUNK;
#pragma unroll 2 /* all at once would take registers that the sums have */
    for (int i = 0; i < shape<DIM>::KEYS; i += THREADS / ACROSS) {
        int row = i + (int)(threadIdx.x / ACROSS);
        int j = first + row;
        bool there = j < work.keys.end && chunk * CHUNK < a.head_dim &&
                     (work.mask == nullptr || work.mask[j] != 0);
        int64_t from = ace_row_of_key(work.at, j);
        int to = place<DIM>(row, chunk);
        ace_copy_late(k + to, (const uint16_t *)a.k.addr + from * a.k.row_stride + column, there);
        ace_copy_late(v + to, (const uint16_t *)a.v.addr + from * a.v.row_stride + column, there);
    }
}

/* score = q · kᵀ for 16 rows; score[n] is the fragment of keys 8n … 8n + 7. */
template <int DIM>
__device__ static void multiply_keys(const unsigned (&q)[DIM / 16][4], const uint16_t *k,
                                     float (&score)[shape<DIM>::KEYS / 8][4])
{
    int lane = (int)(threadIdx.x % ACE_WARP);
    int from = place<DIM>(lane / 16 * 8 + lane % 8, lane / 8 % 2);
#pragma unroll
    for (int n = 0; n < shape<DIM>::KEYS / 16; n++) {
#pragma unroll
        for (int i = 0; i < 4; i++) {
            score[2 * n][i] = 0;
            score[2 * n + 1][i] = 0;
        }
#pragma unroll
        for (int s = 0; s < DIM / 16; s++) {
            unsigned b[4];
            ace_load_matrices(b, k + 16 * n * DIM + (from ^ 16 * s));
            const unsigned low[2] = {b[0], b[1]};
            const unsigned high[2] = {b[2], b[3]};
            ace_mma_bf16(score[2 * n], q[s], low);
            ace_mma_bf16(score[2 * n + 1], q[s], high);
        }
    }
}

/* Scores in units of log 2; of keys that a row does not see, -∞. */
template <int KEYS>
__device__ static void scale_and_hide(const ace_cuda_attention &a, const block_work &work,
                                      int first, float (&score)[KEYS / 8][4])
{
    const ace_key_range &all = work.all[threadIdx.x / ACE_WARP];
    const uint8_t *mask = work.mask;
    int pair = 2 * (int)(threadIdx.x % 4);
    float scale = a.scale * ACE_LOG2_E;
#pragma unroll
    for (int n = 0; n < KEYS / 8; n++) {
#pragma unroll
        for (int i = 0; i < 4; i++) {
            score[n][i] *= scale;
        }
    }
    if (mask == nullptr && all.first <= first && first + KEYS <= all.end) {
        return;
    }
#pragma unroll
    for (int i = 0; i < 2; i++) {
        ace_key_range sees = ace_keys_of_query(a, query_of(a, row_of(work, i)), work.keys.end);
#pragma unroll
        for (int n = 0; n < KEYS / 8; n++) {
#pragma unroll
            for (int c = 0; c < 2; c++) {
                int j = first + 8 * n + pair + c;
                bool seen = sees.first <= j && j < sees.end && (mask == nullptr || mask[j] != 0);
                score[n][2 * i + c] = seen ? score[n][2 * i + c] : -INFINITY;
            }
        }
    }
}

/* Over the four lanes that share a row. */
__device__ static inline float row_max(float v)
{
    v = fmaxf(v, __shfl_xor_sync(ACE_ALL_LANES, v, 1));
    return fmaxf(v, __shfl_xor_sync(ACE_ALL_LANES, v, 2));
}

__device__ static inline float row_sum(float v)
{
    v += __shfl_xor_sync(ACE_ALL_LANES, v, 1);
    return v + __shfl_xor_sync(ACE_ALL_LANES, v, 2);
}

/* Weights in place of scores; sums so far are brought to the new peaks. */
template <int DIM, int KEYS>
__device__ static void weigh(lane_rows &r, float (&score)[KEYS / 8][4], float (&sum)[DIM / 8][4])
{
#pragma unroll
    for (int i = 0; i < 2; i++) {
        float peak = r.peak[i];
#pragma unroll
        for (int n = 0; n < KEYS / 8; n++) {
            peak = fmaxf(peak, fmaxf(score[n][2 * i], score[n][2 * i + 1]));
        }
        peak = row_max(peak);
        float base = peak == -INFINITY ? 0.0f : peak; /* nothing seen yet: all weights are 2^-∞ */
        float fade = exp2f(r.peak[i] - base);
        r.peak[i] = peak;
        r.total[i] *= fade;
#pragma unroll
        for (int n = 0; n < KEYS / 8; n++) {
            score[n][2 * i] = exp2f(score[n][2 * i] - base);
            score[n][2 * i + 1] = exp2f(score[n][2 * i + 1] - base);
            r.total[i] += score[n][2 * i] + score[n][2 * i + 1];
        }
#pragma unroll
        for (int n = 0; n < DIM / 8; n++) {
            sum[n][2 * i] *= fade;
            sum[n][2 * i + 1] *= fade;
        }
    }
}

/* sum += weight · v: the weights of 16 keys, two fragments of d, are one of a. */
template <int DIM>
__device__ static void add_values(const float (&weight)[shape<DIM>::KEYS / 8][4], const uint16_t *v,
                                  float (&sum)[DIM / 8][4])
{
    int lane = (int)(threadIdx.x % ACE_WARP);
    int from = place<DIM>(lane % 16, lane / 16);
#pragma unroll
    for (int n = 0; n < shape<DIM>::KEYS / 16; n++) {
        const float(&near)[4] = weight[2 * n];
        const float(&far)[4] = weight[2 * n + 1];
        const unsigned p[4] = {ace_pair_bf16(near[0], near[1]), ace_pair_bf16(near[2], near[3]),
                               ace_pair_bf16(far[0], far[1]), ace_pair_bf16(far[2], far[3])};
#pragma unroll
        for (int c = 0; c < DIM / 16; c++) {
            unsigned b[4];
            ace_load_matrices_turned(b, v + 16 * n * DIM + (from ^ 16 * c));
            const unsigned low[2] = {b[0], b[1]};
            const unsigned high[2] = {b[2], b[3]};
            ace_mma_bf16(sum[2 * c], p, low);
            ace_mma_bf16(sum[2 * c + 1], p, high);
        }
    }
}

/* The mean of all kv_len values, the same for every row of the block, by way of `room`. */
template <int DIM>
__device__ static void average(const ace_cuda_attention &a, const ace_key_place &at,
                               float (*room)[DIM])
{
    const int ACROSS = shape<DIM>::ACROSS;
    const int DOWN = THREADS / ACROSS;
    int column = (int)(threadIdx.x % ACROSS) * CHUNK;
    float sum[CHUNK] = {};
    for (int j = (int)(threadIdx.x / ACROSS); column < a.head_dim && j < a.kv_len; j += DOWN) {
#pragma unroll
        for (int c = 0; c < CHUNK; c++) {
            sum[c] += ace_get(a.v, ace_row_of_key(at, j), at.column + column + c);
        }
    }
#pragma unroll
    for (int c = 0; c < CHUNK; c++) {
        room[threadIdx.x / ACROSS][column + c] = sum[c];
    }
    __syncthreads();
    if (threadIdx.x < DIM) {
        float all = 0;
        for (int i = 0; i < DOWN; i++) {
            all += room[i][threadIdx.x];
        }
        room[0][threadIdx.x] = all / (float)a.kv_len;
    }
    __syncthreads();
}

/* Rows that have seen nothing get the mean. */
template <int DIM>
__device__ static void average_hidden(const ace_cuda_attention &a, const ace_key_place &at,
                                      lane_rows &r, float (&sum)[DIM / 8][4], float (*room)[DIM],
                                      int *is_needed)
{
    bool hidden = r.total[0] == 0 || r.total[1] == 0;
    __syncthreads(); /* all are done with the tiles, whose place `room` takes */
    if (threadIdx.x == 0) {
        *is_needed = 0;
    }
    __syncthreads();
    if (hidden) {
        *is_needed = 1;
    }
    __syncthreads();
    if (*is_needed == 0) {
        return;
    }
    average<DIM>(a, at, room);
    int pair = 2 * (int)(threadIdx.x % 4);
#pragma unroll
    for (int i = 0; i < 2; i++) {
        if (r.total[i] == 0) {
            r.total[i] = 1;
#pragma unroll
            for (int n = 0; n < DIM / 8; n++) {
                sum[n][2 * i] = room[0][8 * n + pair];
                sum[n][2 * i + 1] = room[0][8 * n + pair + 1];
            }
        }
    }
}

/* Two neighbouring columns, of every eight of a row. */
template <int DIM>
__device__ static void write_bf16(uint16_t *to, int head_dim, const float (&sum)[DIM / 8][4], int i,
                                  float share)
{
#pragma unroll
    for (int n = 0; n < DIM / 8; n++) {
        if (8 * n < head_dim) {
            *(unsigned *)(to + 8 * n) =
                ace_pair_bf16(sum[n][2 * i] * share, sum[n][2 * i + 1] * share);
        }
    }
}

template <int DIM>
__device__ static void write_f32(float *to, int head_dim, const float (&sum)[DIM / 8][4], int i,
                                 float share)
{
#pragma unroll
    for (int n = 0; n < DIM / 8; n++) {
        if (8 * n < head_dim) {
            to[8 * n] = sum[n][2 * i] * share;
            to[8 * n + 1] = sum[n][2 * i + 1] * share;
        }
    }
}

/* What a row has seen: into y, or for the other splits' results to be added. */
template <int DIM>
__device__ static void write_rows(const ace_cuda_attention &a, const block_work &work,
                                  const lane_rows &r, const float (&sum)[DIM / 8][4])
{
    int head_dim = (int)a.head_dim;
    int pair = 2 * (int)(threadIdx.x % 4);
#pragma unroll
    for (int i = 0; i < 2; i++) {
        int query = row_of(work, i) / a.group;
        int64_t head = (int)blockIdx.y * a.group + row_of(work, i) % a.group;
        if (query >= a.q_len) {
            continue;
        }
        float share = r.total[i] != 0 ? 1.0f / r.total[i] : 0.0f;
        int64_t at =
            ((a.first + work.item) * a.q_len + query) * a.y.row_stride + head * head_dim + pair;
        if (a.splits > 1) {
            float *partial = ace_partial_of(a, work.item, query, head, work.split);
            write_f32<DIM>(partial + 2 + pair, head_dim, sum, i, 1.0f);
            if (pair == 0) {
                partial[0] = r.peak[i];
                partial[1] = r.total[i];
            }
        } else if (a.y.dtype == ACE_BF16) {
            write_bf16<DIM>((uint16_t *)a.y.addr + at, head_dim, sum, i, share);
        } else {
            write_f32<DIM>((float *)a.y.addr + at, head_dim, sum, i, share);
        }
    }
}

template <int DIM>
__global__ static void __launch_bounds__(THREADS, 3) attend_tiles(ace_cuda_attention a)
{
    const int KEYS = shape<DIM>::KEYS;
    alignas(16) __shared__ uint16_t k[2][TILE_NUMBERS];
    alignas(16) __shared__ uint16_t v[2][TILE_NUMBERS];
    __shared__ block_work work;
    __shared__ int average_is_needed;
    find_work(a, KEYS, &work);
    if (work.keys.first < work.keys.end) {
        copy_tile<DIM>(a, work, work.keys.first, k[0], v[0]);
    }
    ace_end_group();
    int warp = (int)(threadIdx.x / ACE_WARP);
    lane_rows rows = {{-INFINITY, -INFINITY}, {0.0f, 0.0f}};
    unsigned q[DIM / 16][4];
    load_queries<DIM>(a, work, q);
    float sum[DIM / 8][4] = {};
    int turn = 0;
    for (int j = work.keys.first; j < work.keys.end; j += KEYS, turn ^= 1) {
        ace_wait_groups<0>();
        __syncthreads(); /* this tile is there for all, and all are done with the one before */
        if (j + KEYS < work.keys.end) {
            copy_tile<DIM>(a, work, j + KEYS, k[turn ^ 1], v[turn ^ 1]);
        }
        ace_end_group();
        if (work.some[warp].end <= j || j + KEYS <= work.some[warp].first) {
            continue; /* nobody in this warp sees any of it */
        }
        float score[KEYS / 8][4];
        multiply_keys<DIM>(q, k[turn], score);
        scale_and_hide<KEYS>(a, work, j, score);
        weigh<DIM, KEYS>(rows, score, sum);
        add_values<DIM>(score, v[turn], sum);
    }
    rows.total[0] = row_sum(rows.total[0]);
    rows.total[1] = row_sum(rows.total[1]);
    if (a.uniform_when_hidden) {
        average_hidden<DIM>(a, work.at, rows, sum, (float(*)[DIM])(void *)k, &average_is_needed);
    }
    write_rows<DIM>(a, work, rows, sum);
}

template <int DIM> static void launch(const ace_cuda_attention *a, cudaStream_t stream)
{
    auto kernel = attend_tiles<DIM>;
    dim3 grid(ace_blocks(a->q_len * a->group, ROWS), (unsigned)a->kv_heads,
              (unsigned)(a->batch * a->splits));
    ACE_LAUNCH(kernel, grid, dim3(THREADS), stream, *a);
}

extern "C" void ace_cuda_attend_tensor(const ace_cuda_attention *a, cudaStream_t stream)
{
    if (a->head_dim <= 64) {
        launch<64>(a, stream);
    } else {
        launch<128>(a, stream);
    }
}
