/* Is it alive, can it work, what does it offer? */
#include "server/jobs.h"
#include "server/native.h"

#include "base/memory.h"

#include <string.h>
#include <time.h>

/* One object for all who ask: "status" at the top, and under "data" what clients of the original's server look
 * at. */
void ace_native_health(ace_http_request *request, ace_server *server)
{
    json_t *state = ace_jobs_engine_state(server->jobs);
    const json_t *models = json_object_get(json_object_get(state, "engine"), "models");
    const char *name = json_string_value(json_object_get(models, "name"));
    const char *lm = json_string_value(json_object_get(models, "lm"));
    bool has_lm = lm != NULL && lm[0] != '\0';
    json_t *data = json_pack("{s:s, s:s, s:s, s:b, s:b, s:s?, s:s?}", "status", "ok", "service",
                             "acestep", "version", acestep_version(), "models_initialized",
                             (int)(name != NULL), "llm_initialized", (int)has_lm, "loaded_model",
                             name, "loaded_lm_model", has_lm ? lm : NULL);
    ace_http_reply_json(request, 200,
                        json_pack("{s:s, s:s, s:o, s:o, s:i, s:n, s:I, s:n}", "status", "ok",
                                  "version", acestep_version(), "device",
                                  ace_jobs_device_state(server->jobs), "data", data, "code", 200,
                                  "error", "timestamp", (json_int_t)time(NULL) * 1000, "extra"));
    json_decref(state);
}

void ace_native_live(ace_http_request *request, ace_server *server)
{
    (void)server;
    ace_http_reply_text(request, 200, "text/plain; charset=utf-8", "ok\n");
}

void ace_native_ready(ace_http_request *request, ace_server *server)
{
    ace_jobs_statistics s;
    ace_jobs_statistics_read(server->jobs, &s);
    if (s.queued >= s.queue_limit) {
        ace_http_reply_text(request, 503, "text/plain; charset=utf-8", "the queue is full\n");
        return;
    }
    ace_http_reply_text(request, 200, "text/plain; charset=utf-8", "ok\n");
}

void ace_native_openapi(ace_http_request *request, ace_server *server)
{
    size_t n = (size_t)(ace_openapi_json_end - ace_openapi_json);
    char *copy = ace_malloc_array(n, 1);
    (void)server;
    if (copy == NULL) {
        ace_http_reply_json(request, 500, NULL);
        return;
    }
    memcpy(copy, ace_openapi_json, n);
    ace_http_reply_bytes(request, 200, "application/json", copy, n);
}
