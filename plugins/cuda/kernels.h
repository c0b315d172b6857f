/* What the host files ask of the kernels: plain C, so that only .cu files need a CUDA compiler.
 *
 * Every function launches on `stream` and returns at once; a refused launch is found by
 * cudaGetLastError. Numbers are f32 or bf16 as the tensors say, sums are f32. Addresses are the
 * device's. */
#ifndef ACE_CUDA_KERNELS_H
#define ACE_CUDA_KERNELS_H

#include "device/device.h"

#include <cuda_runtime_api.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- products -----------------------------------------------------------------------------------
 *
 * A product of M rows by N columns: value(m, n) = Σ_tap Σ_k f(x[row(m, tap), k]) · W[n, tap, k],
 * row(m, tap) = m·stride + tap·dilation - pad, rows outside x are zero, f is Snake or nothing.
 * Linear layers have one tap, a transposed convolution two and scattered results. */

typedef struct ace_cuda_inputs {
    ace_tensor x;
    int64_t stride, dilation, pad;
    ace_tensor alpha, inv_beta; /* or empty */
} ace_cuda_inputs;

/* W as packed: rows of taps · depth numbers, depth = cols rounded up to 16 bytes, zero-filled. */
typedef struct ace_cuda_weights {
    const void *data;
    const float *scales; /* of I8, one per row; else NULL */
    ace_dtype dtype;
    int64_t rows, cols, depth;
    int taps;
} ace_cuda_weights;

/* Where value(m, n) goes. Plain: to y[m, n]. swiglu: columns n and n + N of the matrix are gate and
 * up of y[m, n]. scatter > 0: column n is channel n % C of phase n / C, C = y.cols, and the row of
 * y is m·scatter + n / C - crop; rows outside y are dropped. */
typedef struct ace_cuda_outputs {
    ace_tensor y;
    ace_tensor bias; /* by column of y; or empty */
    ace_tensor gate; /* [groups, y.cols], or empty */
    int accumulate;
    int swiglu;
    int64_t scatter, crop;
} ace_cuda_outputs;

typedef struct ace_cuda_product {
    ace_cuda_inputs in;
    ace_cuda_weights w;
    ace_cuda_outputs out;
    int64_t m, n;  /* n: columns of results; with swiglu half the matrix's rows */
    int64_t first; /* rows are made from this one on: not 0 for chunks on tensor cores only */
} ace_cuda_product;

/* Tiles in shared memory; any size. */
void ace_cuda_tiled_product(const ace_cuda_product *p, cudaStream_t stream);
/* Of linear layers with at most ACE_CUDA_FEW_ROWS rows: all at once, weights are read once. */
enum { ACE_CUDA_FEW_ROWS = 8 };
void ace_cuda_few_rows_product(const ace_cuda_product *p, int processors, cudaStream_t stream);

/* Compute capability from which the next are there (mma.cuh). */
enum { ACE_CUDA_LEAST_TENSOR_CAPABILITY = 80 };
/* bf16 and int8 weights, any size, on tensor cores; inputs are rounded to bf16. `processors` of the
 * card: tiles are as large as leaves each of them one. */
void ace_cuda_tensor_product(const ace_cuda_product *p, int processors, cudaStream_t stream);
/* The same of linear layers with int8 weights and inputs, which come quantised: rows first … m - 1,
 * each of `depth` numbers, and a scale for every ACE_CUDA_INT8_RUN of them. */
enum { ACE_CUDA_INT8_RUN = 128 };
typedef struct ace_cuda_quantised {
    int8_t *data;
    float *scales; /* [rows, runs of the depth] */
} ace_cuda_quantised;
void ace_cuda_quantise(const ace_cuda_product *p, const ace_cuda_quantised *to,
                       cudaStream_t stream);
void ace_cuda_int8_product(const ace_cuda_product *p, const ace_cuda_quantised *x, int processors,
                           cudaStream_t stream);

/* f(x) of `rows` rows of x from `first` on, as bf16 [rows, depth], zeros beyond the columns. */
void ace_cuda_activate(const ace_cuda_product *p, void *to, int64_t first, int64_t rows,
                       cudaStream_t stream);

/* The three passes around a library's product, for m rows from `first` on and n columns from
 * `column` on. Inputs: f(x) as the library reads them, [m, taps · depth], f32 or bf16. */
