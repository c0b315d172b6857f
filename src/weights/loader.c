#include "weights/loader.h"

#include "base/block_formats.h"
#include "base/checked.h"
#include "base/memory.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MAX_PARTS = 32, NAME_BYTES = 200 };

void ace_loader_init(ace_loader *l, ace_stream *stream, const ace_weights *weights,
                     ace_dtype matrix_dtype)
{
    memset(l, 0, sizeof *l);
    l->stream = stream;
    l->weights = weights;
    l->matrix_dtype = matrix_dtype;
}

ace_status ace_loader_finish(ace_loader *l)
{
    if (l->problems > 0) {
        ace_stream_fail(l->stream, ACESTEP_MODEL, "%s: %d tensor%s wrong: %s",
                        ace_weights_path(l->weights), l->problems, l->problems == 1 ? "" : "s",
                        l->report);
    }
    ace_free(l->scratch);
    l->scratch = NULL;
    l->scratch_bytes = 0;
    return l->stream->status;
}

static bool works(const ace_loader *l)
{
    return l->stream->status == ACESTEP_OK && l->problems == 0;
}

static bool reads(const ace_loader *l)
{
    return works(l) && l->stream->device->computes;
}

/* ---- problems --------------------------------------------------------------------------------------- */

static void report(ace_loader *l, const char *name, const char *what)
{
    size_t used = strlen(l->report);
    size_t left = sizeof l->report - used;
    if (left > strlen(name) + strlen(what) + 16) {
        (void)snprintf(l->report + used, left, "%s%s (%s)", used > 0 ? ", " : "", name, what);
    } else if (left > 4 && (used < 3 || strcmp(l->report + used - 3, "…") != 0)) {
        (void)snprintf(l->report + used, left, "…");
    }
    l->problems++;
}

static void describe_shape(const int64_t *dim, int rank, char *out, size_t bytes)
{
    size_t n = (size_t)snprintf(out, bytes, "[");
    for (int i = 0; i < rank && n < bytes; i++) {
        n += (size_t)snprintf(out + n, bytes - n, "%s%lld", i > 0 ? ", " : "", (long long)dim[i]);
    }
    if (n < bytes) {
        (void)snprintf(out + n, bytes - n, "]");
    }
}

/* Dimensions of 1 carry no information: published files differ in where they put them. */
static int squeeze(const int64_t *dim, int rank, int64_t *out)
{
    int n = 0;
    for (int i = 0; i < rank; i++) {
        if (dim[i] != 1) {
            out[n++] = dim[i];
        }
    }
    return n;
}

static bool same_shape(const ace_weight *t, const int64_t *dim, int rank)
{
    int64_t a[4];
    int64_t b[4];
    int n = squeeze(t->dim, t->rank, a);
    return n == squeeze(dim, rank, b) && memcmp(a, b, (size_t)n * sizeof *a) == 0;
}

static bool is_float(ace_dtype t)
{
    return t == ACE_F32 || t == ACE_BF16 || t == ACE_F16 || ace_block_elements(t) > 1;
}

/* The tensor of that name and shape; NULL with the problem noted. Never asked of synthetic weights. */
static const ace_weight *want(ace_loader *l, const char *name, const int64_t *dim, int rank)
{
    const ace_weight *t = ace_weights_find(l->weights, name);
    if (t == NULL) {
        report(l, name, "missing");
        return NULL;
    }
    if (!same_shape(t, dim, rank)) {
        char found[96];
        char expected[96];
        char what[220];
        describe_shape(t->dim, t->rank, found, sizeof found);
        describe_shape(dim, rank, expected, sizeof expected);
        (void)snprintf(what, sizeof what, "shape %s, expected %s", found, expected);
        report(l, name, what);
        return NULL;
    }
    if (!is_float(t->dtype)) {
        report(l, name, ace_dtype_name(t->dtype));
        return NULL;
    }
    return t;
}

/* ---- synthetic values --------------------------------------------------------------------------------- */

static void *scratch(ace_loader *l, size_t bytes)
{
    if (bytes > l->scratch_bytes) {
        ace_free(l->scratch);
        l->scratch = ace_malloc_array(bytes, 1);
        l->scratch_bytes = l->scratch != NULL ? bytes : 0;
        if (l->scratch == NULL) {
            ace_stream_fail(l->stream, ACESTEP_MEMORY, "loader: no host memory for %zu bytes", bytes);
        }
    }
    return l->scratch;
}

