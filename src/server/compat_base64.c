#include "server/compat_base64.h"

#include "base/file_map.h"
#include "base/memory.h"

#include <nettle/base64.h>
#include <string.h>

ace_status ace_base64_read(const char *text, void **bytes, size_t *n, ace_error *err)
{
    struct base64_decode_ctx context;
    const char *comma = strncmp(text, "data:", 5) == 0 ? strchr(text, ',') : NULL;
    const char *from = comma != NULL ? comma + 1 : text;
    size_t length = strlen(from);
    *n = BASE64_DECODE_LENGTH(length);
    *bytes = ace_malloc_array(*n + 1, 1);
    if (*bytes == NULL) {
        return ace_fail(err, ACESTEP_MEMORY, "audio: no host memory");
    }
    base64_decode_init(&context);
    if (!base64_decode_update(&context, n, *bytes, length, from) ||
        !base64_decode_final(&context) || *n == 0) {
        ace_free(*bytes);
        *bytes = NULL;
        return ace_fail(err, ACESTEP_ARGUMENT, "audio: no base64 text");
    }
    return ACESTEP_OK;
}

char *ace_base64_of_file(const char *path, const char *prefix, ace_error *err)
{
    ace_file file;
    size_t n = strlen(prefix);
    if (ace_file_open(path, &file, err) != ACESTEP_OK) {
        return NULL;
    }
    char *text = ace_malloc_array(n + BASE64_ENCODE_RAW_LENGTH(file.bytes) + 1, 1);
    if (text != NULL) {
        memcpy(text, prefix, n);
        base64_encode_raw(text + n, file.bytes, file.data);
        text[n + BASE64_ENCODE_RAW_LENGTH(file.bytes)] = '\0';
    } else {
        (void)ace_fail(err, ACESTEP_MEMORY, "%s: no host memory", path);
    }
    ace_file_close(&file);
    return text;
}
