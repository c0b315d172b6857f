/* safetensors: u64 header length, a JSON header {name: {dtype, shape, data_offsets}}, then the
 * data. */
#include "base/json.h"
#include "weights/source.h"

#include <string.h>

/* More than this and the first bytes are no length: the file is of another kind. */
enum { LARGEST_HEADER = 16 << 20 };

static bool parse_dtype(const char *name, ace_dtype *out)
{
    static const struct {
        const char *name;
        ace_dtype dtype;
    } known[] = {{"F32", ACE_F32}, {"BF16", ACE_BF16}, {"F16", ACE_F16},
                 {"F64", ACE_F64}, {"I64", ACE_I64},   {"I32", ACE_I32},
                 {"I8", ACE_I8},   {"U8", ACE_U8},     {"BOOL", ACE_U8}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(name, known[i].name) == 0) {
            *out = known[i].dtype;
            return true;
        }
    }
    return false;
}

static bool parse_shape(json_t *shape, ace_weight *t)
{
    size_t rank = json_array_size(shape);
    if (!json_is_array(shape) || rank > 4) {
        return false;
    }
    t->rank = (int)rank;
    for (size_t i = 0; i < rank; i++) {
        json_t *dim = json_array_get(shape, i);
        if (!json_is_integer(dim) || json_integer_value(dim) < 0) {
            return false;
        }
        t->dim[i] = json_integer_value(dim);
    }
    return true;
}

static bool parse_offsets(json_t *offsets, uint64_t *begin, uint64_t *end)
{
    json_t *first = json_array_get(offsets, 0);
    json_t *second = json_array_get(offsets, 1);
    if (json_array_size(offsets) != 2 || !json_is_integer(first) || !json_is_integer(second) ||
        json_integer_value(first) < 0 || json_integer_value(second) < json_integer_value(first)) {
        return false;
    }
    *begin = (uint64_t)json_integer_value(first);
    *end = (uint64_t)json_integer_value(second);
    return true;
}

/* One file while its header is read. */
typedef struct header {
    ace_weights *weights;
    json_t *root;
    const unsigned char *data; /* behind the header */
    size_t data_bytes;
    size_t start; /* of the data, in the file */
    const char *path;
    ace_error *err;
} header;

/* Says how long the whole file is: the last byte that any tensor claims. */
static ace_status cut_short(const header *h)
{
    uint64_t whole = 0;
    const char *name = NULL;
    json_t *entry = NULL;
    json_object_foreach (h->root, name, entry) {
        uint64_t begin = 0;
        uint64_t end = 0;
        if (parse_offsets(json_object_get(entry, "data_offsets"), &begin, &end) && end > whole) {
            whole = end;
        }
    }
    return ace_fail(h->err, ACESTEP_MODEL,
                    "%s: cut short: %llu bytes are expected, %zu are there; download it again",
                    h->path, (unsigned long long)whole + h->start, h->start + h->data_bytes);
}

static ace_status parse_tensor(const header *h, const char *name, json_t *entry)
{
    ace_weight t = {.name = name};
    const char *dtype = json_string_value(json_object_get(entry, "dtype"));
    uint64_t begin = 0;
    uint64_t end = 0;
    size_t elements = 0;
    if (dtype == NULL || !parse_shape(json_object_get(entry, "shape"), &t) ||
        !parse_offsets(json_object_get(entry, "data_offsets"), &begin, &end)) {
        return ace_fail(h->err, ACESTEP_MODEL, "%s: the header's entry for %.100s is malformed",
                        h->path, name);
    }
    if (!parse_dtype(dtype, &t.dtype)) {
        return ace_fail(h->err, ACESTEP_MODEL, "%s: %.100s has the unknown type %.20s", h->path,
                        name, dtype);
    }
    if (end > h->data_bytes) {
        return cut_short(h);
    }
    t.bytes = (size_t)(end - begin);
    if (!ace_weights_elements(&t, &elements) || elements > SIZE_MAX / ace_dtype_bytes(t.dtype) ||
        elements * ace_dtype_bytes(t.dtype) != t.bytes) {
        return ace_fail(h->err, ACESTEP_MODEL, "%s: %.100s: shape and data size do not agree",
                        h->path, name);
    }
    t.data = h->data + begin;
    return ace_weights_add(h->weights, &t, h->err);
}

static ace_status parse_metadata(const header *h, json_t *metadata)
{
    const char *key = NULL;
    json_t *value = NULL;
    json_object_foreach (metadata, key, value) {
        if (json_is_string(value)) {
            ace_status status =
                ace_weights_add_metadata(h->weights, key, json_string_value(value), h->err);
            if (status != ACESTEP_OK) {
                return status;
            }
        }
    }
    return ACESTEP_OK;
}

static ace_status parse_header(const header *h)
{
    const char *name = NULL;
    json_t *entry = NULL;
    json_object_foreach (h->root, name, entry) {
        ace_status status = strcmp(name, "__metadata__") == 0 ? parse_metadata(h, entry)
                                                              : parse_tensor(h, name, entry);
        if (status != ACESTEP_OK) {
            return status;
        }
    }
    return ACESTEP_OK;
}

static uint64_t read_u64(const unsigned char *p)
{
    uint64_t value = 0;
    for (int i = 0; i < 8; i++) {
        value |= (uint64_t)p[i] << (8 * i);
    }
    return value;
}

ace_status ace_safetensors_parse(ace_weights *w, const unsigned char *data, size_t bytes,
                                 const char *path, ace_error *err)
{
    if (bytes < 8) {
        return ace_fail(err, ACESTEP_MODEL,
                        "%s: cut short: %zu bytes are no safetensors file; download it again", path,
                        bytes);
    }
    uint64_t length = read_u64(data);
    if (length > LARGEST_HEADER) {
        return ace_fail(err, ACESTEP_MODEL, "%s: not a safetensors file (header of %llu bytes)",
                        path, (unsigned long long)length);
    }
    if (length > bytes - 8) {
        return ace_fail(err, ACESTEP_MODEL,
                        "%s: cut short: the header alone is %llu bytes, %zu are there; download it "
                        "again",
                        path, (unsigned long long)length + 8, bytes);
    }
    header h = {.weights = w,
                .start = 8 + (size_t)length,
                .data_bytes = bytes - 8 - (size_t)length,
                .data = data + 8 + length,
                .path = path,
                .err = err};
    ace_status status =
        ace_json_parse_object((const char *)data + 8, (size_t)length, path, &h.root, err);
    if (status == ACESTEP_OK) {
        status = parse_header(&h);
    }
    json_decref(h.root);
    return status;
}