/* SplitMix64 (Steele, Lea, Flood 2014): one independent number per counter. */
static uint64_t mix(uint64_t z)
{
    z += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static uint64_t hash_name(const char *name)
{
    uint64_t h = 0xcbf29ce484222325u; /* FNV-1a */
    for (; *name != '\0'; name++) {
        h = (h ^ (uint64_t)(unsigned char)*name) * 0x100000001b3u;
    }
    return h;
}

/* n bf16 numbers, uniform in ±spread: four from each hash. */
static void make_up(uint16_t *out, size_t n, uint64_t seed, float spread)
{
    for (size_t i = 0; i < n; i += 4) {
        uint64_t bits = mix(seed + i);
        for (size_t k = 0; k < 4 && i + k < n; k++) {
            float unit = (float)((bits >> (16 * k)) & 0xffffu) / 32768.0f - 1.0f;
            out[i + k] = ace_f32_to_bf16(unit * spread);
        }
    }
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text);
    size_t m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

/* One made-up number of a vector or table: norm weights are 1, the rest is small. */
static float made_up_value(const char *name, uint64_t seed, int64_t i)
{
    if (ends_with(name, "norm.weight")) {
        return 1.0f;
    }
    return 0.02f * ((float)(mix(seed + (uint64_t)i) >> 40) / 8388608.0f - 1.0f);
}

/* ---- vectors and tables ------------------------------------------------------------------------------- */

static bool all_finite(const float *values, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        if (!isfinite(values[i])) {
            return false;
        }
    }
    return true;
}

/* n numbers as f32 into values; false with the problem noted. */
static bool read_values(ace_loader *l, const char *name, const ace_weight *t, int64_t n,
                        float *values)
{
    if (t == NULL) {
        uint64_t seed = hash_name(name);
        for (int64_t i = 0; i < n; i++) {
            values[i] = made_up_value(name, seed, i);
        }
        return true;
    }
    ace_decode_row(t->dtype, t->data, n, values);
    if (!all_finite(values, n)) {
        ace_stream_fail(l->stream, ACESTEP_MODEL,
                        "%s: %s holds NaN or infinity; the file is damaged",
                        ace_weights_path(l->weights), name);
        return false;
    }
    return true;
}

static ace_tensor load_values(ace_loader *l, const char *name, int64_t rows, int64_t cols,
                              int64_t times)
{
    const int64_t dim[] = {rows, cols};
    ace_tensor none = {0};
    const ace_weight *t = NULL;
    if (!ace_weights_is_synthetic(l->weights)) {
        t = want(l, name, dim, 2);
        if (t == NULL) {
            return none;
        }
    }
    if (!works(l)) {
        return none;
    }
    ace_tensor out = ace_new(l->stream, ACE_F32, rows, cols * times);
    if (!reads(l)) {
        return out;
    }
    int64_t n = rows * cols;
    float *values = scratch(l, (size_t)(n * times) * sizeof *values);
    if (values != NULL && read_values(l, name, t, n, values)) {
        for (int64_t i = 1; i < times; i++) {
            memcpy(values + i * n, values, (size_t)n * sizeof *values);
        }
        ace_upload(l->stream, out, values);
    }
    return out;
}

ace_tensor ace_load_vector(ace_loader *l, const char *name, int64_t n)
{
    return load_values(l, name, 1, n, 1);
}

ace_tensor ace_load_vector_repeated(ace_loader *l, const char *name, int64_t n, int64_t times)
{
    return load_values(l, name, 1, n, times);
}

ace_tensor ace_load_table(ace_loader *l, const char *name, int64_t rows, int64_t cols)
{
    return load_values(l, name, rows, cols, 1);
}

/* ---- matrices ------------------------------------------------------------------------------------------ */

/* Points a part at its tensor, or at made-up numbers at `made_up` (which is then moved on). */
static void place(const ace_loader *l, ace_matrix_part *part, const ace_weight *t, size_t n,
                  int64_t fan_in, uint16_t **made_up)
{
    if (t != NULL) {
        part->data = t->data;
        part->dtype = t->dtype;
    } else if (reads(l)) {
        make_up(*made_up, n, hash_name(part->name), sqrtf(3.0f / (float)fan_in));
        part->data = *made_up;
        part->dtype = ACE_BF16;
        *made_up += n;
    } else {
        part->dtype = ACE_BF16;
    }
}

static ace_matrix pack(ace_loader *l, const ace_matrix_shape *shape, const ace_matrix_part *parts,
                       int n_parts)
{
    ace_matrix none = {.shape = *shape};
    return works(l) ? ace_matrix_new(l->stream, shape, parts, n_parts) : none;
}

static void release(const ace_loader *l, const ace_weight *t)
{
    if (t != NULL && reads(l)) {
        ace_weights_release_pages(l->weights, t);
    }
}

