/* acestep_store_remove: what a download has put there, and nothing else. */
#include "base/memory.h"
#include "store/choice.h"
#include "store/folder.h"
#include "store/manifest.h"
#include "store/part.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct removal {
    char folder[ACE_STORE_FOLDER_BYTES];
    bool dry_run;
    uint64_t bytes;
    size_t files;
} removal;

static ace_status remove_file(removal *r, int folder, const char *name, ace_error *err)
{
    struct stat st;
    if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        return ACESTEP_OK;
    }
    r->bytes += S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
    r->files++;
    return r->dry_run || unlinkat(folder, name, 0) == 0
               ? ACESTEP_OK
               : ace_fail(err, ACESTEP_IO, "%s/%s: cannot be removed: %s", r->folder, name,
                          strerror(errno));
}

static ace_status remove_listed(removal *r, int folder, const ace_store_files *files,
                                ace_error *err)
{
    ace_status status = ACESTEP_OK;
    for (size_t i = 0; i < files->n && status == ACESTEP_OK; i++) {
        uint64_t part = ace_store_part_bytes(folder, files->file[i].name);
        r->bytes += part;
        r->files += part > 0;
        if (!r->dry_run) {
            ace_store_part_remove(folder, files->file[i].name);
        }
        status = remove_file(r, folder, files->file[i].name, err);
    }
    return status;
}

static ace_status remove_all(removal *r, int folder, const ace_store_set *set,
                             ace_store_files *files, ace_error *err)
{
    bool known = false;
    ace_status status = ACESTEP_OK;
    for (int part = 1; part >= 0 && status == ACESTEP_OK; part--) {
        bool found = false;
        status = ace_store_manifest_read(folder, set->name, part != 0, files, &found, err);
        if (status == ACESTEP_OK && found) {
            known = true;
            status = remove_listed(r, folder, files, err);
        }
    }
    if (status == ACESTEP_OK && !known) {
        return ace_fail(err, ACESTEP_ARGUMENT,
                        "%s/%s: was not put there by a download: remove it by hand", r->folder,
                        set->name);
    }
    if (status == ACESTEP_OK) { /* last: while they are there, the rest can still be removed */
        status = remove_file(r, folder, ACE_STORE_MANIFEST_PART, err);
    }
    return status == ACESTEP_OK ? remove_file(r, folder, ACE_STORE_MANIFEST, err) : status;
}

static ace_status remove_set(removal *r, const ace_store_set *set, ace_store_files *files,
                             ace_error *err)
{
    int fd = ace_store_set_open(r->folder, set->name, false);
    if (fd < 0) {
        return ace_fail(err, ACESTEP_ARGUMENT, "%s: there is no %s", r->folder, set->name);
    }
    ace_status status = ACESTEP_OK;
    if (flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
        status = ace_fail(err, ACESTEP_BUSY, "%s: is being downloaded", set->name);
    } else {
        status = remove_all(r, fd, set, files, err);
    }
    (void)close(fd);
    if (status == ACESTEP_OK && !r->dry_run) {
        char path[ACE_STORE_FOLDER_BYTES + 2 * ACE_STORE_NAME_BYTES];
        (void)snprintf(path, sizeof path, "%s/%s", r->folder, set->name);
        (void)rmdir(path); /* unless something else lies there */
    }
    return status;
}

acestep_status acestep_store_remove(const char *folder, const char *const *names, size_t n,
                                    bool dry_run, char **json, acestep_error *error)
{
    ace_error *err = ace_store_error(error);
    ace_store_choice choice = {.n = 0};
    removal *r = ace_calloc(1, sizeof *r);
    ace_store_files *files = ace_calloc(1, sizeof *files);
    json_t *sets = json_array();
    uint64_t total = 0;
    *json = NULL;
    ace_status status = r != NULL && files != NULL
                            ? ACESTEP_OK
                            : ace_fail(err, ACESTEP_MEMORY, "remove: no host memory");
    if (status == ACESTEP_OK && n == 0) {
        status =
            ace_fail(err, ACESTEP_ARGUMENT, "remove: which sets? `acestep models list` shows them");
    }
    if (status == ACESTEP_OK) {
        r->dry_run = dry_run;
        status = ace_store_folder_resolve(folder, r->folder, err);
    }
    if (status == ACESTEP_OK) {
        status = ace_store_choose_all(&choice, names, n, NULL, true, err);
    }
    for (size_t i = 0; i < choice.n && status == ACESTEP_OK; i++) {
        r->bytes = 0;
        r->files = 0;
        status = remove_set(r, choice.set[i], files, err);
        total += r->bytes;
        json_array_append_new(sets,
                              json_pack("{s:s, s:I, s:I}", "name", choice.set[i]->name, "files",
                                        (json_int_t)r->files, "bytes", (json_int_t)r->bytes));
    }
    if (status == ACESTEP_OK) {
        status = ace_store_dump(json_pack("{s:s, s:O, s:I}", "folder", r->folder, "sets", sets,
                                          "bytes", (json_int_t)total),
                                json, err);
    }
    json_decref(sets);
    ace_free(r);
    ace_free(files);
    return status;
}
