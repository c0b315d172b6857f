#include "device/stream.h"

#include "base/checked.h"
#include "base/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void ace_stream_init(ace_stream *s, ace_device *device, ace_arena *arena, ace_dtype activation,
                     ace_error *error)
{
    memset(s, 0, sizeof *s);
    s->device = device;
    s->arena = arena;
    s->activation = activation;
    s->error = error;
}

ace_status ace_stream_status(const ace_stream *s)
{
    return s->status;
}

void ace_stream_fail(ace_stream *s, ace_status code, const char *format, ...)
{
    if (s->status != ACESTEP_OK) {
        return;
    }
    char message[900];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(message, sizeof message, format, args);
    va_end(args);
    s->status = ace_fail(s->error, code, "%s", message);
}

void ace_stream_progress(ace_stream *s, double fraction)
{
    if (s->status == ACESTEP_OK && s->progress != NULL &&
        !s->progress(s->progress_context, fraction)) {
        ace_stream_fail(s, ACESTEP_CANCELLED, "cancelled");
    }
}

/* ---- memory ---------------------------------------------------------------------------------- */

static uint64_t allocate(ace_stream *s, size_t bytes)
{
    uint64_t addr = ace_arena_alloc(s->arena, bytes);
    if (addr == 0) {
        ace_stream_fail(s, ACESTEP_MEMORY,
                        "%s: %zu bytes do not fit in the stage's memory (%zu of %zu in use)",
                        s->device->name, bytes, s->arena->used, s->arena->capacity);
    }
    return addr;
}

ace_tensor ace_new(ace_stream *s, ace_dtype dtype, int64_t rows, int64_t cols)
{
    ace_tensor none = {0};
    size_t elements = 0;
    size_t bytes = 0;
    if (s->status != ACESTEP_OK) {
        return none;
    }
    if (rows <= 0 || cols <= 0 || ace_mul_overflows((size_t)rows, (size_t)cols, &elements) ||
        ace_mul_overflows(elements, ace_dtype_bytes(dtype), &bytes)) {
        ace_stream_fail(s, ACESTEP_FAILED, "tensor [%lld, %lld] is impossible", (long long)rows,
                        (long long)cols);
        return none;
    }
    uint64_t addr = allocate(s, bytes);
    if (addr == 0) {
        return none;
    }
    return (ace_tensor){addr, dtype, rows, cols, cols};
}

ace_arena_mark ace_mark(const ace_stream *s)
{
    return ace_arena_get_mark(s->arena);
}

void ace_reset(ace_stream *s, const ace_arena_mark *mark)
{
    ace_arena_reset(s->arena, mark);
}

void ace_set_tag(ace_stream *s, const char *name)
{
    ace_arena_set_tag(s->arena, name);
    s->device->tag = name;
}

void ace_upload(ace_stream *s, ace_tensor to, const float *from)
{
    if (s->status != ACESTEP_OK) {
        return;
    }
    s->counters.uploaded += (double)(to.rows * to.cols) * (double)ace_dtype_bytes(to.dtype);
    ace_status status = s->device->ops->upload(s->device, to, from, s->error);
    if (status != ACESTEP_OK) {
        ace_stream_fail(s, status, "upload failed");
    }
}

void ace_download(ace_stream *s, float *to, ace_tensor from)
{
    if (s->status != ACESTEP_OK) {
        return;
    }
    s->counters.downloaded += (double)(from.rows * from.cols) * (double)ace_dtype_bytes(from.dtype);
    ace_status status = s->device->ops->download(s->device, to, from, s->error);
    if (status != ACESTEP_OK) {
        ace_stream_fail(s, status, "download failed");
    }
}

ace_tensor ace_new_from(ace_stream *s, ace_dtype dtype, int64_t rows, int64_t cols,
                        const float *values)
{
    ace_tensor t = ace_new(s, dtype, rows, cols);
    ace_upload(s, t, values);
    return t;
}

/* The numbers that fill writes, owned by the caller; NULL on a device that only counts, and with a
 * failed stream. */
static float *computed_values(ace_stream *s, int64_t rows, int64_t cols, ace_fill_values *fill,
                              const void *context)
{
    if (s->status != ACESTEP_OK || !s->device->computes) {
        return NULL;
    }
    float *values = ace_malloc_array((size_t)(rows * cols), sizeof *values);
    if (values == NULL) {
        ace_stream_fail(s, ACESTEP_MEMORY, "no host memory for a table of %lld numbers",
                        (long long)(rows * cols));
        return NULL;
    }
    fill(context, rows, cols, values);
    return values;
}

ace_tensor ace_new_table(ace_stream *s, int64_t rows, int64_t cols, ace_fill_values *fill,
                         const void *context)
{
    ace_tensor t = ace_new(s, ACE_F32, rows, cols);
    float *values = computed_values(s, rows, cols, fill, context);
    ace_upload(s, t, values);
    ace_free(values);
    return t;
}

ace_matrix ace_matrix_new_filled(ace_stream *s, const ace_matrix_shape *shape, const char *name,
                                 ace_fill_values *fill, const void *context)
{
    float *values = computed_values(s, shape->rows, shape->cols, fill, context);
    ace_matrix_part part = {.name = name,
                            .data = values,
                            .dtype = ACE_F32,
                            .rows = shape->rows,
                            .row_stride = shape->cols,
                            .col_stride = 1};
    ace_matrix m = ace_matrix_new(s, shape, &part, 1);
    ace_free(values);
    return m;
}

ace_matrix ace_matrix_new(ace_stream *s, const ace_matrix_shape *shape,
                          const ace_matrix_part *parts, int n_parts)
{
    ace_matrix m = {.shape = *shape};
    if (s->status != ACESTEP_OK) {
        return m;
    }
    int64_t rows = 0;
    for (int i = 0; i < n_parts; i++) {
        rows += parts[i].rows;
    }
    if (rows != shape->rows || shape->cols <= 0 || shape->taps <= 0) {
        ace_stream_fail(s, ACESTEP_FAILED, "%s: %lld rows given for a matrix of %lld",
                        n_parts > 0 ? parts[0].name : "matrix", (long long)rows,
                        (long long)shape->rows);
        return m;
    }
    m.bytes = s->device->ops->matrix_bytes(s->device, shape);
    m.addr = allocate(s, m.bytes);
    if (m.addr == 0) {
        return m;
    }
    s->counters.uploaded += (double)m.bytes;
    ace_status status = s->device->ops->matrix_pack(s->device, &m, parts, n_parts, s->error);
    if (status != ACESTEP_OK) {
        ace_stream_fail(s, status, "weights cannot be packed");
    }
    return m;
}
