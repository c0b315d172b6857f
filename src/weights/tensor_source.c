#include "weights/tensor_source.h"

#include "base/block_formats.h"
#include "base/memory.h"
#include "weights/synthetic.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Row i + 1 of a made-up tensor is row i moved on by this many numbers: a few million numbers serve
 * for the largest matrix. A prime, so that no period of the model falls together with it. */
enum { SYNTHETIC_STEP = 61 };

/* The report keeps to this length, to fit into a message together with the file's path. */
enum { REPORT_BYTES = 600 };

static void append(char *report, const char *text)
{
    static const char more[] = ", and more";
    size_t used = strlen(report);
    const char *separator = used > 0 ? ", " : "";
    if (used >= sizeof more && strcmp(report + used + 1 - sizeof more, more) == 0) {
        return;
    }
    if (used + strlen(separator) + strlen(text) > REPORT_BYTES) {
        separator = "";
        text = more;
    }
    (void)snprintf(report + used, REPORT_BYTES + sizeof more - used, "%s%s", separator, text);
}

void ace_loader_problem(ace_loader *l, const char *format, ...)
{
    char text[300];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    append(l->report, text);
    l->problems++;
}

bool ace_loader_is_synthetic(const ace_loader *l)
{
    return l->weights == NULL || ace_weights_is_synthetic(l->weights);
}

bool ace_loader_reserve_scratch(ace_loader *l, size_t n)
{
    if (n <= l->scratch_bytes / sizeof(float)) {
        return true;
    }
    ace_free(l->scratch); /* its content is of no use any more: no need to copy it */
    l->scratch_bytes = 0;
    l->scratch = ace_malloc_array(n, sizeof(float));
    if (l->scratch == NULL) {
        ace_stream_fail(l->stream, ACESTEP_MEMORY,
                        "loading weights: no host memory for %zu numbers", n);
        return false;
    }
    l->scratch_bytes = n * sizeof(float);
    return true;
}

/* The next dimension that is not 1, or 1 after the last. */
static int64_t next_dim(const int64_t *dims, int rank, int *at)
{
    while (*at < rank && dims[*at] == 1) {
        (*at)++;
    }
    return *at < rank ? dims[(*at)++] : 1;
}

static bool same_dims(const ace_weight *w, const int64_t *dims, int rank)
{
    int a = 0;
    int b = 0;
    while (a < w->rank || b < rank) {
        if (next_dim(w->dim, w->rank, &a) != next_dim(dims, rank, &b)) {
            return false;
        }
    }
    return true;
}

static void format_dims(const int64_t *dims, int rank, char *out, size_t size)
{
    size_t used = 0;
    out[0] = '\0';
    for (int i = 0; i < rank && used < size; i++) {
        used += (size_t)snprintf(out + used, size - used, i == 0 ? "%lld" : ", %lld",
                                 (long long)dims[i]);
    }
}

static bool is_number_type(ace_dtype t)
{
    return t == ACE_F32 || t == ACE_BF16 || t == ACE_F16 || t == ACE_I8 ||
           ace_block_elements(t) > 1;
}

/* int8 numbers X come with their scales, f32 "X_scale" [leading]. */
static const ace_weight *find_scale(const ace_loader *l, const char *name, const ace_weight *w,
                                    int64_t leading)
{
    char scale_name[300];
    (void)snprintf(scale_name, sizeof scale_name, "%s_scale", name);
    const ace_weight *scale =
        w != NULL && w->dtype == ACE_I8 ? ace_weights_find(l->weights, scale_name) : NULL;
    bool fits = scale != NULL && scale->dtype == ACE_F32 && same_dims(scale, &leading, 1);
    return fits ? scale : NULL;
}

static bool check(ace_loader *l, const char *name, const ace_weight *w, const int64_t *dims,
                  int rank)
{
    if (w == NULL) {
        ace_loader_problem(l, "%s (missing)", name);
        return false;
    }
    if (!same_dims(w, dims, rank)) {
        char found[96];
        char expected[96];
        format_dims(w->dim, w->rank, found, sizeof found);
        format_dims(dims, rank, expected, sizeof expected);
        ace_loader_problem(l, "%s (shape [%s], expected [%s])", name, found, expected);
        return false;
    }
    if (w->dtype == ACE_I8 && find_scale(l, name, w, dims[0]) == NULL) {
        ace_loader_problem(l, "%s (int8 without %s_scale, one f32 per row)", name, name);
        return false;
    }
    if (!is_number_type(w->dtype)) {
        ace_loader_problem(l, "%s (type %s)", name, ace_dtype_name(w->dtype));
        return false;
    }
    return true;
}

