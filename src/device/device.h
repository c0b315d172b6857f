/* The device: memory plus about a dozen operations. Model code is written once against this
 * interface and runs on every device: `cpu` computes, `measure` only counts bytes.
 *
 * A device is driven by one thread at a time. The operations of the table may trust their arguments:
 * src/device/ops.c has checked shapes and types. Device addresses are numbers to everyone but the
 * device itself. Nothing in the table may know about a model. */
#ifndef ACE_DEVICE_DEVICE_H
#define ACE_DEVICE_DEVICE_H

#include "base/dtype.h"
#include "base/status.h"
#include "device/choice.h"
#include "device/tensor.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ace_device ace_device;

/* ---- weights of a product or a convolution, prepacked into the device's own layout ----------- */

typedef struct ace_matrix_shape {
    int64_t rows;     /* output features, N */
    int64_t cols;     /* input features of one tap, K */
    int taps;         /* 1 for a linear layer; the kernel size of a convolution */
    ace_dtype dtype;  /* ACE_F32, ACE_BF16, ACE_I8 (symmetric, one scale per row) */
    bool int8_inputs; /* of an I8 matrix: the inputs may be rounded to 8 bits, each run of at least
                         128 columns of a row with a scale of its own; else they keep at least the
                         precision of bf16 */
    bool swiglu; /* rows are [gate; up], each rows / 2: the product yields silu(gate)·up, so its
                        output has rows / 2 columns; or gate and up as they are, into an output of
                        rows columns */
} ace_matrix_shape;

typedef struct ace_matrix {
    ace_matrix_shape shape;
    uint64_t addr;
    size_t bytes;
} ace_matrix;

/* A run of consecutive rows of a matrix, read in place from a mapped file:
 * element (row, col, tap) = data[row·row_stride + col·col_stride + tap·tap_stride]
 *                           · row_scale[row] · col_scale[col]. */
typedef struct ace_matrix_part {
    const char *name; /* for messages */
    const void *data; /* NULL on a device that only measures */
    ace_dtype dtype;  /* F32, BF16, F16, I8, or a block type (then a plain linear layer,
                         contiguous). I8 with row_scale alone goes into an I8 matrix as it is */
    int64_t rows;
    int64_t row_stride, col_stride, tap_stride; /* elements */
    const float *row_scale, *col_scale;         /* NULL: 1 */
} ace_matrix_part;

/* ---- arguments of the operations ------------------------------------------------------------- */

/* y = epilogue(x · Wᵀ): value = product + bias, then
 *   plain       y = value
 *   accumulate  y = y + gate ⊙ value   (gate absent: 1)
 * gate [groups, N]: row r of y uses gate row r / (rows / groups). With a swiglu matrix only plain is
 * defined, without bias. */
typedef struct ace_epilogue {
    ace_tensor bias; /* f32 [1, N], or empty */
    bool accumulate;
    ace_tensor gate; /* f32 [groups, N], or empty */
} ace_epilogue;

/* x̂ = x · rsqrt(mean(x²) + eps) · weight, then y = x̂ · (1 + scale) + shift when those are given
 * ([groups, cols], as the gate above). */
typedef struct ace_norm {
    ace_tensor weight; /* f32 [1, cols] */
    float eps;
    ace_tensor scale, shift; /* f32 [groups, cols], or both empty */
} ace_norm;

/* Per-head RMS norm, then rotary embedding, in place. x [rows, heads · head_dim]; row r has position
 * r % positions. The table holds cos in columns 0 … head_dim/2 - 1 and sin in the rest; lanes i and
 * i + head_dim/2 form a pair (the "NEOX" halves of Qwen3). */
typedef struct ace_head_norm {
    int64_t heads;
    ace_tensor weight; /* f32 [1, head_dim] */
    float eps;
    ace_tensor rope; /* f32 [positions, head_dim], or empty: no rotation */
} ace_head_norm;

/* Where the keys of one item lie when they are no block: keys 0 … shared - 1 in the rows from
 * shared_first on, the rest in the rows from own_first on. Items may share the former: the prompt
 * of several sequences is stored once. */
