#include "weights/loader.h"

#include "base/block_formats.h"
#include "base/memory.h"
#include "weights/synthetic.h"
#include "weights/tensor_source.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MAX_FUSED = 4, NAME_BYTES = 256 };

void ace_loader_init(ace_loader *l, ace_stream *stream, const ace_weights *weights,
                     ace_dtype matrix_dtype)
{
    memset(l, 0, sizeof *l);
    l->stream = stream;
    l->weights = weights;
    l->matrix_dtype = matrix_dtype;
    l->conv_dtype = matrix_dtype;
}

ace_status ace_loader_finish(ace_loader *l)
{
    ace_free(l->scratch);
    l->scratch = NULL;
    l->scratch_bytes = 0;
    if (l->problems > 0) {
        ace_stream_fail(l->stream, ACESTEP_MODEL,
                        "%.180s: tensors that do not fit this model (%d): %s",
                        ace_weights_path(l->weights), l->problems, l->report);
    }
    return ace_stream_status(l->stream);
}

/* False after the first problem: only names and shapes are still checked then. */
static bool is_loading(const ace_loader *l)
{
    return l->problems == 0 && ace_stream_status(l->stream) == ACESTEP_OK;
}

static bool is_computing(const ace_loader *l)
{
    return l->stream->device->computes;
}

bool ace_loader_reads(const ace_loader *l)
{
    return is_computing(l);
}

/* ---- vectors and tables ---------------------------------------------------------------------- */

/* Trained norm weights lie around 1; biases, tables and logarithms around 0. */
static void make_up(const char *name, float *out, int64_t n)
{
    const char *suffix = strstr(name, "norm");
    if (suffix != NULL && strstr(suffix, ".weight") != NULL) {
        for (int64_t i = 0; i < n; i++) {
            out[i] = 1.0f;
        }
        return;
    }
    ace_synthetic_fill(ace_synthetic_seed(name), 0.02f, out, n);
}

/* n numbers of a file; false with a failed stream when one is NaN or infinite. */
static bool read_numbers(ace_loader *l, const ace_tensor_source *s, float *out, int64_t n)
{
    ace_decode_row(s->weight->dtype, s->weight->data, n, out);
    for (int64_t i = 0; i < n; i++) {
        if (!isfinite(out[i])) {
            ace_stream_fail(l->stream, ACESTEP_MODEL,
                            "%s: holds NaN or infinity; the file is damaged", s->label);
            return false;
        }
    }
    return true;
}

/* f32 [rows, cols · times]: the numbers passed through f (NULL: as they are); times > 1 only for
 * one row. */
static ace_tensor load_numbers(ace_loader *l, const ace_tensor_source *s, int64_t rows,
                               int64_t cols, int64_t times, ace_vector_map *f)
{
    ace_tensor t = ace_new(l->stream, ACE_F32, rows, cols * times);
    int64_t n = rows * cols;
    if (is_loading(l) && !is_computing(l)) {
        ace_upload(l->stream, t, NULL); /* counted */
    }
    if (!is_loading(l) || !is_computing(l) || ace_tensor_is_empty(t) ||
        !ace_loader_reserve_scratch(l, (size_t)n * (size_t)times)) {
        return t;
    }
    float *values = l->scratch;
    if (s->weight == NULL) {
        make_up(s->name, values, n);
    } else if (!read_numbers(l, s, values, n)) {
        return t;
    }
    for (int64_t i = 0; f != NULL && i < n; i++) {
        values[i] = f(values[i]);
    }
    for (int64_t i = 1; i < times; i++) {
        memcpy(values + i * n, values, (size_t)n * sizeof *values);
    }
    ace_upload(l->stream, t, values);
    return t;
}

/* Vectors and tables are never quantised. */
static bool is_plain(ace_loader *l, const ace_tensor_source *s)
{
    if (s->scale != NULL) {
        ace_loader_problem(l, "%s (type I8)", s->name);
    }
    return s->scale == NULL;
}

static bool find_numbers(ace_loader *l, const char *name, const int64_t *dims, int rank,
                         ace_tensor_source *out)
{
    return ace_source_find(l, name, dims, rank, out) && is_plain(l, out);
}

static ace_tensor load_vector(ace_loader *l, const char *name, int64_t n, int64_t times,
                              ace_vector_map *f)
{
    ace_tensor none = {0};
    ace_tensor_source s;
    return find_numbers(l, name, &n, 1, &s) ? load_numbers(l, &s, 1, n, times, f) : none;
}

