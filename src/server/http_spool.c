/* Files of a request on their way to disk, under names of our own. */
#define _GNU_SOURCE /* mkostemp */
#include "base/memory.h"
#include "server/http_body_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

char *ace_http_file_name(const char *name)
{
    char *copy = ace_strdup(name != NULL ? name : "");
    if (copy == NULL) {
        return NULL;
    }
    char *last = copy;
    for (char *c = copy; *c != '\0'; c++) {
        if (*c == '/' || *c == '\\') {
            last = c + 1;
        } else if ((unsigned char)*c < 0x20 || *c == 0x7f) {
            *c = '_';
        }
    }
    size_t length = strlen(last);
    if (length > ACE_BODY_NAME_BYTES) { /* the end is kept: it tells what the file is */
        last += length - ACE_BODY_NAME_BYTES;
        while (((unsigned char)*last & 0xc0) == 0x80) {
            last++;
        }
    }
    json_t *checked = json_string(last); /* NULL for broken UTF-8 */
    bool usable =
        checked != NULL && last[0] != '\0' && strcmp(last, ".") != 0 && strcmp(last, "..") != 0;
    json_decref(checked);
    char *found = ace_strdup(usable ? last : "file");
    ace_free(copy);
    return found;
}

bool ace_http_spool_begin(ace_http_body *body, const char *field, const char *name)
{
    ace_http_file *file = &body->file[body->n_files];
    size_t room = strlen(body->limits.spool) + 16;
    file->bytes = 0;
    file->field = ace_strdup(field);
    file->name = ace_http_file_name(name);
    file->path = ace_malloc_array(room, 1);
    bool complete = file->field != NULL && file->name != NULL && file->path != NULL;
    if (complete) {
        (void)snprintf(file->path, room, "%s/part.XXXXXX", body->limits.spool);
        body->fd = mkostemp(file->path, O_CLOEXEC);
    }
    if (!complete || body->fd < 0) {
        int code = complete ? errno : ENOMEM;
        ace_free(file->field);
        ace_free(file->name);
        ace_free(file->path);
        memset(file, 0, sizeof *file);
        ace_http_body_fail(body, 500, "storage", NULL, "the file cannot be kept: %s",
                           strerror(code));
        return false;
    }
    body->n_files++;
    return true;
}

bool ace_http_spool_add(ace_http_body *body, const char *data, size_t bytes)
{
    if (bytes > body->limits.file_bytes - body->file_bytes) {
        body->exceeded = true;
        ace_http_body_fail(body, 413, "too_large", "the server's --max-upload sets the limit",
                           "the files are larger than the %llu bytes that one request may have",
                           (unsigned long long)body->limits.file_bytes);
        return false;
    }
    body->file_bytes += bytes;
    body->file[body->n_files - 1].bytes += bytes;
    while (bytes > 0) {
        ssize_t n = write(body->fd, data, bytes);
        if (n < 0 && errno != EINTR) {
            int code = errno;
            ace_http_body_fail(body, code == ENOSPC || code == EDQUOT ? 507 : 500, "storage", NULL,
                               "the file cannot be kept: %s", strerror(code));
            return false;
        }
        data += n > 0 ? n : 0;
        bytes -= n > 0 ? (size_t)n : 0;
    }
    return true;
}

void ace_http_spool_end(ace_http_body *body)
{
    if (body->fd >= 0) {
        close(body->fd);
        body->fd = -1;
    }
}