ace_matrix ace_load_linear_fused(ace_loader *l, const char *const names[], const int64_t rows[],
                                 int n, int64_t cols, bool swiglu)
{
    ace_matrix_part parts[MAX_PARTS];
    const ace_weight *tensor[MAX_PARTS] = {NULL};
    ace_matrix_shape shape = {.cols = cols, .taps = 1, .dtype = l->matrix_dtype, .swiglu = swiglu};
    memset(parts, 0, sizeof parts);
    for (int i = 0; i < n; i++) {
        const int64_t dim[] = {rows[i], cols};
        parts[i] = (ace_matrix_part){
            .name = names[i], .rows = rows[i], .row_stride = cols, .col_stride = 1};
        shape.rows += rows[i];
        if (!ace_weights_is_synthetic(l->weights)) {
            tensor[i] = want(l, names[i], dim, 2);
        }
    }
    uint16_t *made_up = NULL;
    if (ace_weights_is_synthetic(l->weights) && reads(l)) {
        made_up = scratch(l, (size_t)(shape.rows * cols) * sizeof *made_up);
    }
    if (!works(l)) {
        ace_matrix none = {.shape = shape};
        return none;
    }
    for (int i = 0; i < n; i++) {
        place(l, &parts[i], tensor[i], (size_t)(rows[i] * cols), cols, &made_up);
    }
    ace_matrix m = pack(l, &shape, parts, n);
    for (int i = 0; i < n; i++) {
        release(l, tensor[i]);
    }
    return m;
}

ace_matrix ace_load_linear(ace_loader *l, const char *name, int64_t rows, int64_t cols)
{
    return ace_load_linear_fused(l, &name, &rows, 1, cols, false);
}

/* A tensor of three dimensions; block types cannot be addressed by element. */
static const ace_weight *want_3d(ace_loader *l, const char *name, int64_t a, int64_t b, int64_t c)
{
    const int64_t dim[] = {a, b, c};
    const ace_weight *t = want(l, name, dim, 3);
    if (t != NULL && ace_block_elements(t->dtype) > 1) {
        report(l, name, "block-quantised, but a convolution");
        return NULL;
    }
    return t;
}

/* A convolution's weights: stored plainly, or as direction v and norm g. */
typedef struct convolution {
    char v_name[NAME_BYTES];
    const ace_weight *v, *g; /* g NULL: plain */
    float *scale;            /* g / ‖v‖ per first dimension; owned */
    uint16_t *made_up;
    bool ready;
} convolution;

static void find_names(const ace_loader *l, const char *prefix, convolution *c, char *g_name)
{
    static const char *const spelling[][2] = {
        {"weight_v", "weight_g"},
        {"parametrizations.weight.original1", "parametrizations.weight.original0"},
    };
    for (int i = 0; i < 2; i++) {
        (void)snprintf(c->v_name, NAME_BYTES, "%s.%s", prefix, spelling[i][0]);
        (void)snprintf(g_name, NAME_BYTES, "%s.%s", prefix, spelling[i][1]);
        if (ace_weights_find(l->weights, c->v_name) != NULL) {
            return;
        }
    }
    (void)snprintf(c->v_name, NAME_BYTES, "%s.weight", prefix);
    if (ace_weights_find(l->weights, c->v_name) != NULL) {
        g_name[0] = '\0';
        return;
    }
    (void)snprintf(c->v_name, NAME_BYTES, "%s.weight_v", prefix); /* to be reported as missing */
    (void)snprintf(g_name, NAME_BYTES, "%s.weight_g", prefix);
}

/* scale[i] = g[i] / ‖v[i]‖ over all but the first dimension, in f64. */
static void fold_norm(ace_loader *l, convolution *c, int64_t first, int64_t per)
{
    float *row = scratch(l, (size_t)per * sizeof *row);
    c->scale = ace_malloc_array((size_t)first, sizeof *c->scale);
    if (row == NULL || c->scale == NULL) {
        ace_stream_fail(l->stream, ACESTEP_MEMORY, "%s: no host memory", c->v_name);
        return;
    }
    ace_decode_row(c->g->dtype, c->g->data, first, c->scale);
    const unsigned char *v = c->v->data;
    for (int64_t i = 0; i < first; i++) {
        double sum = 0;
        ace_decode_row(c->v->dtype, v + (size_t)(i * per) * ace_dtype_bytes(c->v->dtype), per, row);
        for (int64_t k = 0; k < per; k++) {
            sum += (double)row[k] * (double)row[k];
        }
        c->scale[i] = (float)((double)c->scale[i] / sqrt(sum));
        if (!isfinite(c->scale[i])) {
            ace_stream_fail(l->stream, ACESTEP_MODEL,
                            "%s: %s has a channel of norm zero or NaN; the file is damaged",
                            ace_weights_path(l->weights), c->v_name);
            return;
        }
    }
}

