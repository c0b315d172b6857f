/* A stream: the device, the arena of the current stage, and the first error.
 *
 * Model code issues operations one after another and does not look at each result: after a failure
 * (no memory, cancelled, a shape that does not fit) the stream stands still, allocations give empty
 * tensors and operations do nothing; the stage asks ace_stream_status() once at its end. This is
 * the discipline of a GPU's stream, on every device. One thread at a time. */
#ifndef ACE_DEVICE_STREAM_H
#define ACE_DEVICE_STREAM_H

#include "device/arena.h"
#include "device/device.h"

/* Work done so far, for reports. A multiply-add counts as two. */
typedef struct ace_stream_counters {
    double flops;      /* of products, convolutions and attention */
    double uploaded;   /* bytes host → device */
    double downloaded; /* bytes device → host */
    uint64_t operations;
} ace_stream_counters;

/* Polled between layers, steps and tiles; fraction 0 … 1 of the current stage. Return false to
 * cancel. */
typedef bool ace_progress(void *context, double fraction);

typedef struct ace_stream {
    ace_device *device;
    ace_arena *arena;
    ace_error *error;
    ace_status status;
    ace_dtype activation; /* type of the work tensors between products: F32 or BF16. The residual
                             stream, norms' statistics, softmax and sampling are f32 always */
    bool keeps_steps;     /* steps that come again may be recorded and replayed (step.h) */
    ace_progress *progress;
    void *progress_context;
    ace_stream_counters counters;
} ace_stream;

void ace_stream_init(ace_stream *s, ace_device *device, ace_arena *arena, ace_dtype activation,
                     ace_error *error);
ace_status ace_stream_status(const ace_stream *s);
/* Records a failure; the first one stays. */
void ace_stream_fail(ace_stream *s, ace_status code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Reports progress and takes a cancel request. */
void ace_stream_progress(ace_stream *s, double fraction);

/* ---- memory ---------------------------------------------------------------------------------- */

ace_tensor ace_new(ace_stream *s, ace_dtype dtype, int64_t rows, int64_t cols);
ace_arena_mark ace_mark(const ace_stream *s);
void ace_reset(ace_stream *s, const ace_arena_mark *mark);
void ace_set_tag(ace_stream *s, const char *name);

/* host values: f32 [rows, cols] contiguous. On a measuring device `from` may be NULL, and `to` is
 * left as it is. */
void ace_upload(ace_stream *s, ace_tensor to, const float *from);
void ace_download(ace_stream *s, float *to, ace_tensor from);
/* ace_new and ace_upload in one. */
ace_tensor ace_new_from(ace_stream *s, ace_dtype dtype, int64_t rows, int64_t cols,
                        const float *values);

/* A table computed on the host, f32: fill writes [rows, cols] values. Not called on a device that
 * only counts. */
typedef void ace_fill_values(const void *context, int64_t rows, int64_t cols, float *values);
ace_tensor ace_new_table(ace_stream *s, int64_t rows, int64_t cols, ace_fill_values *fill,
                         const void *context);

/* Space for a packed matrix and its content. The parts' rows add up to shape->rows. */
ace_matrix ace_matrix_new(ace_stream *s, const ace_matrix_shape *shape,
                          const ace_matrix_part *parts, int n_parts);

/* A packed matrix of plain rows computed on the host, as ace_new_table. */
ace_matrix ace_matrix_new_filled(ace_stream *s, const ace_matrix_shape *shape, const char *name,
                                 ace_fill_values *fill, const void *context);

/* ---- operations: checked, counted, then passed to the device --------------------------------- */

void ace_linear(ace_stream *s, ace_tensor y, ace_tensor x, const ace_matrix *w,
                const ace_epilogue *e /* NULL: plain */);
void ace_conv1d(ace_stream *s, ace_tensor y, ace_tensor x, const ace_matrix *w, const ace_conv *c,
                const ace_epilogue *e);
void ace_conv_transpose1d(ace_stream *s, ace_tensor y, ace_tensor x, const ace_matrix *w,
                          const ace_conv_transpose *c);
void ace_rms_norm(ace_stream *s, ace_tensor y, ace_tensor x, const ace_norm *n);
void ace_head_rms_norm(ace_stream *s, ace_tensor x, const ace_head_norm *n);
void ace_attend(ace_stream *s, ace_tensor y, ace_tensor q, ace_tensor k, ace_tensor v,
                const ace_attention *a);
void ace_silu(ace_stream *s, ace_tensor y, ace_tensor x);
/* y = silu(gate) ⊙ up */
void ace_silu_mul(ace_stream *s, ace_tensor y, ace_tensor gate, ace_tensor up);
void ace_add(ace_stream *s, ace_tensor y, ace_tensor a, ace_tensor b);
void ace_copy(ace_stream *s, ace_tensor y, ace_tensor x);
void ace_fill(ace_stream *s, ace_tensor y, float value);
void ace_scatter_rows(ace_stream *s, ace_tensor y, ace_tensor x, const ace_scatter *to);
void ace_mix_columns(ace_stream *s, ace_tensor y, ace_tensor x, const ace_mix *m);

/* ---- choosing (choice.c) --------------------------------------------------------------------- */

/* Does the device choose? */
bool ace_stream_chooses(const ace_stream *s);
/* As ace_device_ops.choose. On a device that only counts, choices and chosen may be NULL. */
void ace_choose(ace_stream *s, ace_tensor logits, const ace_choice *choices, int n,
                int32_t *chosen);

#endif