ace_tensor ace_load_vector(ace_loader *l, const char *name, int64_t n)
{
    return load_vector(l, name, n, 1, NULL);
}

ace_tensor ace_load_vector_mapped(ace_loader *l, const char *name, int64_t n, ace_vector_map *f)
{
    return load_vector(l, name, n, 1, f);
}

ace_tensor ace_load_vector_repeated(ace_loader *l, const char *name, int64_t n, int64_t times)
{
    return load_vector(l, name, n, times, NULL);
}

ace_tensor ace_load_table(ace_loader *l, const char *name, int64_t rows, int64_t cols)
{
    ace_tensor none = {0};
    ace_tensor_source s;
    const int64_t dims[] = {rows, cols};
    return find_numbers(l, name, dims, 2, &s) ? load_numbers(l, &s, rows, cols, 1, NULL) : none;
}

/* ---- linear layers --------------------------------------------------------------------------- */

/* Uniform numbers in ± this keep the variance of the input, as trained layers roughly do. */
static float spread_for(int64_t fan_in)
{
    return sqrtf(3.0f / (float)fan_in);
}

/* All parts stay in scratch side by side until they are packed. */
static bool read_all(ace_loader *l, ace_tensor_source *sources, int n)
{
    size_t floats = 0;
    for (int i = 0; i < n; i++) {
        floats += ace_source_scratch_floats(l, &sources[i], true);
    }
    if (!ace_loader_reserve_scratch(l, floats)) {
        return false;
    }
    float *at = l->scratch;
    for (int i = 0; i < n; i++) {
        ace_source_read(l, &sources[i], true, spread_for(sources[i].rest), at);
        size_t used = ace_source_scratch_floats(l, &sources[i], true);
        at = used > 0 ? at + used : at;
    }
    return true;
}

/* The matrix of sources that have been found, and are still to be read. */
static ace_matrix pack(ace_loader *l, ace_tensor_source *sources, int n, ace_matrix_shape shape)
{
    ace_matrix_part parts[MAX_FUSED] = {{0}};
    if (!is_loading(l) || !read_all(l, sources, n)) {
        return (ace_matrix){.shape = shape};
    }
    for (int i = 0; i < n; i++) {
        parts[i] = (ace_matrix_part){.name = sources[i].label,
                                     .data = sources[i].data,
                                     .dtype = sources[i].dtype,
                                     .rows = sources[i].leading,
                                     .row_stride = sources[i].leading_stride,
                                     .col_stride = 1,
                                     .row_scale = sources[i].row_scale};
    }
    ace_matrix m = ace_matrix_new(l->stream, &shape, parts, n);
    for (int i = 0; i < n; i++) {
        ace_source_release(l, &sources[i]);
    }
    return m;
}

ace_matrix ace_load_linear_fused(ace_loader *l, const char *const names[], const int64_t rows[],
                                 int n, int64_t cols, bool swiglu)
{
    ace_matrix_shape shape = {.cols = cols,
                              .taps = 1,
                              .dtype = l->matrix_dtype,
                              .int8_inputs = l->int8_inputs,
                              .swiglu = swiglu};
    ace_tensor_source sources[MAX_FUSED];
    bool found = true;
    if (n > MAX_FUSED) {
        ace_stream_fail(l->stream, ACESTEP_FAILED, "%s: too many matrices in one", names[0]);
        return (ace_matrix){.shape = shape};
    }
    for (int i = 0; i < n; i++) {
        const int64_t dims[] = {rows[i], cols};
        found = ace_source_find(l, names[i], dims, 2, &sources[i]) && found;
        shape.rows += rows[i];
    }
    return found ? pack(l, sources, n, shape) : (ace_matrix){.shape = shape};
}

ace_matrix ace_load_linear_rows(ace_loader *l, const char *name, int64_t rows, int64_t cols,
                                int64_t first, int64_t n)
{
    ace_matrix_shape shape = {.rows = n, .cols = cols, .taps = 1, .dtype = l->matrix_dtype};
    const int64_t dims[] = {rows, cols};
    ace_tensor_source source;
    bool found =
        ace_source_find(l, name, dims, 2, &source) && ace_source_select(l, &source, first, n);
    return found ? pack(l, &source, 1, shape) : (ace_matrix){.shape = shape};
}

