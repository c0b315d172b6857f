/* A folder for files that can be made again: only the user's own, bounded, and nothing depends on
 * it. */
#ifndef ACE_BASE_CACHE_FOLDER_H
#define ACE_BASE_CACHE_FOLDER_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

enum { ACE_CACHE_NAME_BYTES = 128, ACE_CACHE_PATH_BYTES = 4352 };

typedef struct ace_cache_entry {
    char name[ACE_CACHE_NAME_BYTES];
    uint64_t bytes;
    int64_t used_ns; /* when it was last read or written, since 1970 */
} ace_cache_entry;

/* path = base/below, made with its parents where it is missing, with access for the user alone.
 * IO when that fails, or when others own it or may write there. */
ace_status ace_cache_folder_open(const char *base, const char *below,
                                 char path[ACE_CACHE_PATH_BYTES], ace_error *err);

/* The folder's files that end in `suffix`, the least recently used first. A missing folder is an
 * empty one. The caller frees *out with ace_free. */
ace_status ace_cache_folder_list(const char *path, const char *suffix, ace_cache_entry **out,
                                 size_t *n, ace_error *err);

/* Removes files that end in `suffix`, the least recently used first, until the rest takes at most
 * `most` bytes, and what a killed writer has left. Returns the bytes of the rest. */
uint64_t ace_cache_folder_trim(const char *path, const char *suffix, uint64_t most);

/* Bytes that may still be written to the folder's disk; 0 when that cannot be told. */
uint64_t ace_cache_folder_room(const char *path);

/* A file of the folder for reading: a regular one that the user owns. -1 otherwise. */
int ace_cache_file_open(const char *path, uint64_t *bytes);
/* It has been of use: it is the most recently used one now. */
void ace_cache_file_touch(int fd);

/* A new file beside `path`, its name to temporary; -1 with errno. Its end is ".part". */
int ace_cache_file_create(const char *path, char temporary[ACE_CACHE_PATH_BYTES]);

#endif
