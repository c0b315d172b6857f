#include "server/adapters.h"

#include "base/memory.h"
#include "server/server_options.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_BYTES = 4096, LONGEST_NAME = 100, MOST_ADAPTERS = 1000 };

static const char ending[] = ".safetensors";
static const char peft_weights[] = "adapter_model.safetensors";
static const char lokr_weights[] = "lokr_weights.safetensors";
static const char peft_config[] = "adapter_config.json";

/* ---- names and places ------------------------------------------------------------------------ */

bool ace_adapter_name_is_good(const char *name)
{
    size_t n = strlen(name);
    bool good = n > 0 && n <= LONGEST_NAME && name[0] != '.' && name[0] != ' ';
    for (size_t i = 0; i < n; i++) {
        good = good && (unsigned char)name[i] >= 0x20 && strchr("/,:\\\x7f", name[i]) == NULL;
    }
    return good;
}

/* Folder number i, that of the uploads first. False after the last one. */
static bool folder_at(const ace_server *server, size_t i, char out[PATH_BYTES])
{
    const char *at = server->options->adapters;
    if (i == 0) {
        return snprintf(out, PATH_BYTES, "%s/adapters", server->data_folder) < PATH_BYTES;
    }
    for (size_t n = strcspn(at, ":"); *at != '\0'; n = strcspn(at, ":")) {
        i -= n > 0;
        if (i == 0) {
            return snprintf(out, PATH_BYTES, "%.*s", (int)n, at) < PATH_BYTES;
        }
        at += n + (at[n] == ':');
    }
    return false;
}

static bool join(const char *folder, const char *name, const char *more, char out[PATH_BYTES])
{
    return snprintf(out, PATH_BYTES, "%s/%s%s", folder, name, more) < PATH_BYTES;
}

static bool is_file(const char *path)
{
    struct stat found;
    return stat(path, &found) == 0 && S_ISREG(found.st_mode);
}

/* PEFT's folder, or one of the original's trainer with a LoKr. */
static bool is_adapter_folder(const char *folder)
{
    char weights[PATH_BYTES];
    return (join(folder, peft_weights, "", weights) && is_file(weights)) ||
           (join(folder, lokr_weights, "", weights) && is_file(weights));
}

/* Such a folder or a file in this folder, as the engine opens it. */
static bool find_in(const char *folder, const char *name, char out[PATH_BYTES])
{
    return (join(folder, name, ending, out) && is_file(out)) ||
           (join(folder, name, "", out) && is_adapter_folder(out));
}

static bool find(const ace_server *server, const char *name, char out[PATH_BYTES], bool *uploaded)
{
    char folder[PATH_BYTES];
    for (size_t i = 0; ace_adapter_name_is_good(name) && folder_at(server, i, folder); i++) {
        if (find_in(folder, name, out)) {
            *uploaded = i == 0;
            return true;
        }
    }
    return false;
}

/* "x" of x.safetensors, and of the folder x. */
static bool read_name(const char *entry, char name[LONGEST_NAME + 1])
{
    size_t n = strlen(entry);
    size_t end = sizeof ending - 1;
    n -= n > end && strcmp(entry + n - end, ending) == 0 ? end : 0;
    if (n > LONGEST_NAME) {
        return false;
    }
    memcpy(name, entry, n);
    name[n] = '\0';
    return ace_adapter_name_is_good(name);
}

ace_status ace_server_adapter_path(ace_server *server, const char *named, char **out,
                                   ace_error *err)
{
    char name[LONGEST_NAME + 1];
    char path[PATH_BYTES];
    bool uploaded = false;
    if (read_name(named, name) && find(server, name, path, &uploaded)) {
        *out = ace_strdup(path);
        return *out != NULL ? ACESTEP_OK : ace_fail(err, ACESTEP_MEMORY, "lora: no host memory");
    }
    if (named[0] == '/') {
        return ace_server_input_path(server, named, out, err);
    }
    return ace_fail(err, ACESTEP_ARGUMENT,
                    "lora: there is no adapter \"%.100s\"; GET /v1/adapters lists them", named);
}

