#include "server/jobs_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static ace_status refuse(const char *path, const char *what, ace_error *err)
{
    return ace_fail(err, ACESTEP_IO, "%s: %s: %s", path, what, strerror(errno));
}

/* Every folder on the way; what is there already is as good as new. */
static ace_status make_folders(const char *wanted, ace_error *err)
{
    char path[ACE_FOLDER_PATH_BYTES];
    int n = snprintf(path, sizeof path, "%s", wanted);
    if (n <= 0 || (size_t)n >= sizeof path) {
        return ace_fail(err, ACESTEP_ARGUMENT, "%.80s: no path for a folder", wanted);
    }
    for (char *at = path + 1; *at != '\0'; at++) {
        if (*at == '/') {
            *at = '\0';
            (void)mkdir(path, S_IRWXU);
            *at = '/';
        }
    }
    return mkdir(path, S_IRWXU) == 0 || errno == EEXIST ? ACESTEP_OK
                                                        : refuse(path, "cannot be made", err);
}

ace_status ace_folder_prepare(const char *folder, ace_error *err)
{
    static const char *const below[] = {"", "/results", "/uploads"};
    char path[ACE_FOLDER_PATH_BYTES];
    ace_status status = ACESTEP_OK;
    /* room for what stands below it: results/ID.part/song_8.flac and the like */
    if (folder[0] == '\0' || strlen(folder) > ACE_FOLDER_PATH_BYTES - 400) {
        return ace_fail(err, ACESTEP_ARGUMENT, "data folder: \"%.80s\" is no path for a folder",
                        folder);
    }
    for (size_t i = 0; i < sizeof below / sizeof *below && status == ACESTEP_OK; i++) {
        (void)snprintf(path, sizeof path, "%s%s", folder, below[i]);
        status = make_folders(path, err);
    }
    if (status == ACESTEP_OK && access(folder, W_OK | X_OK) != 0) {
        status = refuse(folder, "cannot be written", err);
    }
    return status;
}

ace_status ace_folder_lock(const char *folder, int *fd, ace_error *err)
{
    char path[ACE_FOLDER_PATH_BYTES];
    (void)snprintf(path, sizeof path, "%.4300s/lock", folder);
    *fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR);
    if (*fd < 0) {
        return refuse(path, "cannot be opened", err);
    }
    /* of the open file, not of the process: another server within one process is another server too
     */
    if (flock(*fd, LOCK_EX | LOCK_NB) == 0) {
        return ACESTEP_OK;
    }
    bool taken = errno == EWOULDBLOCK;
    ace_status status =
        taken ? ace_fail(
                    err, ACESTEP_BUSY,
                    "%s: another server has this data folder; stop it, or give another --data-dir",
                    folder)
              : refuse(path, "cannot be locked", err);
    (void)close(*fd);
    *fd = -1;
    return status;
}

/* ---- going through a folder
 * ------------------------------------------------------------------------- */

typedef void visitor(const char *path, void *context);

static void for_each(const char *folder, visitor *visit, void *context)
{
    DIR *dir = opendir(folder);
    for (struct dirent *d = dir != NULL ? readdir(dir) : NULL; d != NULL; d = readdir(dir)) {
        char path[ACE_FOLDER_PATH_BYTES];
        int n = snprintf(path, sizeof path, "%s/%s", folder, d->d_name);
        if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0 && n > 0 &&
            (size_t)n < sizeof path) {
            visit(path, context);
        }
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
}

static void remove_one(const char *path, void *depth)
{
    int *left = depth;
    if (unlink(path) == 0 || *left == 0) {
        return;
    }
    *left -= 1;
    for_each(path, remove_one, depth);
    *left += 1;
    (void)rmdir(path);
}

void ace_folder_remove(const char *path)
{
    int depth = 2;
    remove_one(path, &depth);
}

ace_status ace_folder_renew(const char *path, ace_error *err)
{
    ace_folder_remove(path);
    return mkdir(path, S_IRWXU) == 0 ? ACESTEP_OK : refuse(path, "cannot be made", err);
}

static int sync_folder(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int code = fd >= 0 && fsync(fd) == 0 ? 0 : errno;
    if (fd >= 0) {
        (void)close(fd);
    }
    return code;
}

ace_status ace_folder_publish(const char *from, const char *to, ace_error *err)
{
    char parent[ACE_FOLDER_PATH_BYTES];
    const char *slash = strrchr(to, '/');
    (void)snprintf(parent, sizeof parent, "%.*s", (int)(slash - to), to);
    ace_folder_remove(to);
    errno = sync_folder(from);
    if (errno != 0 || rename(from, to) != 0) {
        return refuse(to, "cannot be put in place", err);
    }
    errno = sync_folder(parent);
    return errno == 0 ? ACESTEP_OK : refuse(parent, "cannot be written", err);
}

static void add_bytes(const char *path, void *total)
{
    struct stat st;
    if (lstat(path, &st) == 0 && S_ISREG(st.st_mode)) {
        *(uint64_t *)total += (uint64_t)st.st_size;
    }
}

uint64_t ace_folder_bytes(const char *path)
{
    uint64_t total = 0;
    for_each(path, add_bytes, &total);
    return total;
}

static void sweep_one(const char *path, void *suffix)
{
    size_t n = strlen(path);
    size_t end = strlen(suffix);
    if (n > end && strcmp(path + n - end, suffix) == 0) {
        ace_folder_remove(path);
    }
}

void ace_folder_sweep(const char *folder, const char *suffix)
{
    for_each(folder, sweep_one, (void *)(uintptr_t)suffix);
}

void ace_folder_hide(const char *folder, ace_error *err)
{
    size_t n = strlen(folder);
    char *at = err != NULL && n > 0 ? strstr(err->message, folder) : NULL;
    while (at != NULL) {
        char *rest = at + n + strspn(at + n, "/");
        memmove(at, rest, strlen(rest) + 1);
        at = strstr(at, folder);
    }
}