void ace_cuda_gather(const ace_cuda_product *p, void *to, ace_dtype dtype, int64_t first, int64_t m,
                     cudaStream_t stream);
/* int8 rows `column` … as bf16, scales left out. */
void ace_cuda_widen(const ace_cuda_product *p, void *to, int64_t column, int64_t n,
                    cudaStream_t stream);
/* values f32 [m, n]; ups: the same of the matrix's second half, with swiglu. */
void ace_cuda_finish(const ace_cuda_product *p, const float *values, const float *ups,
                     int64_t first, int64_t m, int64_t column, int64_t n, cudaStream_t stream);

/* ---- attention ------------------------------------------------------------------------------- */

enum { ACE_CUDA_MAX_HEAD = 256, ACE_CUDA_MOST_SPLITS = 32 };

/* Tables are on the device, for `batch` items from `first` on; NULL as in ace_attention. */
typedef struct ace_cuda_attention {
    ace_tensor y, q, k, v;
    int64_t first, batch, q_len, kv_len, heads, kv_heads, head_dim, window, kv_head_rows;
    int group; /* heads that share a key head */
    float scale;
    int causal, uniform_when_hidden;
    const int32_t *kv_valid, *kv_index;
    const ace_key_rows *kv_rows;
    const uint8_t *kv_mask;
    const float *k_scale, *v_scale; /* by row of k and v, which are int8; or both NULL */
    int splits;                     /* runs of keys that blocks of their own take; 1: none */
    float *partial; /* with splits > 1: [batch·q_len·heads, splits, head_dim + 2] */
} ace_cuda_attention;

/* f32 or bf16, and keys of 8 bits; any heads of at most ACE_CUDA_MAX_HEAD. */
void ace_cuda_attend_general(const ace_cuda_attention *a, cudaStream_t stream);
/* The other two: q, k and v bf16 (for one query k and v may be int8), head_dim a multiple of 16 of
 * at most ACE_CUDA_WIDE_HEAD, every head of q, k, v and y at a multiple of 16 bytes. On tensor
 * cores, from capability 8.0 on: */
enum { ACE_CUDA_WIDE_HEAD = 128, ACE_CUDA_FLASH_CAPABILITY = 80 };
void ace_cuda_attend_tensor(const ace_cuda_attention *a, cudaStream_t stream);
/* With q_len 1, at most ACE_CUDA_ONE_QUERY_HEADS heads of a group, no uniform_when_hidden. */
enum { ACE_CUDA_ONE_QUERY_HEADS = 8 };
void ace_cuda_attend_one_query(const ace_cuda_attention *a, cudaStream_t stream);
/* Behind any of them when splits > 1: y from `partial`. */
void ace_cuda_combine_splits(const ace_cuda_attention *a, cudaStream_t stream);

/* ---- rows ------------------------------------------------------------------------------------ */

void ace_cuda_normalize(ace_tensor y, ace_tensor x, const ace_norm *n, cudaStream_t stream);
void ace_cuda_normalize_heads(ace_tensor x, const ace_head_norm *n, cudaStream_t stream);

typedef enum ace_cuda_map {
    ACE_CUDA_COPY,     /* a */
    ACE_CUDA_FILL,     /* value */
    ACE_CUDA_SILU,     /* silu(a) */
    ACE_CUDA_SILU_MUL, /* silu(a)·b */
    ACE_CUDA_ADD       /* a[r / (rows / rows(a))] + b[r % rows(b)] */
} ace_cuda_map;

/* As ace_scatter, but for to->rows, which are on the device. */
void ace_cuda_scatter_rows(ace_tensor y, ace_tensor x, const ace_scatter *to, cudaStream_t stream);

void ace_cuda_mix_columns(ace_tensor y, ace_tensor x, const ace_mix *m, cudaStream_t stream);

void ace_cuda_map_rows(ace_cuda_map what, ace_tensor y, ace_tensor a, ace_tensor b, float value,
                       cudaStream_t stream);

/* ---- choosing -------------------------------------------------------------------------------- */

/* A block for each of n choices, whose lists are on the device, as are they and chosen [n]. */
void ace_cuda_choose_columns(ace_tensor logits, const ace_choice *choices, int n, int32_t *chosen,
                             cudaStream_t stream);

#ifdef __cplusplus
}
#endif

#endif
