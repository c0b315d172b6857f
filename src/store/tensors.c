#include "store/tensors.h"

#include "base/json.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LENGTH_BYTES = 8, LONGEST_HEADER = 16 << 20 };

ace_status ace_store_tensors_bytes(const char *header, size_t bytes, const char *name,
                                   uint64_t *file_bytes, ace_error *err)
{
    json_t *root = NULL;
    ace_status status = ace_json_parse_object(header, bytes, name, &root, err);
    uint64_t last = 0;
    const char *key = NULL;
    json_t *tensor = NULL;
    if (status != ACESTEP_OK) {
        return status;
    }
    json_object_foreach (root, key, tensor) {
        json_t *end = json_array_get(json_object_get(tensor, "data_offsets"), 1);
        if (strcmp(key, "__metadata__") == 0) {
            continue;
        }
        if (!json_is_integer(end) || json_integer_value(end) < 0) {
            status =
                ace_fail(err, ACESTEP_MODEL, "%s: its header has a tensor without a place", name);
            break;
        }
        uint64_t at = (uint64_t)json_integer_value(end);
        last = at > last ? at : last;
    }
    json_decref(root);
    *file_bytes = LENGTH_BYTES + (uint64_t)bytes + last;
    return status;
}

/* The header's length, little-endian. */
static uint64_t length_of(const unsigned char *p)
{
    uint64_t n = 0;
    for (int i = LENGTH_BYTES - 1; i >= 0; i--) {
        n = n << 8 | p[i];
    }
    return n;
}

static ace_status check(int fd, const char *name, ace_error *err)
{
    unsigned char length[LENGTH_BYTES];
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size <= LENGTH_BYTES ||
        pread(fd, length, LENGTH_BYTES, 0) != LENGTH_BYTES) {
        return ace_fail(err, ACESTEP_MODEL, "%s: is no safetensors file", name);
    }
    uint64_t n = length_of(length);
    if (n > LONGEST_HEADER || n > (uint64_t)st.st_size - LENGTH_BYTES) {
        return ace_fail(err, ACESTEP_MODEL, "%s: is no safetensors file", name);
    }
    char *header = ace_malloc_array((size_t)n, 1);
    if (header == NULL) {
        return ace_fail(err, ACESTEP_MEMORY, "%s: no host memory", name);
    }
    uint64_t expected = 0;
    ace_status status = ACESTEP_OK;
    if (pread(fd, header, (size_t)n, LENGTH_BYTES) != (ssize_t)n) {
        status = ace_fail(err, ACESTEP_MODEL, "%s: cannot be read", name);
    }
    if (status == ACESTEP_OK) {
        status = ace_store_tensors_bytes(header, (size_t)n, name, &expected, err);
    }
    if (status == ACESTEP_OK && expected != (uint64_t)st.st_size) {
        status = ace_fail(err, ACESTEP_MODEL, "%s: has %llu bytes, its tensors need %llu", name,
                          (unsigned long long)st.st_size, (unsigned long long)expected);
    }
    ace_free(header);
    return status;
}

ace_status ace_store_tensors_check(int folder, const char *name, ace_error *err)
{
    int fd = openat(folder, name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) {
        return ace_fail(err, ACESTEP_MODEL, "%s: %s", name,
                        errno == ENOENT ? "is missing" : "cannot be read");
    }
    ace_status status = check(fd, name, err);
    (void)close(fd);
    return status;
}
