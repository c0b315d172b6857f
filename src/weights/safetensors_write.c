#include "weights/safetensors_write.h"

#include "base/file_write.h"
#include "base/memory.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static json_t *describe(const ace_weight *t, size_t offset)
{
    json_t *shape = json_array();
    for (int i = 0; i < t->rank; i++) {
        json_array_append_new(shape, json_integer(t->dim[i]));
    }
    return json_pack("{s:s, s:o, s:[I, I]}", "dtype", t->dtype == ACE_I64 ? "I64" : "F32", "shape",
                     shape, "data_offsets", (json_int_t)offset, (json_int_t)(offset + t->bytes));
}

/* The header's text, padded with spaces to a multiple of 8 so that the data is aligned. */
static char *make_header(const ace_weight *tensors, size_t n, size_t *bytes)
{
    json_t *root = json_object();
    size_t offset = 0;
    for (size_t i = 0; i < n; i++) {
        json_object_set_new(root, tensors[i].name, describe(&tensors[i], offset));
        offset += tensors[i].bytes;
    }
    char *text = json_dumps(root, JSON_COMPACT);
    json_decref(root);
    if (text == NULL) {
        return NULL;
    }
    size_t length = strlen(text);
    *bytes = (length + 7) / 8 * 8;
    char *padded = ace_malloc_array(*bytes, 1);
    if (padded != NULL) {
        memset(padded, ' ', *bytes);
        memcpy(padded, text, length);
    }
    free(text);
    return padded;
}

ace_status ace_safetensors_write(const char *path, const ace_weight *tensors, size_t n,
                                 ace_error *err)
{
    size_t header_bytes = 0;
    size_t data_bytes = 0;
    char *header = make_header(tensors, n, &header_bytes);
    for (size_t i = 0; i < n; i++) {
        data_bytes += tensors[i].bytes;
    }
    unsigned char *file =
        header != NULL ? ace_malloc_array(8 + header_bytes + data_bytes, 1) : NULL;
    if (file == NULL) {
        ace_free(header);
        return ace_fail(err, ACESTEP_MEMORY, "%s: no host memory", path);
    }
    for (int i = 0; i < 8; i++) {
        file[i] = (unsigned char)(header_bytes >> (8 * i));
    }
    memcpy(file + 8, header, header_bytes);
    unsigned char *at = file + 8 + header_bytes;
    for (size_t i = 0; i < n; i++) {
        memcpy(at, tensors[i].data, tensors[i].bytes);
        at += tensors[i].bytes;
    }
    ace_status status = ace_file_write(path, file, 8 + header_bytes + data_bytes, err);
    ace_free(file);
    ace_free(header);
    return status;
}
