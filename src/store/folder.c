#include "store/folder.h"

#include "base/json.h"
#include "base/memory.h"
#include "store/manifest.h"
#include "store/tensors.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* ---- where
 * ------------------------------------------------------------------------------------------ */

static bool has_text(const char *text)
{
    return text != NULL && text[0] != '\0';
}

ace_status ace_store_folder_resolve(const char *asked, char out[ACE_STORE_FOLDER_BYTES],
                                    ace_error *err)
{
    const char *models = getenv("ACESTEP_MODELS");
    const char *data = getenv("XDG_DATA_HOME");
    const char *home = getenv("HOME");
    int n = 0;
    if (has_text(asked) || has_text(models)) {
        n = snprintf(out, ACE_STORE_FOLDER_BYTES, "%s", has_text(asked) ? asked : models);
    } else if (data != NULL && data[0] == '/') {
        n = snprintf(out, ACE_STORE_FOLDER_BYTES, "%s/acestep/models", data);
    } else if (home != NULL && home[0] == '/') {
        n = snprintf(out, ACE_STORE_FOLDER_BYTES, "%s/.local/share/acestep/models", home);
    } else {
        return ace_fail(err, ACESTEP_ARGUMENT, "models: no folder is known; --models names one");
    }
    if (n < 0 || n + 2 * ACE_STORE_NAME_BYTES > ACE_STORE_FOLDER_BYTES) {
        return ace_fail(err, ACESTEP_ARGUMENT, "models: the path is too long");
    }
    while (n > 1 && out[n - 1] == '/') {
        out[--n] = '\0';
    }
    return ACESTEP_OK;
}

static bool make_folders(char *path)
{
    for (char *at = path + 1; *at != '\0'; at++) {
        if (*at == '/') {
            *at = '\0';
            (void)mkdir(path, 0777);
            *at = '/';
        }
    }
    return mkdir(path, 0777) == 0 || errno == EEXIST;
}

