/* Checkpoints: what is here and what can be had, and getting it. The host is chosen by the server's
 * own environment: a request names sets and sources, never an address. */
#include "acestep/store.h"
#include "base/memory.h"
#include "server/downloads.h"

#include <stdlib.h>
#include <string.h>

static void reply_unknown(ace_http_request *request)
{
    ace_http_reply_error(request, 404, "not_found", "id", NULL, "there is no such download");
}

static void show_store(ace_http_request *request, ace_server *server)
{
    ace_error err = {.code = ACESTEP_OK};
    acestep_error why = {.code = ACESTEP_OK};
    char *folder = ace_downloads_folder(server, &err);
    char *lm = folder != NULL ? ace_downloads_recommended(server, &err) : NULL;
    char *text = lm != NULL ? acestep_store_list_json(folder, lm, &why) : NULL;
    json_t *list = text != NULL ? json_loads(text, 0, NULL) : NULL;
    if (list == NULL) {
        ace_error failure = {.code = ACESTEP_OK};
        (void)ace_fail(&failure, err.code != ACESTEP_OK ? err.code : why.code, "%s",
                       err.code != ACESTEP_OK ? err.message : why.message);
        ace_http_reply_failure(request, &failure, NULL);
    } else {
        (void)json_object_set_new(list, "ready", json_boolean(acestep_store_ready(folder)));
        (void)json_object_set_new(list, "downloads", ace_downloads_list(server->downloads));
        ace_http_reply_json(request, 200, list);
    }
    acestep_free(text);
    ace_free(lm);
    acestep_free(folder);
}

/* The members of the body, each of its type; false after answering. */
static bool read_body(ace_http_request *request, json_t *body, json_t **sets, const char **source,
                      bool *force)
{
    const char *key = NULL;
    json_t *value = NULL;
    json_object_foreach (body, key, value) {
        bool well = false;
        if (strcmp(key, "sets") == 0) {
            well = json_is_array(value) && json_array_size(value) <= 32;
            for (size_t i = 0; i < json_array_size(value); i++) {
                well = well && json_is_string(json_array_get(value, i));
            }
            *sets = value;
        } else if (strcmp(key, "source") == 0) {
            *source = json_string_value(value);
            well = *source != NULL &&
                   (strcmp(*source, "auto") == 0 || strcmp(*source, "huggingface") == 0 ||
                    strcmp(*source, "modelscope") == 0 || strcmp(*source, "folder") == 0);
        } else if (strcmp(key, "force") == 0) {
            well = json_is_boolean(value);
            *force = json_is_true(value);
        }
        if (!well) {
            ace_http_reply_error(request, 400, "bad_value", key,
                                 "sets: names in a list; source: auto, huggingface, modelscope or "
                                 "folder; force: true or false",
                                 "%s: not known here, or not of its type", key);
            return false;
        }
    }
    return true;
}

/* Unknown names are refused now, not when their turn comes. */
static ace_status check_names(ace_server *server, json_t *sets, ace_error *err)
{
    const char *names[32];
    size_t n = 0;
    acestep_error why = {.code = ACESTEP_OK};
    char *plan = NULL;
    char *folder = ace_downloads_folder(server, err);
    if (folder == NULL) {
        return err->code;
    }
    for (size_t i = 0; i < json_array_size(sets) && n < 32; i++) {
        names[n++] = json_string_value(json_array_get(sets, i));
    }
    const acestep_store_options options = {.folder = folder};
    acestep_status status = acestep_store_plan(&options, names, n, NULL, &plan, &why);
    acestep_free(plan);
    acestep_free(folder);
    return status == ACESTEP_OK ? ACESTEP_OK : ace_fail(err, status, "%s", why.message);
}

static void start_download(ace_http_request *request, ace_server *server)
{
    ace_error err = {.code = ACESTEP_OK};
    json_t *sets = NULL;
    json_t *none = json_array();
    json_t *record = NULL;
    const char *source = NULL;
    bool force = false;
    json_t *body = ace_http_body_object(request);
    if (body == NULL || !read_body(request, body, &sets, &source, &force)) {
        json_decref(none);
        return;
    }
    ace_status status = check_names(server, sets, &err);
    if (status == ACESTEP_OK) {
        status = ace_downloads_add(server->downloads, sets != NULL ? sets : none, source, force,
                                   &record, &err);
    }
    if (status != ACESTEP_OK) {
        ace_http_reply_failure(request, &err, status == ACESTEP_ARGUMENT ? "sets" : NULL);
    } else {
        (void)json_object_set_new(record, "poll_url",
                                  json_sprintf("/v1/store/downloads/%s",
                                               json_string_value(json_object_get(record, "id"))));
        ace_http_reply_json(request, 202, record);
    }
    json_decref(none);
}

static void list_downloads(ace_http_request *request, ace_server *server)
{
    ace_http_reply_json(request, 200,
                        json_pack("{s:o}", "downloads", ace_downloads_list(server->downloads)));
}

static void show_download(ace_http_request *request, ace_server *server)
{
    json_t *record = ace_downloads_show(server->downloads, request->captures[0]);
    if (record == NULL) {
        reply_unknown(request);
        return;
    }
    ace_http_reply_json(request, 200, record);
}

static void remove_download(ace_http_request *request, ace_server *server)
{
    json_t *record = ace_downloads_remove(server->downloads, request->captures[0]);
    if (record == NULL) {
        reply_unknown(request);
        return;
    }
    ace_http_reply_json(request, 200, record);
}

const ace_http_route ace_store_routes[] = {
    {"GET", "/v1/store", show_store, ACE_RIGHT_READ, ACE_ROUTE_SLOW, 0},
    {"POST", "/v1/store/download", start_download, ACE_RIGHT_ADMIN, ACE_ROUTE_SLOW, 65536},
    {"GET", "/v1/store/downloads", list_downloads, ACE_RIGHT_READ, 0, 0},
    {"GET", "/v1/store/downloads/{id}", show_download, ACE_RIGHT_READ, 0, 0},
    {"DELETE", "/v1/store/downloads/{id}", remove_download, ACE_RIGHT_ADMIN, ACE_ROUTE_SLOW, 0},
    {NULL, NULL, NULL, 0, 0, 0},
};
