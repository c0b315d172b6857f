#include "store/manifest.h"

#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LONGEST = 1 << 20 };

static const char temporary[] = ACE_STORE_MANIFEST ".new";

static const char *name_of(bool part)
{
    return part ? ACE_STORE_MANIFEST_PART : ACE_STORE_MANIFEST;
}

ace_status ace_store_manifest_read(int folder, const char *name, bool part, ace_store_files *out,
                                   bool *found, ace_error *err)
{
    char where[256];
    struct stat st;
    *found = false;
    (void)snprintf(where, sizeof where, "%.120s/%s", name, name_of(part));
    int fd = openat(folder, name_of(part), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) {
        return errno == ENOENT ? ACESTEP_OK
                               : ace_fail(err, ACESTEP_MODEL, "%s: cannot be read", where);
    }
    char *text = ace_malloc_array(LONGEST, 1);
    ssize_t n =
        text != NULL && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? read(fd, text, LONGEST) : -1;
    (void)close(fd);
    ace_status status = ACESTEP_OK;
    if (text == NULL) {
        status = ace_fail(err, ACESTEP_MEMORY, "%s: no host memory", where);
    } else if (n < 0 || n == LONGEST) {
        status = ace_fail(err, ACESTEP_MODEL, "%s: cannot be read", where);
    } else {
        status = ace_store_parse_manifest(text, (size_t)n, where, out, err);
    }
    ace_free(text);
    *found = status == ACESTEP_OK;
    return status;
}

static char *compose(const ace_store_set *set, const char *source, const ace_store_files *files)
{
    json_t *list = json_array();
    for (size_t i = 0; i < files->n; i++) {
        const ace_store_file *f = &files->file[i];
        json_array_append_new(list, json_pack("{s:s, s:I, s:s}", "name", f->name, "bytes",
                                              (json_int_t)f->bytes, "sha256", f->sha256));
    }
    json_t *root =
        json_pack("{s:i, s:s, s:s, s:s, s:s, s:o}", "format", 1, "set", set->name, "source", source,
                  "repository", set->repository, "revision", files->revision, "files", list);
    char *text = root != NULL ? json_dumps(root, JSON_INDENT(2)) : NULL;
    json_decref(root);
    return text;
}

static int write_file(int folder, const char *text)
{
    int fd = openat(folder, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (fd < 0) {
        return -1;
    }
    size_t n = strlen(text);
    bool whole = write(fd, text, n) == (ssize_t)n && write(fd, "\n", 1) == 1 && fsync(fd) == 0;
    return close(fd) == 0 && whole ? 0 : -1;
}

ace_status ace_store_manifest_write(int folder, const ace_store_set *set, const char *source,
                                    bool part, const ace_store_files *files, ace_error *err)
{
    char *text = compose(set, source, files);
    if (text == NULL) {
        return ace_fail(err, ACESTEP_MEMORY, "%s: no host memory", set->name);
    }
    ace_status status = ACESTEP_OK;
    if (write_file(folder, text) != 0 || renameat(folder, temporary, folder, name_of(part)) != 0) {
        status = ace_fail(err, ACESTEP_IO, "%s/%s: cannot be written: %s", set->name, name_of(part),
                          strerror(errno));
        (void)unlinkat(folder, temporary, 0);
    }
    free(text);
    if (status == ACESTEP_OK) {
        (void)fsync(folder);
    }
    return status;
}

void ace_store_manifest_remove(int folder, bool part)
{
    (void)unlinkat(folder, name_of(part), 0);
}