/* Stored shape [first, second, taps]. */
static void open_convolution(ace_loader *l, const char *prefix, int64_t first, int64_t second,
                             int64_t taps, int64_t fan_in, convolution *c)
{
    char g_name[NAME_BYTES];
    memset(c, 0, sizeof *c);
    if (ace_weights_is_synthetic(l->weights)) {
        (void)snprintf(c->v_name, NAME_BYTES, "%s.weight_v", prefix);
        if (reads(l)) {
            size_t n = (size_t)(first * second * taps);
            c->made_up = scratch(l, n * sizeof *c->made_up);
            if (c->made_up != NULL) {
                make_up(c->made_up, n, hash_name(c->v_name), sqrtf(3.0f / (float)fan_in));
            }
        }
        c->ready = works(l);
        return;
    }
    find_names(l, prefix, c, g_name);
    c->v = want_3d(l, c->v_name, first, second, taps);
    if (g_name[0] != '\0') {
        const int64_t dim[] = {first};
        c->g = want(l, g_name, dim, 1);
        if (c->g != NULL && c->v != NULL && reads(l)) {
            fold_norm(l, c, first, second * taps);
        }
    }
    c->ready = works(l);
}

static void close_convolution(const ace_loader *l, convolution *c)
{
    release(l, c->v);
    ace_free(c->scale);
}

static const unsigned char *element(const convolution *c, int64_t offset, ace_dtype *dtype)
{
    if (c->v != NULL) {
        *dtype = c->v->dtype;
        return (const unsigned char *)c->v->data + (size_t)offset * ace_dtype_bytes(*dtype);
    }
    *dtype = ACE_BF16;
    return c->made_up != NULL ? (const unsigned char *)(c->made_up + offset) : NULL;
}

ace_matrix ace_load_conv(ace_loader *l, const char *prefix, int64_t out, int64_t in, int taps)
{
    convolution c;
    ace_matrix_shape shape = {.rows = out, .cols = in, .taps = taps, .dtype = l->matrix_dtype};
    ace_matrix m = {.shape = shape};
    open_convolution(l, prefix, out, in, taps, in * taps, &c);
    if (c.ready) {
        ace_matrix_part part = {.name = c.v_name,
                                .rows = out,
                                .row_stride = in * taps,
                                .col_stride = taps,
                                .tap_stride = 1,
                                .row_scale = c.scale};
        part.data = element(&c, 0, &part.dtype);
        m = pack(l, &shape, &part, 1);
    }
    close_convolution(l, &c);
    return m;
}

ace_matrix ace_load_conv_transpose(ace_loader *l, const char *prefix, int64_t in, int64_t out,
                                   int64_t stride)
{
    convolution c;
    int64_t taps = 2 * stride;
    ace_matrix_shape shape = {
        .rows = stride * out, .cols = in, .taps = 2, .dtype = l->matrix_dtype};
    ace_matrix m = {.shape = shape};
    ace_matrix_part parts[MAX_PARTS];
    if (stride > MAX_PARTS) {
        ace_stream_fail(l->stream, ACESTEP_MODEL, "%s: a stride of %lld is more than %d", prefix,
                        (long long)stride, MAX_PARTS);
        return m;
    }
    open_convolution(l, prefix, in, out, taps, in * 2, &c);
    for (int64_t r = 0; c.ready && r < stride; r++) {
        parts[r] = (ace_matrix_part){.name = c.v_name,
                                     .rows = out,
                                     .row_stride = taps,
                                     .col_stride = out * taps,
                                     .tap_stride = -stride, /* tap 0 hears the earlier input */
                                     .col_scale = c.scale};
        parts[r].data = element(&c, r + stride, &parts[r].dtype);
    }
    if (c.ready) {
        m = pack(l, &shape, parts, (int)stride);
    }
    close_convolution(l, &c);
    return m;
}

ace_matrix ace_load_unpatch(ace_loader *l, const char *prefix, int64_t in, int64_t out,
                            int64_t stride)
{
    convolution c;
    ace_matrix_shape shape = {
        .rows = stride * out, .cols = in, .taps = 1, .dtype = l->matrix_dtype};
    ace_matrix m = {.shape = shape};
    ace_matrix_part parts[MAX_PARTS];
    if (stride > MAX_PARTS) {
        ace_stream_fail(l->stream, ACESTEP_MODEL, "%s: a patch of %lld is more than %d", prefix,
                        (long long)stride, MAX_PARTS);
        return m;
    }
    open_convolution(l, prefix, in, out, stride, in, &c);
    for (int64_t r = 0; c.ready && r < stride; r++) {
        parts[r] = (ace_matrix_part){.name = c.v_name,
                                     .rows = out,
                                     .row_stride = stride,
                                     .col_stride = out * stride,
                                     .col_scale = c.scale};
        parts[r].data = element(&c, r, &parts[r].dtype);
    }
    if (c.ready) {
        m = pack(l, &shape, parts, (int)stride);
    }
    close_convolution(l, &c);
    return m;
}
