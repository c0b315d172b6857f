/* Attention: brings the host's tables to the card, as many items at a time as fit, and decides by
 * which kernel, and whether the keys are shared out between blocks. */
#include "base/checked.h"
#include "cuda_device.h"

/* A kernel, and what sharing out its keys goes by. */
typedef struct way {
    void (*attend)(const ace_cuda_attention *, cudaStream_t);
    int64_t block_rows; /* queries × heads of a group that a block takes */
    int64_t blocks;     /* a multiprocessor should have */
    int64_t split_keys; /* the least worth a block */
} way;

static const way general = {ace_cuda_attend_general, 16, 2, 64};
static const way tensor = {ace_cuda_attend_tensor, 64, 2, 128};
static const way one_query = {ace_cuda_attend_one_query, ACE_CUDA_ONE_QUERY_HEADS, 4, 64};

/* Whether every head of every row begins at a multiple of 16 bytes. */
static bool is_aligned(ace_tensor t)
{
    return t.addr % 16 == 0 && (size_t)t.row_stride * ace_dtype_bytes(t.dtype) % 16 == 0;
}

static const way *way_for(const ace_cuda *cuda, const ace_cuda_attention *a)
{
    bool is_int8 = a->k.dtype == ACE_I8;
    bool is_wide = a->q.dtype == ACE_BF16 && (is_int8 || a->k.dtype == ACE_BF16) &&
                   a->head_dim % 16 == 0 && a->head_dim <= ACE_CUDA_WIDE_HEAD && is_aligned(a->q) &&
                   is_aligned(a->k) && is_aligned(a->v) && is_aligned(a->y);
    if (!cuda->flash_attention || !is_wide) {
        return &general;
    }
    if (a->q_len == 1 && a->group <= ACE_CUDA_ONE_QUERY_HEADS && !a->uniform_when_hidden) {
        return &one_query;
    }
    return cuda->capability >= ACE_CUDA_FLASH_CAPABILITY && !is_int8 ? &tensor : &general;
}

/* Bytes of one item's row in each table, and where the tables of `batch` items begin. */
static size_t table_bytes(const ace_attention *a)
{
    return (a->kv_valid != NULL ? sizeof *a->kv_valid : 0) +
           (a->kv_index != NULL ? sizeof *a->kv_index : 0) +
           (a->kv_rows != NULL ? sizeof *a->kv_rows : 0) +
           (a->kv_mask != NULL ? (size_t)a->kv_len : 0);
}

/* One table to the card behind those before; NULL stays NULL. */
static const void *send(ace_cuda *cuda, unsigned char **at, const void *table, size_t item_bytes,
                        int64_t first, int64_t n)
{
    if (table == NULL) {
        return NULL;
    }
    const unsigned char *from = table;
    return ace_cuda_send_table(cuda, at, from + item_bytes * (size_t)first, item_bytes * (size_t)n);
}

/* Few queries and many keys: without this a handful of blocks would read all of them. */
static int splits_for(const ace_cuda *cuda, const ace_cuda_attention *a, const way *by)
{
    int64_t rows = a->q_len * a->group;
    int64_t blocks = (rows + by->block_rows - 1) / by->block_rows * a->kv_heads * a->batch;
    int64_t keys = a->window > 0 && 2 * a->window + 1 < a->kv_len ? 2 * a->window + 1 : a->kv_len;
    int64_t splits = by->blocks * cuda->processors / blocks;
    splits = splits < keys / by->split_keys ? splits : keys / by->split_keys;
    splits = splits < ACE_CUDA_MOST_SPLITS ? splits : ACE_CUDA_MOST_SPLITS;
    int64_t each = a->batch * a->q_len * a->heads * (a->head_dim + 2) * (int64_t)sizeof(float);
    splits = splits < ACE_CUDA_SPLIT_BYTES / each ? splits : ACE_CUDA_SPLIT_BYTES / each;
    return a->uniform_when_hidden || splits < 2 ? 1 : (int)splits;
}

void ace_cuda_attention_op(ace_device *device, ace_tensor y, ace_tensor q, ace_tensor k,
                           ace_tensor v, const ace_attention *a)
{
    ace_cuda *cuda = ace_cuda_of(device);
    if (!ace_cuda_may_launch(cuda)) {
        return;
    }
    /* 64: each of the four tables may begin up to 15 bytes later; the grid's z is 16 bits */
    size_t item = table_bytes(a);
    int64_t most = item > 0 ? (int64_t)((ACE_CUDA_TABLE_BYTES - 64) / item) : a->batch;
    most = most < 32768 / ACE_CUDA_MOST_SPLITS ? most : 32768 / ACE_CUDA_MOST_SPLITS;
    if (a->head_dim > ACE_CUDA_MAX_HEAD || most < 1) {
        ace_cuda_give_up(cuda,
                         "attention with heads of %lld and %lld keys is more than its kernel "
                         "can do",
                         (long long)a->head_dim, (long long)a->kv_len);
        return;
    }
    for (int64_t first = 0; first < a->batch; first += most) {
        int64_t n = a->batch - first < most ? a->batch - first : most;
        unsigned char *at = cuda->area.tables;
        ace_cuda_attention args = {.y = y,
                                   .q = q,
                                   .k = k,
                                   .v = v,
                                   .first = first,
                                   .batch = n,
                                   .q_len = a->q_len,
                                   .kv_len = a->kv_len,
                                   .heads = a->heads,
                                   .kv_heads = a->kv_heads,
                                   .head_dim = a->head_dim,
                                   .window = a->window,
                                   .kv_head_rows = a->kv_head_rows,
                                   .k_scale = (const float *)(uintptr_t)a->k_scale.addr,
                                   .v_scale = (const float *)(uintptr_t)a->v_scale.addr,
                                   .group = (int)(a->heads / a->kv_heads),
                                   .scale = a->scale,
                                   .causal = a->causal,
                                   .uniform_when_hidden = a->uniform_when_hidden};
        args.kv_rows = send(cuda, &at, a->kv_rows, sizeof *a->kv_rows, first, n);
        args.kv_valid = send(cuda, &at, a->kv_valid, sizeof *a->kv_valid, first, n);
        args.kv_index = send(cuda, &at, a->kv_index, sizeof *a->kv_index, first, n);
        args.kv_mask = send(cuda, &at, a->kv_mask, (size_t)a->kv_len, first, n);
        const way *by = way_for(cuda, &args);
        args.splits = splits_for(cuda, &args, by);
        args.partial = (float *)(void *)cuda->area.split;
        by->attend(&args, cuda->compute);
        if (args.splits > 1) {
            ace_cuda_combine_splits(&args, cuda->compute);
        }
    }
    ace_cuda_launched(cuda, "attention");
}