typedef struct ace_key_rows {
    int64_t shared_first, shared;
    int64_t own_first;
} ace_key_rows;

/* Softmax attention, one head after another, no score matrix in memory.
 * q, y [batch·q_len, heads·head_dim]; k, v [kv_batch·kv_len, kv_heads·head_dim]. Query head h reads
 * key head h / (heads / kv_heads). */
typedef struct ace_attention {
    int64_t batch, q_len, kv_len;
    int64_t heads, kv_heads, head_dim;
    float scale;
    bool causal;             /* key j ≤ query i + kv_len - q_len */
    int64_t window;          /* keys with |i - j| ≤ window; 0: all */
    const int32_t *kv_valid; /* host [batch]: keys that exist for each item; NULL: kv_len */
    const int32_t *kv_index; /* host [batch]: which block of kv_len rows of k and v an item reads;
                                 NULL: its own */
    const ace_key_rows *kv_rows; /* host [batch]: k and v are pools of rows of any number, and this
                                    says which an item reads; NULL: blocks. Neither kv_index nor
                                    uniform_when_hidden go with it */
    int64_t kv_head_rows;        /* with kv_rows: k and v are [kv_heads·kv_head_rows, head_dim], a
                                 pool for each key head, so that a head's keys are one run of
                                 memory; 0: heads side by side */
    ace_tensor k_scale, v_scale; /* f32 [rows of k, 1], with kv_head_rows: k and v are I8, and row r
                                    stands for its numbers times scale[r]; or both empty */
    const uint8_t *kv_mask;      /* host [batch, kv_len]: 0 hides a key; NULL: none hidden */
    bool uniform_when_hidden; /* a query whose keys are all hidden averages all kv_len keys, as the
                                 original's finite mask value does; else it yields zeros */
} ace_attention;

/* Channels-last 1-D convolution as a batch of products over taps. x [n_in, C_in], y [n_out, N]:
 *   y[i] = Σ_tap W_tap · f(x[i·stride + tap·dilation - pad])      rows outside x are zero
 * f is Snake when alpha and inv_beta are given: f(v) = v + inv_beta·sin²(alpha·v)
 * (BigVGAN / Oobleck; alpha = e^α, inv_beta = 1/(e^β + 1e-9), both f32 [1, C_in]). */
typedef struct ace_conv {
    int64_t stride, dilation, pad;
    ace_tensor snake_alpha, snake_inv_beta; /* or both empty */
} ace_conv;

/* Transposed convolution with kernel 2·stride, padding `crop` on both sides, output n_in·stride rows.
 * Each output row hears two taps: y[t] with t + crop = i·stride + r is
 *   W_{r} · f(x[i]) + W_{r+stride} · f(x[i-1]).
 * The matrix has rows = stride·C_out, in the order [r][C_out], and 2 taps: tap 0 is W_{r+stride} (it
 * reads x[i-1]), tap 1 is W_r. Only stride - crop ≤ crop ≤ stride are asked for. */
typedef struct ace_conv_transpose {
    int64_t stride, crop;
    ace_tensor snake_alpha, snake_inv_beta;
    ace_tensor bias; /* f32 [1, C_out], or empty */
} ace_conv_transpose;

/* Rows to places in a pool for each head: y [heads·head_rows, cols], x [n, heads·cols]. Row rows[i]
 * of head h's pool gets x[i, h·cols … (h + 1)·cols - 1], converted as a copy is.
 *
 * With scale, y is I8, and every row of it is rounded by itself: scale = max|x| / 127, and y is the
 * whole number nearest to x / scale. A row of zeros, and of numbers below 2^-100, has scale 0; one
 * with a NaN or an infinity in it has scale NaN, and any numbers. */
typedef struct ace_scatter {
    int64_t head_rows;
    const int64_t *rows; /* host [n], all different; NULL: first, first + 1, … */
    int64_t first;
    ace_tensor scale; /* f32 [rows of y, 1], or empty */
} ace_scatter;