/* ---- what they are --------------------------------------------------------------------------- */

/* The engine's message without the path of ours that it begins with. */
static const char *reason_in(const char *message, const char *path)
{
    size_t n = strlen(path);
    const char *after = strncmp(message, path, n) == 0 ? strstr(message + n, ": ") : NULL;
    return after != NULL ? after + 2 : "cannot be read";
}

static json_t *describe(const char *name, const char *path, bool uploaded)
{
    char weights[PATH_BYTES];
    struct stat found;
    acestep_error err = {.code = ACESTEP_OK};
    if (stat(path, &found) == 0 && S_ISDIR(found.st_mode) &&
        (!join(path, peft_weights, "", weights) || stat(weights, &found) != 0) &&
        (!join(path, lokr_weights, "", weights) || stat(weights, &found) != 0)) {
        return NULL; /* it has gone meanwhile */
    }
    char *facts = acestep_adapter_json(path, NULL, &err);
    json_t *record = facts != NULL ? json_loads(facts, 0, NULL) : json_object();
    acestep_free(facts);
    json_object_set_new(record, "name", json_string(name));
    json_object_set_new(record, "uploaded", json_boolean(uploaded));
    json_object_set_new(record, "bytes", json_integer((json_int_t)found.st_size));
    json_object_set_new(record, "changed", json_integer((json_int_t)found.st_mtime));
    json_object_set_new(record, "error",
                        err.code == ACESTEP_OK ? json_null()
                                               : json_string(reason_in(err.message, path)));
    return record;
}

json_t *ace_adapters_record(ace_server *server, const char *name)
{
    char path[PATH_BYTES];
    bool uploaded = false;
    return find(server, name, path, &uploaded) ? describe(name, path, uploaded) : NULL;
}

static bool is_listed(const json_t *list, const char *name)
{
    size_t i = 0;
    const json_t *one = NULL;
    json_array_foreach (list, i, one) {
        if (strcmp(json_string_value(json_object_get(one, "name")), name) == 0) {
            return true;
        }
    }
    return false;
}

static void add_folder(json_t *list, const char *folder_path, bool uploaded)
{
    DIR *folder = opendir(folder_path);
    for (struct dirent *e; folder != NULL && (e = readdir(folder)) != NULL;) {
        char name[LONGEST_NAME + 1];
        char path[PATH_BYTES];
        if (json_array_size(list) < MOST_ADAPTERS && read_name(e->d_name, name) &&
            find_in(folder_path, name, path) && !is_listed(list, name)) {
            json_t *record = describe(name, path, uploaded);
            if (json_object_get(record, "name") != NULL) { /* a name in UTF-8 */
                json_array_append(list, record);
            }
            json_decref(record);
        }
    }
    if (folder != NULL) {
        closedir(folder);
    }
}

static int by_name(const void *a, const void *b)
{
    return strcmp(json_string_value(json_object_get(*(json_t *const *)a, "name")),
                  json_string_value(json_object_get(*(json_t *const *)b, "name")));
}

json_t *ace_adapters_list(ace_server *server)
{
    char folder[PATH_BYTES];
    json_t *found = json_array();
    json_t *sorted = json_array();
    for (size_t i = 0; folder_at(server, i, folder); i++) {
        add_folder(found, folder, i == 0);
    }
    size_t n = json_array_size(found);
    json_t **all = ace_calloc(n + 1, sizeof(json_t *));
    for (size_t i = 0; all != NULL && i < n; i++) {
        all[i] = json_array_get(found, i);
    }
    if (all != NULL) {
        qsort(all, n, sizeof *all, by_name);
    }
    for (size_t i = 0; all != NULL && i < n; i++) {
        json_array_append(sorted, all[i]);
    }
    ace_free(all);
    json_decref(found);
    return sorted;
}

/* ---- coming and going ------------------------------------------------------------------------ */

