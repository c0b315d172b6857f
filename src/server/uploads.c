#include "server/uploads.h"

#include "base/file_write.h"
#include "base/log.h"
#include "base/memory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { PATH_BYTES = 4096, PAIRS = 1000, KEPT_SECONDS = 7 * 86400 };

static const char alphabet[] =
    "0123456789abcdefghjkmnpqrstvwxyz"; /* in the order of its characters */

/* "u_": ten characters of milliseconds, ten of chance. */
static void make_id(char id[ACE_UPLOAD_ID_BYTES])
{
    struct timespec now;
    unsigned char chance[10] = {0};
    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)getrandom(chance, sizeof chance, 0);
    uint64_t ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    memcpy(id, "u_", 2);
    for (int i = 0; i < 10; i++) {
        id[2 + i] = alphabet[(ms >> (5 * (9 - i))) & 31];
        id[12 + i] = alphabet[chance[i] & 31];
    }
    id[22] = '\0';
}

static bool is_id(const char *id)
{
    return strncmp(id, "u_", 2) == 0 && strlen(id) == 22 && strspn(id + 2, alphabet) == 20;
}

/* name "": the folder of the upload. */
static bool path_of(const ace_server *server, const char *id, const char *name,
                    char out[PATH_BYTES])
{
    int n = snprintf(out, PATH_BYTES, "%s/uploads/%s%s%s", server->data_folder, id,
                     name[0] != '\0' ? "/" : "", name);
    return n > 0 && n < PATH_BYTES;
}

static void remove_folder(const ace_server *server, const char *id)
{
    static const char *const names[] = {"audio", "latents", "upload.json", ""};
    char path[PATH_BYTES];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (path_of(server, id, names[i], path)) {
            (void)remove(path);
        }
    }
}

static void remove_unused(ace_server *server)
{
    char path[PATH_BYTES];
    struct stat found;
    json_t *ids = ace_upload_list(server);
    size_t i;
    json_t *id;
    json_array_foreach (ids, i, id) {
        bool there =
            (path_of(server, json_string_value(id), "audio", path) && stat(path, &found) == 0) ||
            (path_of(server, json_string_value(id), "latents", path) && stat(path, &found) == 0);
        if (there && time(NULL) - found.st_mtime > KEPT_SECONDS) {
            remove_folder(server, json_string_value(id));
        }
    }
    json_decref(ids);
}

/* What the file is, told by the engine. */
static json_t *describe(const ace_http_file *file, const char *id, const char *path, ace_error *err)
{
    acestep_error inner = {.code = ACESTEP_OK};
    char *text = acestep_audio_peaks_json(path, PAIRS, &inner);
    if (text == NULL) {
        /* the message names a file of ours; its sender knows it under another name */
        const char *reason = strstr(inner.message, ": ");
        (void)ace_fail(err, inner.code, "%s%s", file->name,
                       reason != NULL ? reason : ": unreadable");
        return NULL;
    }
    char *settings = acestep_audio_settings_json(path, NULL);
    json_t *peaks = json_loads(text, 0, NULL);
    json_t *record = json_object();
    static const char *const facts[] = {"seconds", "channels", "sample_rate", "format"};
    int bad = json_object_set_new(record, "id", json_string(id));
    bad |= json_object_set_new(record, "name", json_string(file->name));
    bad |= json_object_set_new(record, "bytes", json_integer((json_int_t)file->bytes));
    bad |= json_object_set_new(record, "created", json_real((double)time(NULL)));
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        bad |= json_object_set(record, facts[i], json_object_get(peaks, facts[i]));
        if (i > 1) {
            (void)json_object_del(peaks, facts[i]);
        }
    }
    bad |= json_object_set_new(record, "settings",
                               settings != NULL ? json_loads(settings, 0, NULL) : json_null());
    bad |= json_object_set_new(record, "peaks", peaks);
    free(settings);
    free(text);
    if (bad) {
        json_decref(record);
        (void)ace_fail(err, ACESTEP_MEMORY, "upload: no host memory");
        return NULL;
    }
    return record;
}

