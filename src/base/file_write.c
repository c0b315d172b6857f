#include "base/file_write.h"

#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Names of temporary files tried before giving up: some may be left from a killed run. */
enum { ATTEMPTS = 100 };

static ace_status fail_with(const char *path, int code, ace_error *err)
{
    char reason[128];
    if (strerror_r(code, reason, sizeof reason) != 0) {
        (void)snprintf(reason, sizeof reason, "error %d", code);
    }
    return ace_fail(err, ACESTEP_IO, "%s: cannot be written: %s", path, reason);
}

/* 0 or errno. */
static int write_all(int fd, const unsigned char *data, size_t bytes)
{
    enum { PART = 1 << 26 }; /* write() of more than 2 GiB may be cut by the system */
    while (bytes > 0) {
        ssize_t written = write(fd, data, bytes < PART ? bytes : PART);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            return written < 0 ? errno : EIO;
        }
        data += written;
        bytes -= (size_t)written;
    }
    return 0;
}

void ace_file_put(ace_file_sink *sink, const void *data, size_t bytes)
{
    if (sink->code == 0) {
        sink->code = write_all(sink->fd, data, bytes);
    }
}

/* The pieces of one file; *code: errno of a failed write. */
static ace_status produce_into(int fd, ace_file_producer *produce, void *context, int *code,
                               ace_error *err)
{
    ace_file_sink sink = {.fd = fd};
    ace_status status = produce(context, &sink, err);
    *code = sink.code;
    return status;
}

static ace_status write_directly(const char *path, ace_file_producer *produce, void *context,
                                 ace_error *err)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    int code = 0;
    if (fd < 0) {
        return fail_with(path, errno, err);
    }
    ace_status status = produce_into(fd, produce, context, &code, err);
    if (close(fd) != 0 && code == 0) {
        code = errno;
    }
    return status != ACESTEP_OK ? status : code == 0 ? ACESTEP_OK : fail_with(path, code, err);
}

/* Creates a new file beside path; its name goes to temporary, which has room for `room` bytes. */
static int create_temporary(const char *path, char *temporary, size_t room)
{
    const char *slash = strrchr(path, '/');
    int folder = slash != NULL ? (int)(slash - path) + 1 : 0;
    for (int i = 0; i < ATTEMPTS; i++) {
        (void)snprintf(temporary, room, "%.*s.acestep-%ld-%d.part", folder, path, (long)getpid(),
                       i);
        int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd >= 0 || errno != EEXIST) {
            return fd;
        }
    }
    return -1;
}

static ace_status write_beside(const char *path, char *temporary, size_t room,
                               ace_file_producer *produce, void *context, ace_error *err)
{
    int code = 0;
    int fd = create_temporary(path, temporary, room);
    if (fd < 0) {
        return fail_with(path, errno, err);
    }
    ace_status status = produce_into(fd, produce, context, &code, err);
    if (status == ACESTEP_OK && code == 0 && fsync(fd) != 0) {
        code = errno;
    }
    if (close(fd) != 0 && code == 0) {
        code = errno;
    }
    if (status == ACESTEP_OK && code == 0 && rename(temporary, path) != 0) {
        code = errno;
    }
    if (status != ACESTEP_OK || code != 0) {
        (void)unlink(temporary);
        return status != ACESTEP_OK ? status : fail_with(path, code, err);
    }
    return ACESTEP_OK;
}

ace_status ace_file_write_pieces(const char *path, ace_file_producer *produce, void *context,
                                 ace_error *err)
{
    struct stat st;
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
        return write_directly(path, produce, context, err);
    }
    size_t room = strlen(path) + 64;
    char *temporary = ace_malloc_array(room, 1);
    if (temporary == NULL) {
        return ace_fail(err, ACESTEP_MEMORY, "%s: no memory to write it", path);
    }
    ace_status status = write_beside(path, temporary, room, produce, context, err);
    ace_free(temporary);
    return status;
}

/* ---- one piece ------------------------------------------------------------------------------- */

typedef struct whole {
    const void *data;
    size_t bytes;
} whole;

static ace_status put_whole(void *context, ace_file_sink *sink, ace_error *err)
{
    const whole *w = context;
    (void)err;
    ace_file_put(sink, w->data, w->bytes);
    return ACESTEP_OK;
}

ace_status ace_file_write(const char *path, const void *data, size_t bytes, ace_error *err)
{
    whole w = {data, bytes};
    return ace_file_write_pieces(path, put_whole, &w, err);
}