/* Two of one name do not come at once. */
static pthread_mutex_t changing = PTHREAD_MUTEX_INITIALIZER;

/* Before anything is kept of it. */
static ace_status check(const ace_http_request *request, const char *name, int model, int config,
                        ace_error *err)
{
    acestep_error failure = {.code = ACESTEP_OK};
    const char *path = request->files[model].path;
    const char *config_path = config >= 0 ? request->files[config].path : NULL;
    char *facts = acestep_adapter_json(path, config_path, &failure);
    acestep_free(facts);
    return facts != NULL
               ? ACESTEP_OK
               : ace_fail(err, failure.code, "%.100s: %s", name, reason_in(failure.message, path));
}

static ace_status put_peft(const ace_server *server, ace_http_request *request, const char *name,
                           int model, int config, ace_error *err)
{
    char own[PATH_BYTES];
    char folder[PATH_BYTES];
    char path[PATH_BYTES];
    if (!folder_at(server, 0, own) || !join(own, name, "", folder) ||
        !join(folder, peft_config, "", path)) {
        return ace_fail(err, ACESTEP_IO, "%s: the path is too long", server->data_folder);
    }
    if (mkdir(folder, 0700) != 0 && errno != EEXIST) { /* one without weights is none */
        return ace_fail(err, ACESTEP_IO, "%.100s: %s", name, strerror(errno));
    }
    ace_status status = ace_http_file_take(request, (size_t)config, path, err);
    if (status == ACESTEP_OK) { /* last: with it the adapter is there */
        status = join(folder, peft_weights, "", path)
                     ? ace_http_file_take(request, (size_t)model, path, err)
                     : ace_fail(err, ACESTEP_IO, "%s: the path is too long", folder);
    }
    return status;
}

static ace_status put(const ace_server *server, ace_http_request *request, const char *name,
                      int model, int config, ace_error *err)
{
    char own[PATH_BYTES];
    char path[PATH_BYTES];
    if (config >= 0) {
        return put_peft(server, request, name, model, config, err);
    }
    return folder_at(server, 0, own) && join(own, name, ending, path)
               ? ace_http_file_take(request, (size_t)model, path, err)
               : ace_fail(err, ACESTEP_IO, "%s: the path is too long", server->data_folder);
}

ace_status ace_adapters_take(ace_server *server, ace_http_request *request, const char *name,
                             int model, int config, ace_error *err)
{
    char path[PATH_BYTES];
    bool uploaded = false;
    if (!ace_adapter_name_is_good(name)) {
        return ace_fail(err, ACESTEP_ARGUMENT, "name: %s", ACE_ADAPTER_NAME_RULE);
    }
    ace_status status = check(request, name, model, config, err);
    (void)pthread_mutex_lock(&changing);
    if (status == ACESTEP_OK && find(server, name, path, &uploaded)) {
        status = ace_fail(err, ACESTEP_BUSY, "name: there is an adapter \"%s\" already", name);
    }
    if (status == ACESTEP_OK) {
        status = put(server, request, name, model, config, err);
    }
    (void)pthread_mutex_unlock(&changing);
    return status;
}

/* Jobs that have it open keep what they have open. */
static void remove_all(const char *path)
{
    char file[PATH_BYTES];
    if (join(path, peft_weights, "", file)) { /* first: without it there is no adapter */
        (void)unlink(file);
    }
    if (join(path, peft_config, "", file)) {
        (void)unlink(file);
    }
    (void)remove(path);
}

ace_adapter_removal ace_adapters_remove(ace_server *server, const char *name)
{
    char path[PATH_BYTES];
    bool uploaded = false;
    (void)pthread_mutex_lock(&changing);
    bool found = find(server, name, path, &uploaded);
    if (found && uploaded) {
        remove_all(path);
    }
    (void)pthread_mutex_unlock(&changing);
    return !found ? ACE_ADAPTER_UNKNOWN : !uploaded ? ACE_ADAPTER_NOT_OURS : ACE_ADAPTER_REMOVED;
}
