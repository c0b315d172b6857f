/* Adapters: those that there are, new ones, and their end. */
#include "server/adapters.h"
#include "server/native.h"

#include <stdio.h>
#include <string.h>

void ace_native_adapter_list(ace_http_request *request, ace_server *server)
{
    ace_http_reply_json(request, 200, json_pack("{s:o}", "adapters", ace_adapters_list(server)));
}

/* ---- new ones -------------------------------------------------------------------------------- */

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text);
    size_t m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

/* Which file is which. False after answering. */
static bool sort_files(ace_http_request *request, int *model, int *config)
{
    *model = *config = -1;
    for (size_t i = 0; i < request->n_files; i++) {
        int *place = ends_with(request->files[i].name, ".json") ||
                             strcmp(request->files[i].field, "config") == 0
                         ? config
                         : model;
        if (*place >= 0) {
            *model = -1;
            break;
        }
        *place = (int)i;
    }
    if (*model < 0) {
        ace_http_reply_error(request, 400, "bad_value", "file",
                             "send a safetensors file, and beside PEFT's adapter_model.safetensors "
                             "its adapter_config.json, in a multipart form",
                             "one adapter is expected");
        return false;
    }
    return true;
}

/* ?name=, the form's field of that name, or what the client calls its file. */
static void read_name(const ace_http_request *request, const ace_http_file *file, char name[256])
{
    static const char end[] = ".safetensors";
    const char *given = ace_http_query(request, "name");
    given = given != NULL ? given : json_string_value(json_object_get(request->body, "name"));
    (void)snprintf(name, 256, "%s", given != NULL ? given : file->name);
    if (given == NULL && ends_with(name, end)) {
        name[strlen(name) - strlen(end)] = '\0';
    }
}

void ace_native_adapter_add(ace_http_request *request, ace_server *server)
{
    int model = -1;
    int config = -1;
    char name[256];
    ace_error err = {.code = ACESTEP_OK};
    if (!sort_files(request, &model, &config)) {
        return;
    }
    read_name(request, &request->files[model], name);
    ace_status status = ace_adapters_take(server, request, name, model, config, &err);
    if (status == ACESTEP_BUSY) {
        ace_http_reply_error(request, 409, "exists", "name", "remove it first, or choose another",
                             "%s", err.message);
    } else if (status == ACESTEP_MODEL || status == ACESTEP_UNSUPPORTED) {
        ace_http_reply_error(request, 422, "no_adapter", "file", NULL, "%s", err.message);
    } else if (status != ACESTEP_OK) {
        ace_http_reply_failure(request, &err, "name");
    } else {
        ace_http_reply_json(request, 201, ace_adapters_record(server, name));
    }
}

/* ---- their end ------------------------------------------------------------------------------- */

void ace_native_adapter_remove(ace_http_request *request, ace_server *server)
{
    switch (ace_adapters_remove(server, request->captures[0])) {
    case ACE_ADAPTER_REMOVED:
        ace_http_reply_json(request, 200, json_pack("{s:b}", "removed", 1));
        break;
    case ACE_ADAPTER_UNKNOWN:
        ace_http_reply_error(request, 404, "not_found", "name", NULL, "there is no such adapter");
        break;
    case ACE_ADAPTER_NOT_OURS:
        ace_http_reply_error(request, 409, "not_uploaded", "name",
                             "remove its file from the folder of --adapters",
                             "this adapter was not uploaded");
        break;
    }
}