typedef json_t *describe_file(const ace_http_file *file, const char *id, const char *path,
                              ace_error *err);

/* kind: "audio" or "latents" */
static ace_status keep(ace_server *server, ace_http_request *request, size_t index,
                       const char *kind, describe_file *description, const char *id, ace_error *err)
{
    char folder[PATH_BYTES];
    char content[PATH_BYTES];
    char about[PATH_BYTES];
    if (!path_of(server, id, "", folder) || !path_of(server, id, kind, content) ||
        !path_of(server, id, "upload.json", about)) {
        return ace_fail(err, ACESTEP_IO, "%s: the path is too long", server->data_folder);
    }
    const ace_http_file *file = &request->files[index];
    json_t *record = description(file, id, file->path, err);
    if (record == NULL) {
        return err->code;
    }
    char *text = json_dumps(record, JSON_COMPACT | JSON_REAL_PRECISION(15));
    json_decref(record);
    if (mkdir(folder, 0700) != 0) {
        free(text);
        return ace_fail(err, ACESTEP_IO, "%s: %s", folder, strerror(errno));
    }
    ace_status status = ace_http_file_take(request, index, content, err);
    if (status == ACESTEP_OK) {
        status = text != NULL ? ace_file_write(about, text, strlen(text), err)
                              : ace_fail(err, ACESTEP_MEMORY, "upload: no host memory");
    }
    free(text);
    if (status != ACESTEP_OK) {
        remove_folder(server, id);
    }
    return status;
}

/* What can be said of latents before their model is known. */
static json_t *describe_latents(const ace_http_file *file, const char *id, const char *path,
                                ace_error *err)
{
    acestep_error inner = {.code = ACESTEP_OK};
    char *text = acestep_latents_json(path, &inner);
    if (text == NULL) {
        const char *reason = strstr(inner.message, ": ");
        (void)ace_fail(err, inner.code, "%s%s", file->name,
                       reason != NULL ? reason : ": unreadable");
        return NULL;
    }
    json_t *record = json_loads(text, 0, NULL);
    free(text);
    int bad = json_object_set_new(record, "id", json_string(id));
    bad |= json_object_set_new(record, "name", json_string(file->name));
    bad |= json_object_set_new(record, "bytes", json_integer((json_int_t)file->bytes));
    bad |= json_object_set_new(record, "created", json_real((double)time(NULL)));
    if (bad) {
        json_decref(record);
        (void)ace_fail(err, ACESTEP_MEMORY, "upload: no host memory");
        return NULL;
    }
    return record;
}

static ace_status take(ace_server *server, ace_http_request *request, size_t index,
                       const char *kind, describe_file *description, char id[ACE_UPLOAD_ID_BYTES],
                       ace_error *err)
{
    ace_error own = {.code = ACESTEP_OK};
    err = err != NULL ? err : &own;
    if (index >= request->n_files) {
        return ace_fail(err, ACESTEP_ARGUMENT, "the request has no file number %zu", index);
    }
    remove_unused(server);
    make_id(id);
    return keep(server, request, index, kind, description, id, err);
}

ace_status ace_upload_take(ace_server *server, ace_http_request *request, size_t index,
                           char id[ACE_UPLOAD_ID_BYTES], ace_error *err)
{
    return take(server, request, index, "audio", describe, id, err);
}

ace_status ace_upload_take_latents(ace_server *server, ace_http_request *request, size_t index,
                                   char id[ACE_UPLOAD_ID_BYTES], ace_error *err)
{
    return take(server, request, index, "latents", describe_latents, id, err);
}