bool ace_source_find(ace_loader *l, const char *name, const int64_t *dims, int rank,
                     ace_tensor_source *out)
{
    memset(out, 0, sizeof *out);
    (void)snprintf(out->name, sizeof out->name, "%s", name);
    if (l->listener != NULL) {
        l->listener(l->listener_context, name, dims, rank);
    }
    out->leading = dims[0];
    out->rest = 1;
    for (int i = 1; i < rank; i++) {
        out->rest *= dims[i];
    }
    if (ace_loader_is_synthetic(l)) {
        (void)snprintf(out->label, sizeof out->label, "%s", name);
        return true;
    }
    (void)snprintf(out->label, sizeof out->label, "%.250s: %s", ace_weights_path(l->weights), name);
    out->weight = ace_weights_find(l->weights, name);
    out->scale = find_scale(l, name, out->weight, dims[0]);
    return check(l, name, out->weight, dims, rank);
}

bool ace_source_select(ace_loader *l, ace_tensor_source *s, int64_t first, int64_t n)
{
    if (first < 0 || n <= 0 || first > s->leading - n) {
        ace_loader_problem(l, "%s (no rows %lld to %lld)", s->name, (long long)first,
                           (long long)(first + n - 1));
        return false;
    }
    if (s->weight != NULL && first * s->rest % ace_block_elements(s->weight->dtype) != 0) {
        ace_loader_problem(l, "%s (row %lld starts inside a block)", s->name, (long long)first);
        return false;
    }
    s->first = first;
    s->leading = n;
    return true;
}

/* The first wanted number in the file. */
static const void *wanted_data(const ace_tensor_source *s)
{
    ace_dtype dtype = s->weight->dtype;
    int64_t block = ace_block_elements(dtype);
    size_t bytes = block > 1 ? ace_block_bytes(dtype) : ace_dtype_bytes(dtype);
    return (const unsigned char *)s->weight->data + (size_t)(s->first * s->rest / block) * bytes;
}

/* Numbers that do not go to the packer as they stand in the file. */
static bool is_decoded(const ace_tensor_source *s, bool keep_blocks)
{
    int64_t block = ace_block_elements(s->weight->dtype);
    bool is_coded = block > 1 || s->scale != NULL;
    return is_coded && !(keep_blocks && s->rest % block == 0);
}

size_t ace_source_scratch_floats(const ace_loader *l, const ace_tensor_source *s, bool keep_blocks)
{
    if (!l->stream->device->computes) {
        return 0;
    }
    if (s->weight == NULL) {
        return (size_t)s->leading * SYNTHETIC_STEP + (size_t)s->rest;
    }
    size_t scales = s->scale != NULL ? (size_t)s->leading : 0;
    return scales + (is_decoded(s, keep_blocks) ? (size_t)s->leading * (size_t)s->rest : 0);
}

static void make_up_numbers(ace_tensor_source *s, float spread, float *scratch)
{
    s->leading_stride = SYNTHETIC_STEP;
    /* numbers of their own for other rows: seeds are far apart */
    uint64_t seed = ace_synthetic_seed(s->name) + ((uint64_t)s->first << 32);
    ace_synthetic_fill(seed, spread, scratch, s->leading * SYNTHETIC_STEP + s->rest);
}

static void decode(ace_tensor_source *s, float *out)
{
    ace_decode_row(s->weight->dtype, wanted_data(s), s->leading * s->rest, out);
    for (int64_t i = 0; s->row_scale != NULL && i < s->leading; i++) {
        for (int64_t k = 0; k < s->rest; k++) {
            out[i * s->rest + k] *= s->row_scale[i];
        }
    }
    s->row_scale = NULL;
}

void ace_source_read(const ace_loader *l, ace_tensor_source *s, bool keep_blocks, float spread,
                     float *scratch)
{
    s->dtype = ACE_F32;
    s->leading_stride = s->rest;
    if (!l->stream->device->computes) {
        return;
    }
    if (s->scale != NULL) { /* the file's own need not be aligned */
        const unsigned char *scales = s->scale->data;
        memcpy(scratch, scales + (size_t)s->first * sizeof(float),
               (size_t)s->leading * sizeof(float));
        s->row_scale = scratch;
        scratch += s->leading;
    }
    s->data = scratch;
    if (s->weight == NULL) {
        make_up_numbers(s, spread, scratch);
    } else if (is_decoded(s, keep_blocks)) {
        decode(s, scratch);
    } else {
        s->data = wanted_data(s);
        s->dtype = s->weight->dtype;
    }
}

void ace_source_release(const ace_loader *l, const ace_tensor_source *s)
{
    if (s->weight != NULL && l->stream->device->computes) {
        ace_weights_release_pages(l->weights, s->weight);
    }
}