/* Blocks of columns mixed by a small matrix, the second half of a product with a Kronecker product
 * (model/kronecker.h). x is weight.cols blocks of n columns side by side, y weight.rows blocks:
 *   value[r, i·n + j] = Σ_m weight[i, m] · x[r, m·n + j]
 *   y = gate ⊙ value, or y + gate ⊙ value   (gate absent: 1)
 * No weight: value = x, and y may be x. gate as in ace_epilogue. */
typedef struct ace_mix {
    ace_tensor weight; /* f32, or empty */
    ace_tensor gate;   /* f32 [groups, columns of y], or empty */
    bool accumulate;
} ace_mix;

/* What a device does with the operations of a step. */
typedef enum ace_step_state {
    ACE_STEP_ISSUE,   /* runs them as always and keeps nothing */
    ACE_STEP_RECORD,  /* keeps them, and runs them when the step ends */
    ACE_STEP_REPLAYED /* has run them as they were kept: nothing is to be issued */
} ace_step_state;

/* Device memory as it is now, in bytes. */
typedef struct ace_device_memory {
    size_t total; /* of the device */
    size_t free;  /* what this program could still reserve */
    size_t held;  /* what it has reserved */
} ace_device_memory;

/* ---- watching -------------------------------------------------------------------------------- */

/* One operation that is over, as a profiler hears of it. */
typedef struct ace_operation {
    const char *name;      /* "linear", "attention", …: static */
    ace_tensor x, y;       /* what was read (attention: the queries) and written */
    int64_t keys;          /* attention: of an item; else 0 */
    int taps;              /* of a product; 0: no matrix */
    ace_dtype matrix;      /* of a product */
    double flops;          /* as the stream counts them */
    double read, written;  /* bytes, each operand once */
    double started, ended; /* ace_clock_seconds() */
} ace_operation;

typedef struct ace_watch {
    void (*heard)(void *context, const ace_operation *);
    void *context;
} ace_watch;

/* ---- the table ------------------------------------------------------------------------------- */