ace_matrix ace_load_linear(ace_loader *l, const char *name, int64_t rows, int64_t cols)
{
    return ace_load_linear_fused(l, &name, &rows, 1, cols, false);
}

/* Made-up numbers of a row depend on where reading began: all rows are made, few numbers. */
bool ace_read_linear_rows(ace_loader *l, const char *name, int64_t rows, int64_t cols,
                          int64_t first, int64_t n, float *to)
{
    const int64_t dims[] = {rows, cols};
    bool made_up = ace_loader_is_synthetic(l);
    ace_tensor_source s;
    if (!ace_source_find(l, name, dims, 2, &s) ||
        !(made_up || ace_source_select(l, &s, first, n)) || !is_loading(l) ||
        !ace_loader_reserve_scratch(l, ace_source_scratch_floats(l, &s, false))) {
        return false;
    }
    ace_source_read(l, &s, false, spread_for(cols), l->scratch);
    const unsigned char *data = s.data;
    size_t row_bytes = (size_t)s.leading_stride * ace_dtype_bytes(s.dtype);
    for (int64_t i = 0; i < n; i++) {
        int64_t row = made_up ? first + i : i;
        ace_decode_row(s.dtype, data + (size_t)row * row_bytes, cols, to + i * cols);
    }
    return true;
}

/* ---- convolutions ---------------------------------------------------------------------------- */

/* A convolution's weight, with the factor that weight normalisation gives to each index of its
 * outermost dimension. */
typedef struct conv_source {
    ace_tensor_source tensor;
    ace_tensor_source length; /* g, when `normed` */
    bool normed;
    float *scale; /* NULL: 1; owned */
} conv_source;

static bool find_suffixed(ace_loader *l, const char *prefix, const char *suffix,
                          const int64_t *dims, int rank, ace_tensor_source *out)
{
    char name[NAME_BYTES];
    (void)snprintf(name, sizeof name, "%s.%s", prefix, suffix);
    return ace_source_find(l, name, dims, rank, out);
}

static bool exists(const ace_loader *l, const char *prefix, const char *suffix)
{
    char name[NAME_BYTES];
    (void)snprintf(name, sizeof name, "%s.%s", prefix, suffix);
    return ace_weights_find(l->weights, name) != NULL;
}

/* Plainly stored, or under weight normalisation with PyTorch's names before and after 2.0:
 * w = g · v / ‖v‖. */
static bool find_conv(ace_loader *l, const char *prefix, const int64_t dims[3], conv_source *out)
{
    static const char *const spellings[][2] = {
        {"weight_g", "weight_v"},
        {"parametrizations.weight.original0", "parametrizations.weight.original1"},
    };
    memset(out, 0, sizeof *out);
    for (int i = 0; i < 2 && !ace_loader_is_synthetic(l); i++) {
        const char *g = spellings[i][0];
        const char *v = spellings[i][1];
        if (exists(l, prefix, g) || exists(l, prefix, v)) {
            out->normed = true;
            bool found = find_suffixed(l, prefix, v, dims, 3, &out->tensor);
            return find_suffixed(l, prefix, g, dims, 1, &out->length) &&
                   is_plain(l, &out->length) && found;
        }
    }
    return find_suffixed(l, prefix, "weight", dims, 3, &out->tensor);
}

static double row_norm(const ace_tensor_source *s, int64_t row)
{
    float chunk[256];
    double sum = 0;
    size_t size = ace_dtype_bytes(s->dtype);
    const unsigned char *at = s->data;
    at += (size_t)(row * s->leading_stride) * size;
    for (int64_t done = 0; done < s->rest; done += 256) {
        int64_t n = s->rest - done < 256 ? s->rest - done : 256;
        ace_decode_row(s->dtype, at + (size_t)done * size, n, chunk);
        for (int64_t i = 0; i < n; i++) {
            sum += (double)chunk[i] * (double)chunk[i];
        }
    }
    return sqrt(sum);
}

/* scale[i] = g[i] / ‖v[i]‖. A row of zeros gives infinity, which the packer refuses as it does NaN.
 */
static bool fold_norm(ace_loader *l, conv_source *c)
{
    int64_t n = c->tensor.leading;
    if (!c->normed || !is_computing(l)) {
        return true;
    }
    c->scale = ace_malloc_array((size_t)n, sizeof *c->scale);
    if (c->scale == NULL) {
        ace_stream_fail(l->stream, ACESTEP_MEMORY, "%s: no host memory", c->length.label);
        return false;
    }
    if (!read_numbers(l, &c->length, c->scale, n)) {
        ace_free(c->scale);
        return false;
    }
    for (int64_t i = 0; i < n; i++) {
        c->scale[i] = (float)((double)c->scale[i] / row_norm(&c->tensor, i));
    }
    return true;
}

