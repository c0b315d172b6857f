#include "store/part.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PART_NAME_BYTES = ACE_STORE_NAME_BYTES + 16 };

static void part_name(const char *name, const char *end, char out[PART_NAME_BYTES])
{
    (void)snprintf(out, PART_NAME_BYTES, "%s%s", name, end);
}

int ace_store_part_open(int folder, const char *name)
{
    char part[PART_NAME_BYTES];
    part_name(name, ".part", part);
    return openat(folder, part, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0666);
}

/* What the part belongs to: the digest where one is known, the size in any case. */
static void identity(const ace_store_file *file, const char *base, char *out, size_t room)
{
    const char *digest = file->sha256[0] != '\0' ? file->sha256 : file->git_sha1;
    (void)snprintf(out, room, "%s %llu %s", base, (unsigned long long)file->bytes,
                   digest[0] != '\0' ? digest : "-");
}

bool ace_store_part_etag(int folder, const ace_store_file *file, const char *base,
                         char etag[ACE_STORE_ETAG_BYTES])
{
    char name[PART_NAME_BYTES];
    char expected[2304];
    char text[2304 + ACE_STORE_ETAG_BYTES];
    etag[0] = '\0';
    part_name(file->name, ".part.etag", name);
    int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    ssize_t n = read(fd, text, sizeof text - 1);
    (void)close(fd);
    text[n > 0 ? n : 0] = '\0';
    char *second = strchr(text, '\n');
    if (second == NULL) {
        return false;
    }
    *second++ = '\0';
    second[strcspn(second, "\r\n")] = '\0';
    identity(file, base, expected, sizeof expected);
    if (strcmp(text, expected) != 0 || second[0] != '"' || strlen(second) >= ACE_STORE_ETAG_BYTES) {
        return false;
    }
    memcpy(etag, second, strlen(second) + 1);
    return true;
}

void ace_store_part_remember(int folder, const ace_store_file *file, const char *base,
                             const char *etag)
{
    char name[PART_NAME_BYTES];
    char text[2304 + ACE_STORE_ETAG_BYTES];
    part_name(file->name, ".part.etag", name);
    if (etag[0] == '\0') {
        (void)unlinkat(folder, name, 0);
        return;
    }
    identity(file, base, text, sizeof text - ACE_STORE_ETAG_BYTES);
    size_t n = strlen(text);
    n += (size_t)snprintf(text + n, sizeof text - n, "\n%s\n", etag);
    int fd = openat(folder, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (fd < 0) {
        return;
    }
    bool whole = write(fd, text, n) == (ssize_t)n;
    if (close(fd) != 0 || !whole) {
        (void)unlinkat(folder, name, 0);
    }
}

int ace_store_part_finish(int folder, int fd, const char *name)
{
    char part[PART_NAME_BYTES];
    part_name(name, ".part", part);
    if (fsync(fd) != 0 || renameat(folder, part, folder, name) != 0) {
        return -1;
    }
    part_name(name, ".part.etag", part);
    (void)unlinkat(folder, part, 0);
    return fsync(folder) != 0 && errno != EINVAL ? -1 : 0;
}

void ace_store_part_remove(int folder, const char *name)
{
    char part[PART_NAME_BYTES];
    part_name(name, ".part", part);
    (void)unlinkat(folder, part, 0);
    part_name(name, ".part.etag", part);
    (void)unlinkat(folder, part, 0);
}

uint64_t ace_store_part_bytes(int folder, const char *name)
{
    char part[PART_NAME_BYTES];
    struct stat st;
    part_name(name, ".part", part);
    return fstatat(folder, part, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode)
               ? (uint64_t)st.st_size
               : 0;
}
