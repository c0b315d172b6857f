#define _GNU_SOURCE
#include "base/file_map.h"

#include "base/memory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const ace_embedded_file no_files[] = {{NULL, NULL, 0}};
/* Every engine that is opened sets it, to the same table, perhaps while another one reads files. */
static _Atomic(const ace_embedded_file *) embedded = no_files;

void ace_embedded_files_set(const ace_embedded_file *table)
{
    embedded = table;
}

/* The part after the prefix, or NULL for a path on disk. */
static const char *embedded_path(const char *path)
{
    size_t n = strlen(ACE_EMBEDDED_PREFIX);
    return strncmp(path, ACE_EMBEDDED_PREFIX, n) == 0 ? path + n : NULL;
}

static const ace_embedded_file *find_embedded(const char *path)
{
    for (const ace_embedded_file *f = embedded; f->path != NULL; f++) {
        if (strcmp(f->path, path) == 0) {
            return f;
        }
    }
    return NULL;
}

ace_status ace_file_open(const char *path, ace_file *out, ace_error *err)
{
    memset(out, 0, sizeof *out);
    const char *inside = embedded_path(path);
    if (inside != NULL) {
        const ace_embedded_file *f = find_embedded(inside);
        if (f == NULL) {
            return ace_fail(err, ACESTEP_IO, "%s: no such file in the program", path);
        }
        out->data = f->data;
        out->bytes = f->bytes;
        return ACESTEP_OK;
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return ace_fail(err, ACESTEP_IO, "%s: %s", path, strerror(errno));
    }
    struct stat st;
    if (fstat(fd, &st) != 0) {
        int code = errno;
        close(fd);
        return ace_fail(err, ACESTEP_IO, "%s: %s", path, strerror(code));
    }
    if (!S_ISREG(st.st_mode)) {
        close(fd);
        return ace_fail(err, ACESTEP_IO, "%s: not a regular file", path);
    }
    if (st.st_size == 0) {
        close(fd);
        out->data = (const unsigned char *)"";
        return ACESTEP_OK;
    }
    void *data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    int code = errno;
    close(fd);
    if (data == MAP_FAILED) {
        return ace_fail(err, ACESTEP_IO, "%s: cannot be mapped: %s", path, strerror(code));
    }
    out->data = data;
    out->bytes = (size_t)st.st_size;
    out->mapped = true;
    out->inode = (uint64_t)st.st_ino;
    out->modified_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
    return ACESTEP_OK;
}

void ace_file_close(ace_file *file)
{
    if (file->mapped) {
        munmap((void *)(uintptr_t)file->data, file->bytes);
    }
    memset(file, 0, sizeof *file);
}

bool ace_file_exists(const char *path)
{
    const char *inside = embedded_path(path);
    if (inside != NULL) {
        return find_embedded(inside) != NULL;
    }
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* True when the embedded path lies below the folder; *rest is then the part after the slash. */
static bool is_below(const char *path, const char *folder, const char **rest)
{
    size_t n = strlen(folder);
    while (n > 0 && folder[n - 1] == '/') {
        n--;
    }
    if (strncmp(path, folder, n) != 0 || path[n] != '/') {
        return false;
    }
    *rest = path + n + 1;
    return true;
}

bool ace_directory_exists(const char *path)
{
    const char *inside = embedded_path(path);
    if (inside != NULL) {
        const char *rest = NULL;
        for (const ace_embedded_file *f = embedded; f->path != NULL; f++) {
            if (is_below(f->path, inside, &rest)) {
                return true;
            }
        }
        return false;
    }
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* The table is sorted by path, so entries of one sub-folder follow each other. */
static void list_embedded(const char *folder, ace_directory_visit *visit, void *context)
{
    char last[256] = "";
    for (const ace_embedded_file *f = embedded; f->path != NULL; f++) {
        const char *rest = NULL;
        if (!is_below(f->path, folder, &rest)) {
            continue;
        }
        char name[256];
        size_t n = strcspn(rest, "/");
        if (n >= sizeof name) {
            continue;
        }
        memcpy(name, rest, n);
        name[n] = '\0';
        if (strcmp(name, last) == 0) {
            continue;
        }
        memcpy(last, name, n + 1);
        if (!visit(context, name)) {
            return;
        }
    }
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

ace_status ace_directory_list(const char *path, ace_directory_visit *visit, void *context,
                              ace_error *err)
{
    const char *inside = embedded_path(path);
    if (inside != NULL) {
        list_embedded(inside, visit, context);
        return ACESTEP_OK;
    }
    struct dirent **entries = NULL;
    int n = scandir(path, &entries, NULL, by_bytes);
    if (n < 0) {
        return ace_fail(err, ACESTEP_IO, "%s: %s", path, strerror(errno));
    }
    bool go_on = true;
    for (int i = 0; i < n; i++) {
        const char *name = entries[i]->d_name;
        if (go_on && strcmp(name, ".") != 0 && strcmp(name, "..") != 0) {
            go_on = visit(context, name);
        }
        free(entries[i]);
    }
    free(entries);
    return ACESTEP_OK;
}

void ace_file_release_pages(const ace_file *file, const void *start, size_t bytes)
{
    if (!file->mapped || bytes == 0) {
        return;
    }
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t first = (uintptr_t)start & ~(page - 1);
    uintptr_t end = (uintptr_t)start + bytes;
    (void)madvise((void *)first, end - first, MADV_DONTNEED);
}
