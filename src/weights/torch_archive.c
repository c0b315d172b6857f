#include "weights/torch_archive.h"

#include "base/block_formats.h"
#include "base/dtype.h"
#include "base/file_map.h"
#include "base/memory.h"

#include <math.h>
#include <string.h>

/* ZIP application note 4.3: sizes of the fixed parts of its records */
enum { END_BYTES = 22, CENTRAL_BYTES = 46, LOCAL_BYTES = 30, LONGEST_COMMENT = 65535 };

static uint32_t u16(const unsigned char *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static uint32_t u32(const unsigned char *p)
{
    return u16(p) | u16(p + 2) << 16;
}

static ace_status damaged(const char *path, const char *what, ace_error *err)
{
    return ace_fail(err, ACESTEP_MODEL, "%s: not a whole PyTorch file (%s); download it again",
                    path, what);
}

/* The end-of-central-directory record lies at the end, behind it at most a comment. */
static const unsigned char *find_end(const unsigned char *data, size_t bytes)
{
    for (size_t back = END_BYTES; back <= bytes && back <= END_BYTES + LONGEST_COMMENT; back++) {
        const unsigned char *p = data + bytes - back;
        if (u32(p) == 0x06054b50u) {
            return p;
        }
    }
    return NULL;
}

static int ends_in_data_0(const unsigned char *name, size_t n)
{
    return n >= 7 && memcmp(name + n - 7, "/data/0", 7) == 0;
}

/* The stored bytes of an entry: its local header has lengths of its own. */
static ace_status locate(const unsigned char *data, size_t bytes, const char *path,
                         const unsigned char *central, const unsigned char **entry,
                         size_t *entry_bytes, ace_error *err)
{
    size_t compressed = u32(central + 20);
    size_t size = u32(central + 24);
    size_t offset = u32(central + 42);
    if (u16(central + 10) != 0 || compressed != size) {
        return damaged(path, "its numbers are compressed", err);
    }
    if (offset > bytes || bytes - offset < LOCAL_BYTES || u32(data + offset) != 0x04034b50u) {
        return damaged(path, "an entry points nowhere", err);
    }
    size_t skip = LOCAL_BYTES + u16(data + offset + 26) + u16(data + offset + 28);
    if (bytes - offset < skip || bytes - offset - skip < size) {
        return damaged(path, "it is cut short", err);
    }
    *entry = data + offset + skip;
    *entry_bytes = size;
    return ACESTEP_OK;
}

ace_status ace_torch_archive_find(const unsigned char *data, size_t bytes, const char *path,
                                  const unsigned char **entry, size_t *entry_bytes, ace_error *err)
{
    const unsigned char *end = bytes >= END_BYTES ? find_end(data, bytes) : NULL;
    if (end == NULL) {
        return damaged(path, "no zip directory", err);
    }
    uint32_t entries = u16(end + 10);
    size_t at = u32(end + 16);
    size_t limit = (size_t)(end - data);
    for (uint32_t i = 0; i < entries; i++) {
        if (at > limit || limit - at < CENTRAL_BYTES || u32(data + at) != 0x02014b50u) {
            return damaged(path, "broken zip directory", err);
        }
        const unsigned char *central = data + at;
        size_t name = u16(central + 28);
        size_t whole = CENTRAL_BYTES + name + u16(central + 30) + u16(central + 32);
        if (limit - at < whole) {
            return damaged(path, "broken zip directory", err);
        }
        if (ends_in_data_0(central + CENTRAL_BYTES, name)) {
            return locate(data, bytes, path, central, entry, entry_bytes, err);
        }
        at += whole;
    }
    return damaged(path, "no tensor in it", err);
}

static ace_status transpose(const unsigned char *entry, size_t bytes, int64_t channels,
                            const char *path, float **out, int64_t *frames, ace_error *err)
{
    size_t row = (size_t)channels * sizeof(float);
    if (bytes == 0 || bytes % row != 0) {
        return ace_fail(err, ACESTEP_MODEL, "%s: %zu bytes are no [1, %lld, frames] of f32", path,
                        bytes, (long long)channels);
    }
    int64_t n = (int64_t)(bytes / row);
    float *values = ace_malloc_array(bytes, 1);
    if (values == NULL) {
        return ace_fail(err, ACESTEP_MEMORY, "%s: no host memory", path);
    }
    for (int64_t c = 0; c < channels; c++) {
        for (int64_t t = 0; t < n; t++) {
            float v = ace_f32_from_bits(u32(entry + (size_t)(c * n + t) * sizeof v));
            if (!isfinite(v)) {
                ace_free(values);
                return ace_fail(err, ACESTEP_MODEL,
                                "%s: holds NaN or infinity; the file is damaged", path);
            }
            values[t * channels + c] = v;
        }
    }
    *out = values;
    *frames = n;
    return ACESTEP_OK;
}

ace_status ace_silence_latent_load(const char *path, int64_t channels, float **out, int64_t *frames,
                                   ace_error *err)
{
    ace_file file;
    ace_error unreadable = {.code = ACESTEP_OK};
    const unsigned char *entry = NULL;
    size_t bytes = 0;
    *out = NULL;
    if (ace_file_open(path, &file, &unreadable) != ACESTEP_OK) {
        return ace_fail(err, ACESTEP_MODEL, "%s", unreadable.message);
    }
    ace_status status = ace_torch_archive_find(file.data, file.bytes, path, &entry, &bytes, err);
    if (status == ACESTEP_OK) {
        status = transpose(entry, bytes, channels, path, out, frames, err);
    }
    ace_file_close(&file);
    return status;
}

ace_status ace_silence_latent_from_weights(const ace_weights *w, int64_t channels, float **out,
                                           int64_t *frames, ace_error *err)
{
    const ace_weight *t = ace_weights_find(w, "silence_latent");
    *out = NULL;
    if (t == NULL || t->rank != 2 || t->dim[1] != channels || t->dim[0] < 1 ||
        ace_block_elements(t->dtype) != 1) {
        return ace_fail(err, ACESTEP_MODEL, "%s: silence_latent is missing or not [frames, %lld]",
                        ace_weights_path(w), (long long)channels);
    }
    int64_t n = t->dim[0] * channels;
    float *values = ace_malloc_array((size_t)n, sizeof *values);
    if (values == NULL) {
        return ace_fail(err, ACESTEP_MEMORY, "%s: no host memory", ace_weights_path(w));
    }
    ace_decode_row(t->dtype, t->data, n, values);
    for (int64_t i = 0; i < n; i++) {
        if (!isfinite(values[i])) {
            ace_free(values);
            return ace_fail(err, ACESTEP_MODEL,
                            "%s: silence_latent holds NaN or infinity; the file is damaged",
                            ace_weights_path(w));
        }
    }
    *out = values;
    *frames = t->dim[0];
    return ACESTEP_OK;
}
