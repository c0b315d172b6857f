/* A whole file, read-only in memory: mapped from disk, or part of the program itself.
 *
 * Paths that begin with ACE_EMBEDDED_PREFIX name files of the embedded demo model, so that nothing
 * above this layer knows the difference. A file that shrinks while mapped is reported at open only;
 * touching lost pages later is the system's SIGBUS, as for every mapped reader. */
#ifndef ACE_BASE_FILE_MAP_H
#define ACE_BASE_FILE_MAP_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ACE_EMBEDDED_PREFIX "embedded:"

typedef struct ace_file {
    const unsigned char *data;
    size_t bytes;
    bool mapped;         /* owned by this handle; false for embedded files */
    uint64_t inode;      /* of the file as it was when it was opened, and */
    int64_t modified_ns; /* its time, since 1970: another file has others */
} ace_file;

/* One file inside the program. The table ends with a NULL path. */
typedef struct ace_embedded_file {
    const char *path; /* below the prefix, e.g. "demo/vae/config.json" */
    const unsigned char *data;
    size_t bytes;
} ace_embedded_file;

/* Set once at start, before any open; the table must outlive the program. */
void ace_embedded_files_set(const ace_embedded_file *table);

ace_status ace_file_open(const char *path, ace_file *out, ace_error *err);
void ace_file_close(ace_file *file);

bool ace_file_exists(const char *path);
/* True for a directory on disk or a folder of embedded files. */
bool ace_directory_exists(const char *path);

/* Calls visit for each entry of a directory (embedded ones too), in byte order of the names, until
 * it returns false. IO error when the directory cannot be read. */
typedef bool ace_directory_visit(void *context, const char *name);
ace_status ace_directory_list(const char *path, ace_directory_visit *visit, void *context,
                              ace_error *err);

/* The kernel may drop the pages of this range; they are read again when touched. */
void ace_file_release_pages(const ace_file *file, const void *start, size_t bytes);

#endif
