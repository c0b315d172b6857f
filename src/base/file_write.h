/* Whole files, written so that the final name never holds half of one: a temporary file in the same
 * folder, fsync, rename. Whatever goes wrong, the temporary file is removed and a file that was
 * there before stays as it was. Devices, pipes and the like are written to directly. */
#ifndef ACE_BASE_FILE_WRITE_H
#define ACE_BASE_FILE_WRITE_H

#include "base/status.h"

#include <stddef.h>

/* A file that is being written piece by piece. */
typedef struct ace_file_sink {
    int fd;
    int code; /* errno of the first failure; 0: none. Further pieces are dropped then */
} ace_file_sink;

void ace_file_put(ace_file_sink *sink, const void *data, size_t bytes);

/* Writes the pieces; anything but OK leaves the file as it was. */
typedef ace_status ace_file_producer(void *context, ace_file_sink *sink, ace_error *err);
ace_status ace_file_write_pieces(const char *path, ace_file_producer *produce, void *context,
                                 ace_error *err);

/* ACESTEP_IO names the path and the reason. */
ace_status ace_file_write(const char *path, const void *data, size_t bytes, ace_error *err);

#endif
