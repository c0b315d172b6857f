/* Adapters the way the original keeps them: loaded once, for every song after that. Here they are a
 * default of the server, "PATH:SCALE,…"; one that is switched off has the scale 0. */
#include "base/memory.h"
#include "server/compat_rules.h"
#include "server/compat_values.h"
#include "server/defaults.h"
#include "server/reference_reply.h"
#include "server/reference_result.h"
#include "server/reference_routes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LIST_BYTES = 4096, MOST_ADAPTERS = 16 };

typedef struct adapter {
    char path[LIST_BYTES];
    double scale;
} adapter;

typedef struct adapters {
    adapter one[MOST_ADAPTERS];
    int n;
} adapters;

/* The default of the option lora. False when it cannot be read. */
static bool read_adapters(ace_server *server, adapters *out)
{
    acestep_request *defaults = NULL;
    out->n = 0;
    if (ace_server_defaults(server, &defaults, NULL) != ACESTEP_OK) {
        return false;
    }
    char *text = acestep_request_json(defaults, false);
    json_t *options = text != NULL ? json_loads(text, 0, NULL) : NULL;
    const char *list = ace_compat_string(options, "lora");
    while (*list != '\0' && out->n < MOST_ADAPTERS) {
        adapter *a = &out->one[out->n++];
        size_t n = strcspn(list, ",");
        (void)snprintf(a->path, sizeof a->path, "%.*s", (int)n, list);
        a->scale = 1;
        char *colon = strrchr(a->path, ':');
        if (colon != NULL) {
            a->scale = strtod(colon + 1, NULL);
            *colon = '\0';
        }
        list += n + (list[n] == ',' ? 1 : 0);
    }
    json_decref(options);
    acestep_free(text);
    acestep_request_free(defaults);
    return true;
}

static ace_status write_adapters(ace_server *server, const adapters *all, ace_error *err)
{
    char list[LIST_BYTES] = "";
    for (int i = 0; i < all->n; i++) {
        size_t n = strlen(list);
        int more = snprintf(list + n, sizeof list - n, "%s%s:%.6g", i > 0 ? "," : "",
                            all->one[i].path, all->one[i].scale);
        if (more < 0 || (size_t)more >= sizeof list - n) {
            return ace_fail(err, ACESTEP_ARGUMENT, "lora: the list of adapters is too long");
        }
    }
    json_t *change =
        list[0] != '\0' ? json_pack("{s:s}", "lora", list) : json_pack("{s:n}", "lora");
    ace_status status = ace_settings_change(server->settings, change, err);
    json_decref(change);
    return status;
}

static const char *name_of(const adapter *a)
{
    const char *slash = strrchr(a->path, '/');
    return slash != NULL ? slash + 1 : a->path;
}

/* The adapters of that name, or all of them for an empty one. False when there is none. */
static bool set_scale(adapters *all, const char *name, double scale)
{
    bool found = false;
    for (int i = 0; i < all->n; i++) {
        if (name[0] == '\0' || strcmp(name_of(&all->one[i]), name) == 0) {
            all->one[i].scale = scale;
            found = true;
        }
    }
    return found;
}

static ace_status load(ace_server *server, adapters *all, const char *path, ace_error *err)
{
    char *real = NULL;
    if (path[0] == '\0' || strpbrk(path, ",:") != NULL) {
        return ace_fail(err, ACESTEP_ARGUMENT,
                        "lora_path: the path of an adapter is expected, without commas and colons");
    }
    ace_status status = ace_server_adapter_path(server, path, &real, err);
    if (status == ACESTEP_OK && all->n == MOST_ADAPTERS) {
        status =
            ace_fail(err, ACESTEP_ARGUMENT, "lora: %d adapters are loaded already", MOST_ADAPTERS);
    }
    if (status == ACESTEP_OK) {
        ace_compat_cut(path, all->one[all->n].path, sizeof all->one[0].path);
        all->one[all->n].scale = 1;
        all->n++;
    }
    ace_free(real);
    return status;
}

