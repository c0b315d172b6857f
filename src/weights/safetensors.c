/* safetensors: u64 header length, a JSON header {name: {dtype, shape, data_offsets}}, then the data. */
#include "base/memory.h"
#include "weights/source.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

enum { LARGEST_HEADER = 64 << 20 };

static bool parse_dtype(const char *name, ace_dtype *out)
{
    static const struct {
        const char *name;
        ace_dtype dtype;
    } known[] = {{"F32", ACE_F32}, {"BF16", ACE_BF16}, {"F16", ACE_F16}, {"F64", ACE_F64},
                 {"I64", ACE_I64}, {"I32", ACE_I32},   {"I8", ACE_I8},   {"U8", ACE_U8},
                 {"BOOL", ACE_U8}};
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

static ace_status parse_tensor(ace_weights *w, const char *name, json_t *entry,
                               const unsigned char *data, size_t bytes, const char *path,
                               ace_error *err)
{
    ace_weight t = {.name = name};
    const char *dtype = json_string_value(json_object_get(entry, "dtype"));
    uint64_t begin = 0;
    uint64_t end = 0;
    size_t elements = 0;
    if (dtype == NULL || !parse_shape(json_object_get(entry, "shape"), &t) ||
        !parse_offsets(json_object_get(entry, "data_offsets"), &begin, &end)) {
        return ace_fail(err, ACESTEP_MODEL, "%s: the header's entry for %.100s is malformed", path,
                        name);
    }
    if (!parse_dtype(dtype, &t.dtype)) {
        return ace_fail(err, ACESTEP_MODEL, "%s: %.100s has the unknown type %.20s", path, name,
                        dtype);
    }
    if (end > bytes) {
        return ace_fail(err, ACESTEP_MODEL,
                        "%s: cut short: %.100s ends at byte %llu of the data, the file holds %zu; "
                        "download it again",
                        path, name, (unsigned long long)end, bytes);
    }
    t.bytes = (size_t)(end - begin);
    if (!ace_weights_elements(&t, &elements) ||
        elements > SIZE_MAX / ace_dtype_bytes(t.dtype) ||
        elements * ace_dtype_bytes(t.dtype) != t.bytes) {
        return ace_fail(err, ACESTEP_MODEL, "%s: %.100s: shape and data size do not agree", path,
                        name);
    }
    t.data = data + begin;
    return ace_weights_add(w, &t, err);
}

static ace_status parse_metadata(ace_weights *w, json_t *metadata, ace_error *err)
{
    const char *key = NULL;
    json_t *value = NULL;
    json_object_foreach(metadata, key, value) {
        if (json_is_string(value)) {
            ace_status status = ace_weights_add_metadata(w, key, json_string_value(value), err);
            if (status != ACESTEP_OK) {
                return status;
            }
        }
    }
    return ACESTEP_OK;
}

static ace_status parse_header(ace_weights *w, json_t *root, const unsigned char *data,
                               size_t bytes, const char *path, ace_error *err)
{
    const char *name = NULL;
    json_t *entry = NULL;
    json_object_foreach(root, name, entry) {
        ace_status status = strcmp(name, "__metadata__") == 0
                                ? parse_metadata(w, entry, err)
                                : parse_tensor(w, name, entry, data, bytes, path, err);
        if (status != ACESTEP_OK) {
            return status;
        }
    }
    return ACESTEP_OK;
}

ace_status ace_safetensors_parse(ace_weights *w, const unsigned char *data, size_t bytes,
                                 const char *path, ace_error *err)
{
    uint64_t header = 0;
    if (bytes < 8) {
        return ace_fail(err, ACESTEP_MODEL,
                        "%s: %zu bytes are no safetensors file; download it again", path, bytes);
    }
    for (int i = 0; i < 8; i++) {
        header |= (uint64_t)data[i] << (8 * i);
    }
    if (header > LARGEST_HEADER) {
        return ace_fail(err, ACESTEP_MODEL, "%s: not a safetensors file (header of %llu bytes)",
                        path, (unsigned long long)header);
    }
    if (header > bytes - 8) {
        return ace_fail(err, ACESTEP_MODEL,
                        "%s: cut short: the header needs %llu bytes, the file holds %zu; download it "
                        "again",
                        path, (unsigned long long)header, bytes - 8);
    }
    json_error_t where;
    json_t *root = json_loadb((const char *)data + 8, (size_t)header, JSON_REJECT_DUPLICATES, &where);
    if (!json_is_object(root)) {
        json_decref(root);
        return ace_fail(err, ACESTEP_MODEL, "%s: damaged header: %s", path,
                        root == NULL ? where.text : "not an object");
    }
    ace_status status =
        parse_header(w, root, data + 8 + header, bytes - 8 - (size_t)header, path, err);
    json_decref(root);
    return status;
}
