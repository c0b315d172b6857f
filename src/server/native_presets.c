/* Named requests: DATA/presets/NAME.json. */
#include "base/file_write.h"
#include "server/native.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_BYTES = 4096, LONGEST_NAME = 100, MOST_PRESETS = 1000 };

/* The path of a preset; false after answering. The name comes without "/" (http.h), and no hidden files
 * are made. */
static bool path_of(ace_http_request *request, const ace_server *server, char out[PATH_BYTES])
{
    const char *name = request->captures[0];
    int n = snprintf(out, PATH_BYTES, "%s/presets/%s.json", server->data_folder, name);
    if (name[0] == '.' || strlen(name) > LONGEST_NAME || n >= PATH_BYTES) {
        ace_http_reply_error(request, 400, "bad_value", "name", NULL,
                             "a preset's name has at most %d bytes and begins with no dot",
                             LONGEST_NAME);
        return false;
    }
    return true;
}

static void reply_unknown(ace_http_request *request)
{
    ace_http_reply_error(request, 404, "not_found", "name", NULL, "there is no such preset");
}

static int by_name(const void *a, const void *b)
{
    return strcmp(json_string_value(json_object_get(*(json_t *const *)a, "name")),
                  json_string_value(json_object_get(*(json_t *const *)b, "name")));
}

static size_t read_all(const char *folder_path, json_t *presets[MOST_PRESETS])
{
    size_t n = 0;
    DIR *folder = opendir(folder_path);
    for (struct dirent *e; folder != NULL && n < MOST_PRESETS && (e = readdir(folder)) != NULL;) {
        char path[PATH_BYTES];
        size_t length = strlen(e->d_name);
        if (e->d_name[0] == '.' || length < 6 || strcmp(e->d_name + length - 5, ".json") != 0 ||
            snprintf(path, sizeof path, "%s/%s", folder_path, e->d_name) >= PATH_BYTES) {
            continue;
        }
        json_t *request = json_load_file(path, 0, NULL);
        json_t *preset = request != NULL
                             ? json_pack("{s:o, s:O}", "name", json_stringn(e->d_name, length - 5),
                                         "request", request)
                             : NULL;
        json_decref(request);
        if (preset != NULL) {
            presets[n++] = preset;
        }
    }
    if (folder != NULL) {
        closedir(folder);
    }
    qsort(presets, n, sizeof *presets, by_name);
    return n;
}

void ace_native_preset_list(ace_http_request *request, ace_server *server)
{
    char path[PATH_BYTES];
    json_t *presets[MOST_PRESETS];
    json_t *list = json_array();
    int n = snprintf(path, sizeof path, "%s/presets", server->data_folder);
    size_t count = n < PATH_BYTES ? read_all(path, presets) : 0;
    for (size_t i = 0; i < count; i++) {
        (void)json_array_append_new(list, presets[i]);
    }
    ace_http_reply_json(request, 200, json_pack("{s:o}", "presets", list));
}

static void reply_preset(ace_http_request *request, const char *path, int status)
{
    json_t *found = json_load_file(path, 0, NULL);
    if (found == NULL) {
        reply_unknown(request);
        return;
    }
    ace_http_reply_json(request, status,
                        json_pack("{s:s, s:o}", "name", request->captures[0], "request", found));
}

void ace_native_preset_show(ace_http_request *request, ace_server *server)
{
    char path[PATH_BYTES];
    if (path_of(request, server, path)) {
        reply_preset(request, path, 200);
    }
}

/* A preset is a request: what the options do not take is refused now and not when it is used. */
static bool is_request(ace_http_request *request, const char *text)
{
    acestep_error err = {.code = ACESTEP_OK};
    acestep_request *asked = NULL;
    bool is = acestep_request_create(&asked, &err) == ACESTEP_OK &&
              acestep_request_set_json(asked, text, strlen(text), &err) == ACESTEP_OK;
    acestep_request_free(asked);
    if (!is) {
        ace_http_reply_error(request, 400, "bad_value", NULL, "GET /v1/params lists the options",
                             "%s", err.message);
    }
    return is;
}

void ace_native_preset_put(ace_http_request *request, ace_server *server)
{
    char path[PATH_BYTES];
    ace_error err = {.code = ACESTEP_OK};
    json_t *body = ace_http_body_object(request);
    if (body == NULL || !path_of(request, server, path)) {
        return;
    }
    char *text = json_dumps(body, JSON_INDENT(2) | JSON_REAL_PRECISION(17));
    if (text == NULL) {
        ace_http_reply_json(request, 500, NULL);
    } else if (is_request(request, text)) {
        bool is_new = access(path, F_OK) != 0;
        if (ace_file_write(path, text, strlen(text), &err) == ACESTEP_OK) {
            reply_preset(request, path, is_new ? 201 : 200);
        } else {
            ace_http_reply_failure(request, &err, NULL);
        }
    }
    free(text);
}

void ace_native_preset_remove(ace_http_request *request, ace_server *server)
{
    char path[PATH_BYTES];
    if (!path_of(request, server, path)) {
        return;
    }
    if (unlink(path) == 0) {
        ace_http_reply_json(request, 200, json_pack("{s:b}", "removed", 1));
    } else if (errno == ENOENT) {
        reply_unknown(request);
    } else {
        ace_http_reply_error(request, 500, "storage", NULL, NULL,
                             "the preset cannot be removed: %s", strerror(errno));
    }
}