static ace_status rescale(adapters *all, json_t *body, ace_error *err)
{
    double scale = 0;
    const char *name = ace_compat_string(body, "adapter_name");
    if (!ace_compat_number(json_object_get(body, "scale"), &scale) || scale < 0 || scale > 1) {
        return ace_fail(err, ACESTEP_ARGUMENT, "scale: a number from 0 to 1 is expected");
    }
    return set_scale(all, name, scale)
               ? ACESTEP_OK
               : ace_fail(err, ACESTEP_ARGUMENT, "lora: no such adapter is loaded");
}

/* POST /v1/lora/{load|unload|toggle|scale} */
void ace_reference_lora(ace_http_request *request, ace_server *server)
{
    const char *what = request->captures[0];
    json_t *body = ace_http_body_object(request);
    adapters *all = ace_calloc(1, sizeof *all);
    ace_error err = {.code = ACESTEP_OK};
    ace_status status = ACESTEP_OK;
    json_t *reply = json_object();
    if (body == NULL || all == NULL || !read_adapters(server, all)) {
        if (body != NULL) { /* otherwise it is answered */
            ace_http_reply_json(request, 500, NULL);
        }
        json_decref(reply);
        ace_free(all);
        return;
    }
    if (strcmp(what, "load") == 0) {
        status = load(server, all, ace_compat_string(body, "lora_path"), &err);
        json_object_set_new(reply, "lora_path", json_string(ace_compat_string(body, "lora_path")));
        json_object_set_new(reply, "message", json_string("LoRA loaded"));
    } else if (strcmp(what, "unload") == 0) {
        status = all->n > 0 ? ACESTEP_OK
                            : ace_fail(&err, ACESTEP_ARGUMENT, "lora: no adapter is loaded");
        all->n = 0;
        json_object_set_new(reply, "message", json_string("LoRA unloaded"));
    } else if (strcmp(what, "toggle") == 0) {
        bool use = ace_compat_truth(json_object_get(body, "use_lora"));
        status = set_scale(all, "", use ? 1 : 0)
                     ? ACESTEP_OK
                     : ace_fail(&err, ACESTEP_ARGUMENT, "lora: no adapter is loaded");
        json_object_set_new(reply, "use_lora", json_boolean(use));
        json_object_set_new(reply, "message", json_string(use ? "LoRA enabled" : "LoRA disabled"));
    } else if (strcmp(what, "scale") == 0) {
        status = rescale(all, body, &err);
        json_object_set(reply, "scale", json_object_get(body, "scale"));
        json_object_set_new(reply, "message", json_string("LoRA scale set"));
    } else {
        status = ace_fail(&err, ACESTEP_ARGUMENT, "lora: none of load, unload, toggle and scale");
    }
    if (status == ACESTEP_OK) {
        status = write_adapters(server, all, &err);
    }
    if (status == ACESTEP_OK) {
        ace_reference_reply(request, json_incref(reply));
    } else {
        ace_http_reply_failure(request, &err, NULL);
    }
    json_decref(reply);
    ace_free(all);
}

void ace_reference_lora_status(ace_http_request *request, ace_server *server)
{
    adapters *all = ace_calloc(1, sizeof *all);
    if (all == NULL || !read_adapters(server, all)) {
        ace_http_reply_json(request, 500, NULL);
        ace_free(all);
        return;
    }
    json_t *names = json_array();
    json_t *scales = json_object();
    double scale = 0;
    for (int i = 0; i < all->n; i++) {
        const adapter *a = &all->one[i];
        scale = a->scale > scale ? a->scale : scale;
        json_array_append_new(names, json_string(name_of(a)));
        json_object_set_new(scales, name_of(a), json_real(a->scale));
    }
    ace_reference_reply(request,
                        json_pack("{s:b, s:b, s:f, s:s?, s:o, s:s?, s:o, s:b}", "lora_loaded",
                                  (int)(all->n > 0), "use_lora", (int)(scale > 0), "lora_scale",
                                  all->n > 0 ? scale : 1.0, "adapter_type",
                                  all->n > 0 ? "lora" : NULL, "scales", scales, "active_adapter",
                                  all->n > 0 ? name_of(&all->one[0]) : NULL, "adapters", names,
                                  "synthetic_default_mode", 0));
    ace_free(all);
}
