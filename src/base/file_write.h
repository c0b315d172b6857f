/* Whole files, written so that the final name never holds half of one: a temporary file in the same
 * folder, fsync, rename. Whatever goes wrong, the temporary file is removed and a file that was
 * there before stays as it was. Devices, pipes and the like are written to directly. */
#ifndef ACE_BASE_FILE_WRITE_H
#define ACE_BASE_FILE_WRITE_H

#include "base/status.h"

#include <stddef.h>

/* ACESTEP_IO names the path and the reason. */
ace_status ace_file_write(const char *path, const void *data, size_t bytes, ace_error *err);

#endif