int ace_store_set_open(const char *folder, const char *set, bool create)
{
    char path[ACE_STORE_FOLDER_BYTES];
    int n = snprintf(path, sizeof path, "%s/%s", folder, set);
    if (n < 0 || n >= (int)sizeof path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    if (create && !make_folders(path)) {
        return -1;
    }
    return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

uint64_t ace_store_folder_room(const char *folder)
{
    char path[ACE_STORE_FOLDER_BYTES];
    struct statvfs disk;
    (void)snprintf(path, sizeof path, "%s", folder);
    while (statvfs(path, &disk) != 0) { /* the nearest part of it that exists */
        char *slash = strrchr(path, '/');
        if (slash == NULL) {
            memcpy(path, ".", 2);
            return statvfs(path, &disk) == 0 ? (uint64_t)disk.f_bavail * disk.f_frsize : 0;
        }
        if (slash == path && slash[1] == '\0') {
            return 0;
        }
        slash[slash == path ? 1 : 0] = '\0';
    }
    return (uint64_t)disk.f_bavail * disk.f_frsize;
}

/* ---- one set
 * ----------------------------------------------------------------------------------------- */

static bool ends_with(const char *name, const char *end)
{
    size_t n = strlen(name);
    size_t m = strlen(end);
    return n > m && strcmp(name + n - m, end) == 0;
}

static void say(ace_store_found *out, ace_store_state state, const char *reason)
{
    out->state = state;
    (void)snprintf(out->reason, sizeof out->reason, "%.255s", reason);
}

/* Everything that takes room, and whether something is unfinished. */
static bool count_bytes(int folder, ace_store_found *out, bool *unfinished)
{
    int again = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = again >= 0 ? fdopendir(again) : NULL;
    bool any = false;
    if (list == NULL) {
        if (again >= 0) {
            (void)close(again);
        }
        return false;
    }
    for (struct dirent *e = readdir(list); e != NULL; e = readdir(list)) {
        struct stat st;
        if (fstatat(folder, e->d_name, &st, 0) == 0 && S_ISREG(st.st_mode)) {
            out->bytes += (uint64_t)st.st_size;
            any = true;
            *unfinished = *unfinished || ends_with(e->d_name, ".part");
        }
    }
    (void)closedir(list);
    return any;
}

static bool exists(int folder, const char *name)
{
    struct stat st;
    return fstatat(folder, name, &st, 0) == 0 && S_ISREG(st.st_mode);
}

static bool check_tensors(int folder, const char *name, ace_store_found *out)
{
    ace_error why = {.code = ACESTEP_OK};
    if (ends_with(name, ".safetensors") &&
        ace_store_tensors_check(folder, name, &why) != ACESTEP_OK) {
        say(out, exists(folder, name) ? ACE_STORE_DAMAGED : ACE_STORE_PARTIAL, why.message);
        return false;
    }
    return true;
}

static void look_by_manifest(int folder, const ace_store_files *files, ace_store_found *out)
{
    char reason[256];
    (void)snprintf(out->revision, sizeof out->revision, "%s", files->revision);
    out->has_manifest = true;
    for (size_t i = 0; i < files->n; i++) {
        const ace_store_file *f = &files->file[i];
        struct stat st;
        if (fstatat(folder, f->name, &st, 0) != 0 || !S_ISREG(st.st_mode)) {
            (void)snprintf(reason, sizeof reason, "%s is missing", f->name);
            say(out, ACE_STORE_PARTIAL, reason);
            return;
        }
        if ((uint64_t)st.st_size != f->bytes) {
            (void)snprintf(reason, sizeof reason, "%s has %llu bytes instead of %llu", f->name,
                           (unsigned long long)st.st_size, (unsigned long long)f->bytes);
            say(out, ACE_STORE_DAMAGED, reason);
            return;
        }
        if (!check_tensors(folder, f->name, out)) {
            return;
        }
    }
    say(out, ACE_STORE_COMPLETE, "");
}

/* The shards that an index names. */
static bool check_shards(int folder, const char *index, ace_store_found *out)
{
    enum { LONGEST = 8 << 20 };
    ace_error why = {.code = ACESTEP_OK};
    char *text = ace_malloc_array(LONGEST, 1);
    int fd = openat(folder, index, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    ssize_t n = text != NULL && fd >= 0 ? read(fd, text, LONGEST) : -1;
    json_t *root = NULL;
    const char *key = NULL;
    json_t *shard = NULL;
    bool well = n > 0 && n < LONGEST &&
                ace_json_parse_object(text, (size_t)n, index, &root, &why) == ACESTEP_OK;
    if (!well) {
        say(out, ACE_STORE_DAMAGED,
            why.code != ACESTEP_OK ? why.message : "its index cannot be read");
    }
    const char *last = "";
    json_object_foreach (json_object_get(root, "weight_map"), key, shard) {
        const char *name = json_string_value(shard);
        if (well && (name == NULL || strchr(name, '/') != NULL)) {
            say(out, ACE_STORE_DAMAGED, "its index names no file");
            well = false;
        }
        if (well && strcmp(name, last) != 0) { /* runs of tensors lie in the same one */
            well = check_tensors(folder, name, out);
            last = name;
        }
    }
    json_decref(root);
    ace_free(text);
    if (fd >= 0) {
        (void)close(fd);
    }
    return well;
}

/* Its config is inside. Only the first bytes are looked at: a pointer of git-lfs has others. */
static void look_at_gguf(int folder, const char *name, ace_store_found *out)
{
    static const char magic[] = {'G', 'G', 'U', 'F'};
    char first[sizeof magic] = {0};
    int fd = openat(folder, name, O_RDONLY | O_CLOEXEC);
    bool begins = fd >= 0 && read(fd, first, sizeof first) == (ssize_t)sizeof first &&
                  memcmp(first, magic, sizeof magic) == 0;
    if (fd >= 0) {
        (void)close(fd);
    }
    char reason[ACE_STORE_NAME_BYTES + 32];
    (void)snprintf(reason, sizeof reason, "%s is no GGUF file", name);
    say(out, begins ? ACE_STORE_COMPLETE : ACE_STORE_DAMAGED, begins ? "" : reason);
}

static void look_by_content(int folder, const char *set, ace_store_found *out)
{
    static const char *const stems[] = {"model.safetensors", "diffusion_pytorch_model.safetensors"};
    char gguf[ACE_STORE_NAME_BYTES];
    (void)snprintf(gguf, sizeof gguf, "%s.gguf", set);
    if (exists(folder, gguf)) {
        look_at_gguf(folder, gguf, out);
        return;
    }
    if (!exists(folder, "config.json")) {
        say(out, ACE_STORE_PARTIAL, "config.json is missing");
        return;
    }
    for (size_t i = 0; i < sizeof stems / sizeof stems[0]; i++) {
        char index[64];
        (void)snprintf(index, sizeof index, "%s.index.json", stems[i]);
        if (exists(folder, stems[i]) || exists(folder, index)) {
            bool whole = exists(folder, stems[i]) ? check_tensors(folder, stems[i], out)
                                                  : check_shards(folder, index, out);
            if (whole) {
                say(out, ACE_STORE_COMPLETE, "");
            }
            return;
        }
    }
    say(out, ACE_STORE_PARTIAL, "the file with its tensors is missing");
}

static void look_unfinished(const ace_store_files *files, ace_store_found *out)
{
    char reason[128];
    uint64_t total = 0;
    for (size_t i = 0; i < files->n; i++) {
        total += files->file[i].bytes;
    }
    (void)snprintf(reason, sizeof reason, "%.2f of %.2f GB are here", (double)out->bytes / 1e9,
                   (double)total / 1e9);
    say(out, ACE_STORE_PARTIAL, reason);
}

void ace_store_set_look(const char *folder, const char *set, ace_store_found *out)
{
    ace_error why = {.code = ACESTEP_OK};
    bool unfinished = false;
    bool found = false;
    memset(out, 0, sizeof *out);
    int fd = ace_store_set_open(folder, set, false);
    ace_store_files files;
    if (fd < 0 || !count_bytes(fd, out, &unfinished)) {
        say(out, ACE_STORE_ABSENT, "");
    } else if (ace_store_manifest_read(fd, set, true, &files, &found, NULL) == ACESTEP_OK &&
               found) {
        look_unfinished(&files, out);
    } else if (ace_store_manifest_read(fd, set, false, &files, &found, &why) != ACESTEP_OK) {
        say(out, ACE_STORE_DAMAGED, why.message);
    } else if (found) {
        look_by_manifest(fd, &files, out);
    } else if (unfinished) {
        say(out, ACE_STORE_PARTIAL, "its download is not finished");
    } else {
        look_by_content(fd, set, out);
    }
    if (fd >= 0) {
        (void)close(fd);
    }
}

const char *ace_store_state_name(ace_store_state state)
{
    static const char *const names[] = {"absent", "partial", "complete", "damaged"};
    return names[state];
}
