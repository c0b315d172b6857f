/* From a checkpoint to packed matrices in a stage's arena.
 *
 * A model part asks for every tensor it needs by name and shape; problems (missing, wrong shape,
 * wrong type) are collected, and ace_loader_finish reports all of them in one message. On a
 * measuring device nothing is read. With synthetic weights, values are made up on the fly when the
 * device computes: uniform with the spread a trained layer would have (±√(3/fan-in) for matrices, 1
 * for norm weights — a "norm" and then ".weight" in the name — small for the rest). */
#ifndef ACE_WEIGHTS_LOADER_H
#define ACE_WEIGHTS_LOADER_H

#include "base/thread_pool.h"
#include "device/stream.h"
#include "weights/weights.h"

/* Told of every tensor that a model asks for, in its order. */
typedef void ace_loader_listener(void *context, const char *name, const int64_t *dims, int rank);

typedef struct ace_loader {
    ace_stream *stream;
    const ace_weights *weights;
    ace_dtype matrix_dtype; /* of packed linear layers: F32, BF16 or I8 */
    ace_dtype conv_dtype;   /* of convolutions; ace_loader_init sets it to the same */
    bool int8_inputs;       /* of linear layers to come, see ace_matrix_shape; false at first */
    ace_pool *pool;         /* for work on the host beyond packing; NULL: one thread */
    ace_loader_listener *listener; /* NULL: nobody */
    void *listener_context;
    int problems;
    char report[700]; /* "name (missing), name (shape [2, 3], expected [3, 3]), …" */
    void *scratch;    /* synthetic values, temporary */
    size_t scratch_bytes;
} ace_loader;

/* The loader borrows both; ace_loader_finish frees its scratch. */
void ace_loader_init(ace_loader *l, ace_stream *stream, const ace_weights *weights,
                     ace_dtype matrix_dtype);
/* Fails the stream with ACESTEP_MODEL when anything was missing. Call exactly once. */
ace_status ace_loader_finish(ace_loader *l);

/* One vector of n numbers, whatever rank it is stored with ([n], [1, n], [1, n, 1], …): f32 [1, n].
 */
ace_tensor ace_load_vector(ace_loader *l, const char *name, int64_t n);
/* The same with every number passed through f on the host. */
typedef float ace_vector_map(float);
ace_tensor ace_load_vector_mapped(ace_loader *l, const char *name, int64_t n, ace_vector_map *f);
/* The same repeated `times` after one another: f32 [1, times·n]. */
ace_tensor ace_load_vector_repeated(ace_loader *l, const char *name, int64_t n, int64_t times);
/* f32 [rows, cols]; leading dimensions of 1 in the file are fine. */
ace_tensor ace_load_table(ace_loader *l, const char *name, int64_t rows, int64_t cols);

/* Linear layers [rows[i], cols] one below the other as one packed matrix: fused QKV, or gate and up
 * (swiglu). */
ace_matrix ace_load_linear_fused(ace_loader *l, const char *const names[], const int64_t rows[],
                                 int n, int64_t cols, bool swiglu);
ace_matrix ace_load_linear(ace_loader *l, const char *name, int64_t rows, int64_t cols);
/* Rows first … first + n - 1 of a linear layer [rows, cols] alone. */
ace_matrix ace_load_linear_rows(ace_loader *l, const char *name, int64_t rows, int64_t cols,
                                int64_t first, int64_t n);

/* False where only sizes count: nothing is read then, and nothing needs be. */
bool ace_loader_reads(const ace_loader *l);
/* The same rows as numbers on the host, f32 [n, cols], as the checkpoint has them: not rounded to
 * matrix_dtype. False after noting a problem. */
bool ace_read_linear_rows(ace_loader *l, const char *name, int64_t rows, int64_t cols,
                          int64_t first, int64_t n, float *to);

/* Conv1d [out, in, taps]: `<prefix>.weight` as it is, or under weight normalisation
 * `<prefix>.weight_g` [out,1,1] and `<prefix>.weight_v`, folded in f32 (w = g·v/‖v‖, norm over all
 * but the first dimension). The newer spelling parametrizations.weight.original0 / original1 is
 * accepted. */
ace_matrix ace_load_conv(ace_loader *l, const char *prefix, int64_t out, int64_t in, int taps);
/* ConvTranspose1d [in, out, 2·stride] under weight normalisation (the norm is per *input* channel),
 * in the row order that ace_conv_transpose1d asks for. */
ace_matrix ace_load_conv_transpose(ace_loader *l, const char *prefix, int64_t in, int64_t out,
                                   int64_t stride);
/* ConvTranspose1d [in, out, stride] without overlap (kernel = stride) as a linear layer with
 * stride·out rows in the order [tap][out]: the DiT's un-patching. */
ace_matrix ace_load_unpatch(ace_loader *l, const char *prefix, int64_t in, int64_t out,
                            int64_t stride);

#endif