/* After true, close with close_conv. */
static bool read_conv(ace_loader *l, conv_source *c, int64_t fan_in)
{
    if (!is_loading(l) ||
        !ace_loader_reserve_scratch(l, ace_source_scratch_floats(l, &c->tensor, false))) {
        return false;
    }
    ace_source_read(l, &c->tensor, false, spread_for(fan_in), l->scratch);
    return fold_norm(l, c);
}

static void close_conv(ace_loader *l, conv_source *c)
{
    ace_source_release(l, &c->tensor);
    ace_free(c->scale);
}

ace_matrix ace_load_conv(ace_loader *l, const char *prefix, int64_t out, int64_t in, int taps)
{
    ace_matrix m = {.shape = {.rows = out, .cols = in, .taps = taps, .dtype = l->conv_dtype}};
    const int64_t dims[] = {out, in, taps};
    conv_source c;
    if (find_conv(l, prefix, dims, &c) && read_conv(l, &c, in * taps)) {
        ace_matrix_part part = {.name = c.tensor.label,
                                .data = c.tensor.data,
                                .dtype = c.tensor.dtype,
                                .rows = out,
                                .row_stride = c.tensor.leading_stride,
                                .col_stride = taps,
                                .tap_stride = 1,
                                .row_scale = c.scale};
        m = ace_matrix_new(l->stream, &m.shape, &part, 1);
        close_conv(l, &c);
    }
    return m;
}

/* ---- transposed convolutions ----------------------------------------------------------------- */

/* One part per kernel position first … first + count - 1 of a tensor [in, out, kernel], each `out`
 * rows. */
static ace_matrix pack_by_position(ace_loader *l, const conv_source *c,
                                   const ace_matrix_shape *shape, int64_t first, int64_t count,
                                   int64_t kernel)
{
    ace_matrix m = {.shape = *shape};
    ace_matrix_part *parts = ace_calloc((size_t)count, sizeof *parts);
    if (parts == NULL) {
        ace_stream_fail(l->stream, ACESTEP_MEMORY, "%s: no host memory", c->tensor.label);
        return m;
    }
    const unsigned char *data = c->tensor.data;
    for (int64_t i = 0; i < count; i++) {
        size_t offset = (size_t)(first + i) * ace_dtype_bytes(c->tensor.dtype);
        parts[i] = (ace_matrix_part){.name = c->tensor.label,
                                     .data = data != NULL ? data + offset : NULL,
                                     .dtype = c->tensor.dtype,
                                     .rows = shape->rows / count,
                                     .row_stride = kernel,
                                     .col_stride = c->tensor.leading_stride,
                                     .tap_stride = -first,
                                     .col_scale = c->scale};
    }
    m = ace_matrix_new(l->stream, shape, parts, (int)count);
    ace_free(parts);
    return m;
}

ace_matrix ace_load_conv_transpose(ace_loader *l, const char *prefix, int64_t in, int64_t out,
                                   int64_t stride)
{
    ace_matrix m = {.shape = {.rows = stride * out, .cols = in, .taps = 2, .dtype = l->conv_dtype}};
    const int64_t dims[] = {in, out, 2 * stride};
    conv_source c;
    /* Tap 0 of phase r is kernel position r + stride, tap 1 is `stride` positions before it. */
    if (find_conv(l, prefix, dims, &c) && read_conv(l, &c, 2 * in)) {
        m = pack_by_position(l, &c, &m.shape, stride, stride, 2 * stride);
        close_conv(l, &c);
    }
    return m;
}

ace_matrix ace_load_unpatch(ace_loader *l, const char *prefix, int64_t in, int64_t out,
                            int64_t stride)
{
    ace_matrix m = {.shape = {.rows = stride * out, .cols = in, .taps = 1, .dtype = l->conv_dtype}};
    const int64_t dims[] = {in, out, stride};
    conv_source c;
    if (find_conv(l, prefix, dims, &c) && read_conv(l, &c, in)) {
        m = pack_by_position(l, &c, &m.shape, 0, stride, stride);
        close_conv(l, &c);
    }
    return m;
}
