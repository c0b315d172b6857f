#include "server/compat_models.h"

#include "base/memory.h"
#include "server/compat_request.h"
#include "server/defaults.h"
#include "server/jobs.h"
#include "server/reference_result.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

/* By the names under which checkpoints are published. */
static const char *kind_of(const char *name)
{
    static const char *const parts[][2] = {
        {"-lm-", "lm"}, {"Embedding", "embedding"}, {"vae", "vae"}, {"acestep", "dit"}};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (strstr(name, parts[i][0]) != NULL) {
            return parts[i][1];
        }
    }
    return NULL;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static bool has(const json_t *names, const char *name)
{
    size_t i = 0;
    const json_t *one = NULL;
    json_array_foreach (names, i, one) {
        if (strcmp(json_string_value(one), name) == 0) {
            return true;
        }
    }
    return false;
}

static void add(json_t *models, const char *file)
{
    const char *kind = kind_of(file);
    char *name = kind != NULL ? ace_compat_model_name(file) : NULL;
    json_t *names = name != NULL ? json_object_get(models, kind) : NULL;
    if (names != NULL && !has(names, name)) {
        json_array_append_new(names, json_string(name));
    }
    ace_free(name);
}

static void scan(json_t *models, const char *folder)
{
    struct dirent **entries = NULL;
    int n = scandir(folder, &entries, NULL, by_name);
    for (int i = 0; i < n; i++) {
        if (entries[i]->d_name[0] != '.') {
            add(models, entries[i]->d_name);
        }
        free(entries[i]);
    }
    free(entries);
}

/* The demo model is built in; its parts bear the names of those they stand for. */
static void add_built_in(json_t *models)
{
    add(models, "acestep-v15-turbo");
    add(models, "Qwen3-Embedding-0.6B");
    add(models, "vae");
}

/* The one that these defaults open, else the first whose name fits. */
static void put_default(json_t *models, ace_server *server, const char *asked)
{
    const json_t *dits = json_object_get(models, "dit");
    json_t *opened = ace_settings_models(server->settings, NULL);
    const char *chosen = ace_compat_string(json_object_get(opened, "models"), "name");
    size_t i = 0;
    const json_t *one = NULL;
    json_array_foreach (dits, i, one) {
        const char *name = json_string_value(one);
        if (chosen[0] == '\0' && (asked[0] == '\0' || strstr(name, asked) != NULL)) {
            chosen = name;
        }
    }
    json_object_set_new(models, "default", json_string(chosen));
    json_decref(opened);
}

static void put_loaded(json_t *models, ace_server *server)
{
    json_t *state = ace_jobs_engine_state(server->jobs);
    const json_t *parts = json_object_get(json_object_get(state, "engine"), "models");
    char *lm = ace_compat_model_name(ace_compat_string(parts, "lm"));
    json_object_set_new(models, "loaded", json_string(ace_compat_string(parts, "name")));
    json_object_set_new(models, "loaded_lm", json_string(lm != NULL ? lm : ""));
    ace_free(lm);
    json_decref(state);
}

json_t *ace_compat_models(ace_server *server)
{
    acestep_request *defaults = NULL;
    json_t *models = json_pack("{s:[], s:[], s:[], s:[]}", "dit", "lm", "vae", "embedding");
    json_t *asked = NULL;
    json_t *info = NULL;
    if (ace_server_defaults(server, &defaults, NULL) == ACESTEP_OK) {
        char *text = acestep_request_json(defaults, false);
        char *about = acestep_info_json(defaults, NULL);
        asked = text != NULL ? json_loads(text, 0, NULL) : NULL;
        info = about != NULL ? json_loads(about, 0, NULL) : NULL;
        acestep_free(text);
        acestep_free(about);
    }
    acestep_request_free(defaults);
    const char *folder = ace_compat_string(asked, "models");
    if (folder[0] != '\0') {
        scan(models, folder);
    } else {
        add_built_in(models);
    }
    put_default(models, server, ace_compat_string(asked, "model"));
    put_loaded(models, server);
    json_t *limit =
        json_object_get(json_object_get(json_object_get(info, "controls"), "duration"), "max");
    json_object_set(models, "max_duration", limit);
    json_decref(asked);
    json_decref(info);
    return models;
}
