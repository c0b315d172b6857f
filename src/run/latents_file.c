#include "run/latents_file.h"

#include "base/file_map.h"
#include "base/file_write.h"
#include "base/little_endian.h"
#include "base/memory.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Latents of a trained autoencoder have a deviation of about one. Far beyond that its decoder gives
 * nothing but overflow: bytes of another kind, read as floats. */
static const float LARGEST = 1000;

ace_status ace_latents_parse(const unsigned char *bytes, size_t n, int64_t channels,
                             const char *name, ace_array *out, ace_error *err)
{
    size_t frame = (size_t)channels * sizeof(float);
    memset(out, 0, sizeof *out);
    if (n == 0 || n % frame != 0) {
        return ace_fail(err, ACESTEP_AUDIO,
                        "%.500s: %zu bytes are no latents, which come in frames of %lld floats",
                        name, n, (long long)channels);
    }
    if (n / frame > ACE_LATENTS_MOST_FRAMES) {
        return ace_fail(err, ACESTEP_AUDIO, "%.500s: more than %d frames of latents", name,
                        ACE_LATENTS_MOST_FRAMES);
    }
    ace_status status = ace_array_create((int64_t)(n / frame), channels, out, err);
    for (size_t i = 0; status == ACESTEP_OK && i < n / sizeof(float); i++) {
        uint32_t bits = ace_get_u32(bytes + i * sizeof(float));
        memcpy(&out->values[i], &bits, sizeof bits);
        if (!(fabsf(out->values[i]) <= LARGEST)) {
            status = ace_fail(err, ACESTEP_AUDIO, "%.500s: number %zu, %g, is no latent", name, i,
                              (double)out->values[i]);
        }
    }
    if (status != ACESTEP_OK) {
        ace_array_free(out);
    }
    return status;
}

ace_status ace_latents_count(const char *path, int64_t *numbers, ace_error *err)
{
    ace_file file;
    ace_array all;
    const int64_t channels = ACE_LATENTS_PUBLISHED_CHANNELS;
    const size_t most = (size_t)ACE_LATENTS_MOST_FRAMES * sizeof(float) * (size_t)channels;
    ace_status status = ace_file_open(path, &file, err);
    if (status != ACESTEP_OK) {
        return status;
    }
    if (file.bytes % sizeof(float) != 0 || file.bytes == 0 || file.bytes > most) {
        status = ace_fail(err, ACESTEP_AUDIO, "%.500s: %zu bytes are no latents of any song", path,
                          file.bytes);
    } else { /* one row of them all: their shape is the model's */
        status = ace_latents_parse(file.data, file.bytes, (int64_t)(file.bytes / sizeof(float)),
                                   path, &all, err);
    }
    *numbers = status == ACESTEP_OK ? all.cols : 0;
    if (status == ACESTEP_OK) {
        ace_array_free(&all);
    }
    ace_file_close(&file);
    return status;
}

ace_status ace_latents_read(const char *path, int64_t channels, ace_array *out, ace_error *err)
{
    ace_file file;
    memset(out, 0, sizeof *out);
    ace_status status = ace_file_open(path, &file, err);
    if (status == ACESTEP_OK) {
        status = ace_latents_parse(file.data, file.bytes, channels, path, out, err);
        ace_file_close(&file);
    }
    return status;
}

ace_status ace_latents_write(const char *path, const ace_array *latents, ace_error *err)
{
    size_t n = (size_t)(latents->rows * latents->cols);
    unsigned char *bytes = ace_malloc_array(n, sizeof(float));
    if (bytes == NULL) {
        return ace_fail(err, ACESTEP_MEMORY, "%s: no host memory", path);
    }
    for (size_t i = 0; i < n; i++) {
        uint32_t bits = 0;
        memcpy(&bits, &latents->values[i], sizeof bits);
        ace_put_u32(bytes + i * sizeof bits, bits);
    }
    ace_status status = ace_file_write(path, bytes, n * sizeof(float), err);
    ace_free(bytes);
    return status;
}
