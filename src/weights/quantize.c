#include "weights/quantize.h"

#include "base/block_formats.h"
#include "base/file_write.h"
#include "base/memory.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct quantising {
    const ace_weights *from;
    ace_quantise_choice *choose;
    ace_quantise_progress *progress;
    void *context;
    char *header; /* text, padded to a multiple of 8 */
    size_t header_bytes;
} quantising;

static bool is_chosen(const quantising *q, const ace_weight *w)
{
    bool is_float = w->dtype == ACE_F32 || w->dtype == ACE_BF16 || w->dtype == ACE_F16;
    return w->rank == 2 && is_float && w->dim[0] > 0 && w->dim[1] > 0 && q->choose(w->name);
}

/* ---- header ---------------------------------------------------------------------------------- */

/* The format's names of types; NULL for what it does not know. */
static const char *type_name(ace_dtype dtype)
{
    switch (dtype) {
    case ACE_F32:
        return "F32";
    case ACE_BF16:
        return "BF16";
    case ACE_F16:
        return "F16";
    case ACE_I8:
        return "I8";
    case ACE_I64:
        return "I64";
    default:
        return NULL;
    }
}

static void describe(json_t *root, const char *name, const char *type, int rank, const int64_t *dim,
                     size_t bytes, size_t *offset)
{
    json_t *shape = json_array();
    for (int i = 0; i < rank; i++) {
        json_array_append_new(shape, json_integer((json_int_t)dim[i]));
    }
    json_object_set_new(root, name,
                        json_pack("{s:s, s:o, s:[I, I]}", "dtype", type, "shape", shape,
                                  "data_offsets", (json_int_t)*offset,
                                  (json_int_t)(*offset + bytes)));
    *offset += bytes;
}

static ace_status make_header(quantising *q, ace_error *err)
{
    json_t *root = json_object();
    size_t offset = 0;
    char name[320];
    for (size_t i = 0; i < ace_weights_count(q->from); i++) {
        const ace_weight *w = ace_weights_at(q->from, i);
        if (type_name(w->dtype) == NULL) {
            json_decref(root);
            return ace_fail(err, ACESTEP_UNSUPPORTED,
                            "%s: %.80s is stored in blocks: these weights are quantised already",
                            ace_weights_path(q->from), w->name);
        }
        if (is_chosen(q, w)) {
            (void)snprintf(name, sizeof name, "%.300s_scale", w->name);
            describe(root, name, "F32", 1, w->dim, (size_t)w->dim[0] * sizeof(float), &offset);
            describe(root, w->name, "I8", 2, w->dim, (size_t)(w->dim[0] * w->dim[1]), &offset);
        } else {
            describe(root, w->name, type_name(w->dtype), w->rank, w->dim, w->bytes, &offset);
        }
    }
    char *text = json_dumps(root, JSON_COMPACT);
    json_decref(root);
    if (text == NULL) {
        return ace_fail(err, ACESTEP_MEMORY, "quantize: no host memory for the header");
    }
    size_t length = strlen(text);
    q->header_bytes = (length + 7) / 8 * 8;
    q->header = ace_malloc_array(q->header_bytes, 1);
    if (q->header != NULL) {
        memset(q->header, ' ', q->header_bytes);
        memcpy(q->header, text, length);
    }
    free(text);
    return q->header != NULL
               ? ACESTEP_OK
               : ace_fail(err, ACESTEP_MEMORY, "quantize: no host memory for the header");
}

/* ---- data ------------------------------------------------------------------------------------ */

/* Scale of a row: the largest magnitude over 127. False for NaN or infinity. */
static bool scale_of(const float *row, int64_t n, float *scale)
{
    float peak = 0;
    for (int64_t i = 0; i < n; i++) {
        if (!isfinite(row[i])) {
            return false;
        }
        peak = fmaxf(peak, fabsf(row[i]));
    }
    *scale = peak / 127.0f;
    return true;
}

static void quantise_row(const float *row, int64_t n, float scale, int8_t *out)
{
    float divisor = scale > 0 ? scale : INFINITY;
    for (int64_t i = 0; i < n; i++) {
        float value = nearbyintf(row[i] / divisor);
        value = value > 127.0f ? 127.0f : value;
        value = value < -127.0f ? -127.0f : value;
        out[i] = (int8_t)value;
    }
}

/* All scales come first: they are needed before the rows' numbers, and are few. */
static ace_status put_matrix(const quantising *q, const ace_weight *w, ace_file_sink *sink,
                             ace_error *err)
{
    int64_t rows = w->dim[0];
    int64_t cols = w->dim[1];
    size_t row_bytes = (size_t)cols * ace_dtype_bytes(w->dtype);
    const unsigned char *data = w->data;
    float *scales = ace_malloc_array((size_t)rows, sizeof *scales);
    float *row = ace_malloc_array((size_t)cols, sizeof *row);
    int8_t *out = ace_malloc_array((size_t)cols, sizeof *out);
    ace_status status = ACESTEP_OK;
    if (scales == NULL || row == NULL || out == NULL) {
        status = ace_fail(err, ACESTEP_MEMORY, "quantize: no host memory for a row of %s", w->name);
    }
    for (int64_t r = 0; r < rows && status == ACESTEP_OK; r++) {
        ace_decode_row(w->dtype, data + (size_t)r * row_bytes, cols, row);
        if (!scale_of(row, cols, &scales[r])) {
            status =
                ace_fail(err, ACESTEP_MODEL, "%s: %.80s holds NaN or infinity; the file is damaged",
                         ace_weights_path(q->from), w->name);
        }
    }
    if (status == ACESTEP_OK) {
        ace_file_put(sink, scales, (size_t)rows * sizeof *scales);
    }
    for (int64_t r = 0; r < rows && status == ACESTEP_OK; r++) {
        ace_decode_row(w->dtype, data + (size_t)r * row_bytes, cols, row);
        quantise_row(row, cols, scales[r], out);
        ace_file_put(sink, out, (size_t)cols);
    }
    ace_free(scales);
    ace_free(row);
    ace_free(out);
    return status;
}

static ace_status put_file(void *context, ace_file_sink *sink, ace_error *err)
{
    const quantising *q = context;
    unsigned char length[8];
    size_t count = ace_weights_count(q->from);
    for (int i = 0; i < 8; i++) {
        length[i] = (unsigned char)(q->header_bytes >> (8 * i));
    }
    ace_file_put(sink, length, sizeof length);
    ace_file_put(sink, q->header, q->header_bytes);
    ace_status status = ACESTEP_OK;
    for (size_t i = 0; i < count && status == ACESTEP_OK; i++) {
        const ace_weight *w = ace_weights_at(q->from, i);
        if (is_chosen(q, w)) {
            status = put_matrix(q, w, sink, err);
        } else {
            ace_file_put(sink, w->data, w->bytes);
        }
        ace_weights_release_pages(q->from, w);
        if (status == ACESTEP_OK && q->progress != NULL &&
            !q->progress(q->context, (double)(i + 1) / (double)count)) {
            status = ace_fail(err, ACESTEP_CANCELLED, "cancelled");
        }
    }
    return status;
}

ace_status ace_quantise_file(const ace_weights *from, ace_quantise_choice *choose, const char *path,
                             ace_quantise_progress *progress, void *context, ace_error *err)
{
    quantising q = {.from = from, .choose = choose, .progress = progress, .context = context};
    ace_status status = make_header(&q, err);
    if (status == ACESTEP_OK) {
        status = ace_file_write_pieces(path, put_file, &q, err);
    }
    ace_free(q.header);
    return status;
}