typedef struct ace_device_ops {
    /* memory; addr is never 0. reserve gives zero-filled or undefined memory. */
    ace_status (*reserve)(ace_device *, size_t bytes, uint64_t *addr, ace_error *);
    void (*release)(ace_device *, uint64_t addr, size_t bytes);
    void (*memory)(ace_device *, ace_device_memory *);
    /* host values are f32, contiguous [rows, cols]; converted to and from the tensor's type */
    ace_status (*upload)(ace_device *, ace_tensor to, const float *from, ace_error *);
    ace_status (*download)(ace_device *, float *to, ace_tensor from, ace_error *);

    /* packed weights. bytes depends on the shape alone; pack refuses NaN and infinity, naming the part. */
    size_t (*matrix_bytes)(const ace_device *, const ace_matrix_shape *);
    ace_status (*matrix_pack)(ace_device *, const ace_matrix *, const ace_matrix_part *,
                              int n_parts, ace_error *);
    /* The same into host memory of matrix_bytes, 64-byte aligned: part of an image that `write`
     * brings to the device. */
    ace_status (*matrix_image)(ace_device *, const ace_matrix_shape *, const ace_matrix_part *,
                               int n_parts, void *to, ace_error *);
    /* Bytes as they are, host to device. May be called from another thread than the operations'. */
    ace_status (*write)(ace_device *, uint64_t addr, const void *from, size_t bytes, ace_error *);
    /* The same while operations go on. mark names all operations issued so far. write_after, from
     * another thread, comes after those of a mark, and has read `from` when it returns, but may not
     * be over: operations issued after await of *written come after it. NULL, all three: what is
     * written comes after all operations issued before, and is there. */
    uint64_t (*mark)(ace_device *);
    ace_status (*write_after)(ace_device *, uint64_t mark, uint64_t addr, const void *from,
                              size_t bytes, uint64_t *written, ace_error *);
    void (*await)(ace_device *, uint64_t written);

    /* operations */
    void (*linear)(ace_device *, ace_tensor y, ace_tensor x, const ace_matrix *,
                   const ace_epilogue *);
    void (*conv)(ace_device *, ace_tensor y, ace_tensor x, const ace_matrix *, const ace_conv *,
                 const ace_epilogue *);
    void (*conv_transpose)(ace_device *, ace_tensor y, ace_tensor x, const ace_matrix *,
                           const ace_conv_transpose *);
    void (*rms_norm)(ace_device *, ace_tensor y, ace_tensor x, const ace_norm *);
    void (*head_norm)(ace_device *, ace_tensor x, const ace_head_norm *);
    void (*attention)(ace_device *, ace_tensor y, ace_tensor q, ace_tensor k, ace_tensor v,
                      const ace_attention *);
    void (*silu)(ace_device *, ace_tensor y, ace_tensor x);
    void (*silu_mul)(ace_device *, ace_tensor y, ace_tensor gate,
                     ace_tensor up); /* silu(gate)·up */
    /* y[r] = a[r / (rows(y)/rows(a))] + b[r % rows(b)] */
    void (*add)(ace_device *, ace_tensor y, ace_tensor a, ace_tensor b);
    void (*copy)(ace_device *, ace_tensor y, ace_tensor x); /* converts between f32 and bf16 */
    void (*fill)(ace_device *, ace_tensor y, float value);
    void (*scatter)(ace_device *, ace_tensor y, ace_tensor x, const ace_scatter *);
    void (*mix)(ace_device *, ace_tensor y, ace_tensor x, const ace_mix *);

    /* Steps that come again: the same operations at the same addresses, again and again. NULL: the
     * device issues everything anew. Between begin and end of a step come operations and uploads,
     * and nothing else. Until it is forgotten, addresses on the device stay valid, and so do those
     * of host memory: what uploads read, and the tables of attention and scatter. That memory is
     * read anew at every replay; between begin and end it does not change.
     *
     * A key, not 0, names a step. end_step after RECORD: false when the operations could not be
     * kept; then none of them has run, and they are to be issued again. After ISSUE it is true. A
     * forgotten step begins as a new one; key 0 forgets all. Steps do not nest. */
    ace_step_state (*begin_step)(ace_device *, uint64_t key);
    bool (*end_step)(ace_device *);
    void (*forget_step)(ace_device *, uint64_t key);

    /* Columns of rows of f32 logits, which are used up; chosen: host [n], ACE_CHOICE_NONE where all
     * that are permitted are -inf, or one is NaN or +inf. NULL: the host chooses (lm/sampler.h). */
    ace_status (*choose)(ace_device *, ace_tensor logits, const ace_choice *, int n,
                         int32_t *chosen, ace_error *);

    /* True when it can do nothing more until it is opened again. From any thread. NULL: never so. */
    bool (*is_lost)(const ace_device *);
    void (*close)(ace_device *);
} ace_device_ops;

struct ace_device {
    const char *name; /* "cpu", "measure", … */
    const ace_device_ops *ops;
    size_t alignment;       /* of every block in an arena, a power of two */
    size_t workspace_bytes; /* held by the device itself besides the arenas: part of every plan */
    bool computes;          /* false: results are undefined, only sizes count */
    bool addressable;       /* addresses are pointers of this process to ordinary memory */
    const char *stage,
        *tag;               /* what the work at hand is for: labels of the ledger, static strings */
    const ace_watch *watch; /* hears of every operation of a stream; borrowed; NULL: nobody */
};

static inline void ace_device_close(ace_device *device)
{
    if (device != NULL) {
        device->ops->close(device);
    }
}

static inline bool ace_device_is_lost(const ace_device *device)
{
    return device->ops->is_lost != NULL && device->ops->is_lost(device);
}

/* Counts for the layouts and alignment of `target`, which must outlive it. Computes nothing. */
ace_status ace_measure_device_open(const ace_device *target, ace_device **out, ace_error *err);

#endif
