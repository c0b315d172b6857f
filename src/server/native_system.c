/* The machine, and what every job starts from. */
#include "server/defaults.h"
#include "server/http_serve.h"
#include "server/jobs.h"
#include "server/native.h"
#include "server/server_options.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Options of the query, for "what if": they say how a job would run and name no files. */
static const char *const what_if[][2] = {
    {"simulate_vram", "max_cuda_vram"},
    {"max_cuda_vram", "max_cuda_vram"},
    {"tier", "tier"},
    {"limits", "limits"},
    {"init_llm", "init_llm"},
    {"lm_model_path", "lm_model_path"},
    {"thinking", "thinking"},
    {"backend", "backend"},
    {"quantization", "quantization"},
    {"offload_to_cpu", "offload_to_cpu"},
    {"compile_model", "compile_model"},
    {"offload_dit_to_cpu", "offload_dit_to_cpu"},
    {"batch_size", "batch_size"},
    {"use_flash_attention", "use_flash_attention"},
    {"kv_cache_dtype", "kv_cache_dtype"},
    {"duration", "duration"},
    {"model", "model"},
};

/* False after answering. */
static bool take_what_if(ace_http_request *request, acestep_request *asked)
{
    const char *name;
    json_t *value;
    json_object_foreach (request->query, name, value) {
        const char *option = NULL;
        for (size_t i = 0; i < sizeof what_if / sizeof *what_if; i++) {
            option = strcmp(name, what_if[i][0]) == 0 ? what_if[i][1] : option;
        }
        acestep_error err = {.code = ACESTEP_OK};
        if (option == NULL) {
            ace_http_reply_error(request, 400, "bad_value", name, NULL,
                                 "%.60s: not an option that can be tried here", name);
            return false;
        }
        if (acestep_request_set(asked, option, json_string_value(value), &err) != ACESTEP_OK) {
            ace_http_reply_error(request, 400, "bad_value", name, NULL, "%s", err.message);
            return false;
        }
    }
    return true;
}

static json_t *describe_queue(ace_server *server)
{
    ace_jobs_statistics s;
    ace_jobs_statistics_read(server->jobs, &s);
    return json_pack("{s:i, s:i, s:b, s:f, s:f, s:I}", "queued", s.queued, "limit", s.queue_limit,
                     "running", s.running_seconds > 0, "wait_seconds", s.wait_seconds,
                     "average_seconds", s.average_seconds, "result_bytes",
                     (json_int_t)s.result_bytes);
}

static json_t *describe_models(ace_server *server, const acestep_request *defaults)
{
    ace_error err = {.code = ACESTEP_OK};
    json_t *engine = ace_settings_models(server->settings, &err);
    char *text = acestep_request_json(defaults, false);
    json_t *options = text != NULL ? json_loads(text, 0, NULL) : NULL;
    acestep_free(text);
    const json_t *found = json_object_get(engine, "models");
    json_t *models = json_pack(
        "{s:s?, s:s?, s:s?, s:O?, s:s?}", "dit", json_string_value(json_object_get(found, "name")),
        "lm", json_string_value(json_object_get(found, "lm")), "folder",
        json_string_value(json_object_get(options, "models")), "card",
        json_object_get(engine, "card"), "error", engine == NULL ? err.message : NULL);
    json_decref(options);
    json_decref(engine);
    return models;
}

/* Bytes of this program that are in memory. */
static json_t *describe_memory(void)
{
    long long pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (f == NULL || fscanf(f, "%*s %lld", &pages) != 1) {
        pages = 0;
    }
    if (f != NULL) {
        fclose(f);
    }
    return json_pack("{s:I}", "resident_bytes", (json_int_t)(pages * sysconf(_SC_PAGESIZE)));
}

static void reply(ace_http_request *request, ace_server *server, acestep_request *asked)
{
    acestep_error err = {.code = ACESTEP_OK};
    char *text = acestep_info_json(asked, &err);
    if (text == NULL) {
        ace_error inner = {.code = err.code};
        (void)snprintf(inner.message, sizeof inner.message, "%s", err.message);
        ace_http_reply_failure(request, &inner, NULL);
        return;
    }
    json_t *info = json_loads(text, 0, NULL);
    acestep_free(text);
    text = acestep_request_json(asked, true);
    json_t *defaults = text != NULL ? json_loads(text, 0, NULL) : NULL;
    acestep_free(text);
    ace_http_reply_json(
        request, 200,
        json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:f, s:i}", "version", acestep_version(),
                  "info", info, "engine", ace_jobs_engine_state(server->jobs), "queue",
                  describe_queue(server), "models", describe_models(server, asked), "memory",
                  describe_memory(), "defaults", defaults, "started", server->started,
                  "max_upload_mb", (int)server->options->max_upload));
}

static void show(ace_http_request *request, ace_server *server)
{
    acestep_request *asked = NULL;
    ace_error err = {.code = ACESTEP_OK};
    if (ace_server_defaults(server, &asked, &err) != ACESTEP_OK) {
        ace_http_reply_failure(request, &err, NULL);
    } else if (take_what_if(request, asked)) {
        reply(request, server, asked);
    }
    acestep_request_free(asked);
}

void ace_native_system(ace_http_request *request, ace_server *server)
{
    show(request, server);
}

void ace_native_system_change(ace_http_request *request, ace_server *server)
{
    ace_error err = {.code = ACESTEP_OK};
    json_t *changes = ace_http_body_object(request);
    if (changes == NULL) {
        return;
    }
    if (ace_settings_change(server->settings, changes, &err) != ACESTEP_OK) {
        ace_http_reply_failure(request, &err, NULL);
        return;
    }
    show(request, server);
}

/* Who am I? Also for pages that have no key yet. */
void ace_native_session(ace_http_request *request, ace_server *server)
{
    static const struct {
        unsigned right;
        const char *name;
    } names[] = {
        {ACE_RIGHT_READ, "read"}, {ACE_RIGHT_GENERATE, "generate"}, {ACE_RIGHT_ADMIN, "admin"}};
    json_t *rights = json_array();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if ((request->rights & names[i].right) != 0) {
            json_array_append_new(rights, json_string(names[i].name));
        }
    }
    ace_http_reply_json(request, 200,
                        json_pack("{s:o, s:b, s:s}", "rights", rights, "keys",
                                  (int)ace_http_has_keys(server->http), "version",
                                  acestep_version()));
}
