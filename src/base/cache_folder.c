#include "base/cache_folder.h"

#include "base/memory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

/* A temporary file this old has no writer any more: packing takes seconds. */
static const int64_t STALE_NS = (int64_t)3600 * 1000000000;

static const char temporary_end[] = ".part";

static int64_t nanoseconds(struct timespec t)
{
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static ace_status refuse(const char *path, const char *why, ace_error *err)
{
    return ace_fail(err, ACESTEP_IO, "%s: %s; nothing is kept there", path, why);
}

/* ---- the folder ------------------------------------------------------------------------------ */

static ace_status check_owner(const char *path, ace_error *err)
{
    struct stat st;
    if (lstat(path, &st) != 0) {
        return refuse(path, strerror(errno), err);
    }
    if (!S_ISDIR(st.st_mode)) {
        return refuse(path, "is no folder", err);
    }
    if (st.st_uid != geteuid() || (st.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        return refuse(path, "belongs to others, or others may write there", err);
    }
    return ACESTEP_OK;
}

/* Every folder on the way. One that is there already is as good as a new one. */
static ace_status make_folders(char *path, ace_error *err)
{
    for (char *at = path + 1; *at != '\0'; at++) {
        if (*at == '/') {
            *at = '\0';
            (void)mkdir(path, S_IRWXU);
            *at = '/';
        }
    }
    if (mkdir(path, S_IRWXU) != 0 && errno != EEXIST) {
        return refuse(path, strerror(errno), err);
    }
    return ACESTEP_OK;
}

ace_status ace_cache_folder_open(const char *base, const char *below,
                                 char path[ACE_CACHE_PATH_BYTES], ace_error *err)
{
    int n = snprintf(path, ACE_CACHE_PATH_BYTES, "%s/%s", base, below);
    if (base[0] == '\0' || n < 0 || n + 2 * ACE_CACHE_NAME_BYTES > ACE_CACHE_PATH_BYTES) {
        return ace_fail(err, ACESTEP_IO, "cache: %.80s: no usable folder", base);
    }
    ace_status status = make_folders(path, err);
    if (status == ACESTEP_OK) {
        status = check_owner(base, err);
    }
    return status == ACESTEP_OK ? check_owner(path, err) : status;
}

uint64_t ace_cache_folder_room(const char *path)
{
    struct statvfs disk;
    return statvfs(path, &disk) == 0 ? (uint64_t)disk.f_bavail * disk.f_frsize : 0;
}

/* ---- what lies in it ------------------------------------------------------------------------- */

static bool ends_with(const char *name, const char *suffix)
{
    size_t n = strlen(name);
    size_t m = strlen(suffix);
    return n >= m && strcmp(name + n - m, suffix) == 0;
}

/* False for what is no file of ours. */
static bool describe(const char *folder, const char *name, ace_cache_entry *out)
{
    char path[ACE_CACHE_PATH_BYTES];
    struct stat st;
    int n = snprintf(path, sizeof path, "%s/%s", folder, name);
    if (strlen(name) >= sizeof out->name || n < 0 || n >= (int)sizeof path ||
        lstat(path, &st) != 0 || !S_ISREG(st.st_mode)) {
        return false;
    }
    (void)snprintf(out->name, sizeof out->name, "%s", name);
    out->bytes = (uint64_t)st.st_size;
    out->used_ns = nanoseconds(st.st_mtim);
    return true;
}

static int by_use(const void *a, const void *b)
{
    const ace_cache_entry *x = a;
    const ace_cache_entry *y = b;
    if (x->used_ns != y->used_ns) {
        return x->used_ns < y->used_ns ? -1 : 1;
    }
    return strcmp(x->name, y->name);
}

static bool append(ace_cache_entry **list, size_t *n, const ace_cache_entry *entry)
{
    ace_cache_entry *grown = ace_realloc_array(*list, *n + 1, sizeof **list);
    if (grown == NULL) {
        return false;
    }
    *list = grown;
    grown[(*n)++] = *entry;
    return true;
}

ace_status ace_cache_folder_list(const char *path, const char *suffix, ace_cache_entry **out,
                                 size_t *n, ace_error *err)
{
    *out = NULL;
    *n = 0;
    DIR *folder = opendir(path);
    if (folder == NULL) {
        return errno == ENOENT ? ACESTEP_OK
                               : ace_fail(err, ACESTEP_IO, "%s: %s", path, strerror(errno));
    }
    bool complete = true;
    for (struct dirent *e = readdir(folder); e != NULL && complete; e = readdir(folder)) {
        ace_cache_entry entry;
        if (ends_with(e->d_name, suffix) && describe(path, e->d_name, &entry)) {
            complete = append(out, n, &entry);
        }
    }
    (void)closedir(folder);
    if (!complete) {
        ace_free(*out);
        *out = NULL;
        *n = 0;
        return ace_fail(err, ACESTEP_MEMORY, "%s: no host memory for its list", path);
    }
    if (*n > 1) {
        qsort(*out, *n, sizeof **out, by_use);
    }
    return ACESTEP_OK;
}

static bool remove_entry(const char *folder, const ace_cache_entry *entry)
{
    char path[ACE_CACHE_PATH_BYTES];
    int n = snprintf(path, sizeof path, "%s/%s", folder, entry->name);
    return n > 0 && n < (int)sizeof path && unlink(path) == 0;
}

static void remove_stale(const char *path)
{
    struct timespec now;
    ace_cache_entry *list = NULL;
    size_t n = 0;
    if (clock_gettime(CLOCK_REALTIME, &now) != 0 ||
        ace_cache_folder_list(path, temporary_end, &list, &n, NULL) != ACESTEP_OK) {
        return;
    }
    for (size_t i = 0; i < n; i++) {
        if (list[i].used_ns < nanoseconds(now) - STALE_NS) {
            (void)remove_entry(path, &list[i]);
        }
    }
    ace_free(list);
}

uint64_t ace_cache_folder_trim(const char *path, const char *suffix, uint64_t most)
{
    ace_cache_entry *list = NULL;
    size_t n = 0;
    uint64_t total = 0;
    remove_stale(path);
    if (ace_cache_folder_list(path, suffix, &list, &n, NULL) != ACESTEP_OK) {
        return UINT64_MAX; /* unknown: there is no room */
    }
    for (size_t i = 0; i < n; i++) {
        total += list[i].bytes;
    }
    for (size_t i = 0; i < n && total > most; i++) {
        total -= remove_entry(path, &list[i]) ? list[i].bytes : 0;
    }
    ace_free(list);
    return total;
}

/* ---- one file -------------------------------------------------------------------------------- */

int ace_cache_file_open(const char *path, uint64_t *bytes)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd >= 0 && (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid())) {
        (void)close(fd);
        return -1;
    }
    if (fd >= 0) {
        *bytes = (uint64_t)st.st_size;
    }
    return fd;
}

void ace_cache_file_touch(int fd)
{
    (void)futimens(fd, NULL);
}

int ace_cache_file_create(const char *path, char temporary[ACE_CACHE_PATH_BYTES])
{
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* two writers in one process have two names */
    int n = snprintf(temporary, ACE_CACHE_PATH_BYTES, "%s.%ld-%lx%s", path, (long)getpid(),
                     (unsigned long)nanoseconds(now), temporary_end);
    if (n < 0 || n >= ACE_CACHE_PATH_BYTES) {
        errno = ENAMETOOLONG;
        return -1;
    }
    return open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
}
