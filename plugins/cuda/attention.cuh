/* What the kernels of attention share: which keys a query sees, where they lie, and where the
 * result goes. Scores are kept in units of log 2, so that a weight is a power of two. */
#ifndef ACE_CUDA_ATTENTION_CUH
#define ACE_CUDA_ATTENTION_CUH

#include "numbers.cuh"

#define ACE_LOG2_E 1.44269504f

/* Keys first … end - 1. */
typedef struct ace_key_range {
    int first, end;
} ace_key_range;

/* The keys before `end` that query i may see, the mask aside. Both bounds grow with i. */
__device__ static inline ace_key_range ace_keys_of_query(const ace_cuda_attention &a, int64_t i,
                                                         int64_t end)
{
    int64_t first = 0;
    if (a.causal && i + a.kv_len - a.q_len + 1 < end) {
        end = i + a.kv_len - a.q_len + 1;
    }
    if (a.window > 0) {
        first = i - a.window > 0 ? i - a.window : 0;
        end = i + a.window + 1 < end ? i + a.window + 1 : end;
    }
    return ace_key_range{(int)first, (int)end};
}

/* Keys that any query i … last may see, of which this split takes its share, in whole tiles. It may
 * be empty. */
__device__ static inline ace_key_range ace_keys_of_block(const ace_cuda_attention &a, int64_t item,
                                                         int64_t i, int64_t last, int split,
                                                         int tile)
{
    bool fewer = a.kv_valid != nullptr && a.kv_valid[item] < a.kv_len;
    int64_t there = fewer ? a.kv_valid[item] : a.kv_len;
    int first = ace_keys_of_query(a, i, there).first;
    int end = ace_keys_of_query(a, last, there).end;
    if (a.splits > 1 && first < end) {
        int tiles = (end - first + tile - 1) / tile;
        int share = (tiles + a.splits - 1) / a.splits * tile;
        first += split * share;
        end = first + share < end ? first + share : end;
    }
    return ace_key_range{first, end};
}

/* Where the keys of an item and a key head lie in k and v: key j in row j + first, from key
 * `shared` on in row j + own, from `column` on. */
typedef struct ace_key_place {
    int shared, first, own, column;
} ace_key_place;

__device__ static inline ace_key_place ace_place_of_keys(const ace_cuda_attention &a, int64_t item,
                                                         int64_t key_head)
{
    int rows = (int)(key_head * a.kv_head_rows);
    int column = a.kv_head_rows > 0 ? 0 : (int)(key_head * a.head_dim);
    if (a.kv_rows != nullptr) {
        ace_key_rows r = a.kv_rows[item];
        return ace_key_place{(int)r.shared, rows + (int)r.shared_first,
                             rows + (int)(r.own_first - r.shared), column};
    }
    int64_t block = a.kv_index != nullptr ? a.kv_index[item] : a.first + item;
    return ace_key_place{(int)a.kv_len, (int)(block * a.kv_len), 0, column};
}

__device__ static inline int ace_row_of_key(const ace_key_place &p, int j)
{
    return j + (j < p.shared ? p.first : p.own);
}

/* What a split has of a query and head: its peak, the sum of its weights, then its weighted sums.
 */
__device__ static inline float *ace_partial_of(const ace_cuda_attention &a, int64_t item, int64_t i,
                                               int64_t head, int split)
{
    return a.partial +
           (((item * a.q_len + i) * a.heads + head) * a.splits + split) * (a.head_dim + 2);
}

/* Number i of eight with 8 bits. */
__device__ static inline float ace_number_of(const uint2 &v, int i)
{
    return (float)(int8_t)((i < 4 ? v.x : v.y) >> 8 * (i % 4));
}

#endif