/* Bytes are written first and described then: nothing is known of them. */
static ace_status keep_bytes(ace_server *server, const char *name, const void *bytes, size_t n,
                             const char *id, ace_error *err)
{
    char folder[PATH_BYTES];
    char audio[PATH_BYTES];
    char about[PATH_BYTES];
    if (!path_of(server, id, "", folder) || !path_of(server, id, "audio", audio) ||
        !path_of(server, id, "upload.json", about)) {
        return ace_fail(err, ACESTEP_IO, "%s: the path is too long", server->data_folder);
    }
    if (mkdir(folder, 0700) != 0) {
        return ace_fail(err, ACESTEP_IO, "%s: %s", folder, strerror(errno));
    }
    ace_status status = ace_file_write(audio, bytes, n, err);
    char *own_name = status == ACESTEP_OK ? ace_strdup(name) : NULL;
    ace_http_file file = {.name = own_name, .bytes = n};
    json_t *record = own_name != NULL ? describe(&file, id, audio, err) : NULL;
    char *text = record != NULL ? json_dumps(record, JSON_COMPACT | JSON_REAL_PRECISION(15)) : NULL;
    if (status == ACESTEP_OK) {
        status = text != NULL ? ace_file_write(about, text, strlen(text), err)
                              : ace_fail(err, ACESTEP_MEMORY, "upload: no host memory");
        status = text == NULL ? err->code : status; /* what describe has said */
    }
    free(text);
    json_decref(record);
    ace_free(own_name);
    if (status != ACESTEP_OK) {
        remove_folder(server, id);
    }
    return status;
}

ace_status ace_upload_keep(ace_server *server, const char *name, const void *bytes, size_t n,
                           char id[ACE_UPLOAD_ID_BYTES], ace_error *err)
{
    ace_error own = {.code = ACESTEP_OK};
    err = err != NULL ? err : &own;
    remove_unused(server);
    make_id(id);
    return keep_bytes(server, name, bytes, n, id, err);
}

json_t *ace_upload_record(ace_server *server, const char *id)
{
    char path[PATH_BYTES];
    if (!is_id(id) || !path_of(server, id, "upload.json", path)) {
        return NULL;
    }
    json_t *record = json_load_file(path, 0, NULL);
    char target[128];
    (void)snprintf(target, sizeof target, "/v1/uploads/%s/audio", id);
    bool audio = json_object_get(record, "seconds") != NULL;
    char *address = audio ? ace_http_sign(server, target) : NULL;
    if (address != NULL) {
        (void)json_object_set_new(record, "audio", json_string(address));
    }
    ace_free(address);
    return record;
}

static char *used_path(ace_server *server, const char *id, const char *kind)
{
    char path[PATH_BYTES];
    if (!is_id(id) || !path_of(server, id, kind, path) || utimensat(AT_FDCWD, path, NULL, 0) != 0) {
        return NULL;
    }
    return ace_strdup(path);
}

char *ace_upload_path(ace_server *server, const char *id)
{
    return used_path(server, id, "audio");
}

char *ace_upload_latents_path(ace_server *server, const char *id)
{
    return used_path(server, id, "latents");
}

bool ace_upload_remove(ace_server *server, const char *id)
{
    char path[PATH_BYTES];
    if (!is_id(id) || !path_of(server, id, "upload.json", path) || access(path, F_OK) != 0) {
        return false;
    }
    remove_folder(server, id);
    return true;
}

static int newest_first(const void *a, const void *b)
{
    return strcmp(*(char *const *)b, *(char *const *)a);
}

json_t *ace_upload_list(ace_server *server)
{
    char path[PATH_BYTES];
    char **names = NULL;
    size_t n = 0;
    DIR *folder = path_of(server, "", "", path) ? opendir(path) : NULL;
    for (struct dirent *e; folder != NULL && (e = readdir(folder)) != NULL;) {
        char **more = is_id(e->d_name) ? ace_realloc_array(names, n + 1, sizeof *names) : NULL;
        if (more != NULL) {
            names = more;
            names[n] = ace_strdup(e->d_name);
            n += names[n] != NULL;
        }
    }
    if (folder != NULL) {
        closedir(folder);
    }
    if (n > 0) {
        qsort(names, n, sizeof *names, newest_first);
    }
    json_t *ids = json_array();
    for (size_t i = 0; i < n; i++) {
        (void)json_array_append_new(ids, json_string(names[i]));
        ace_free(names[i]);
    }
    ace_free(names);
    return ids;
}
