/* Is it alive, can it work, what does it offer? */
#include "server/jobs.h"
#include "server/native.h"

#include "base/memory.h"

#include <string.h>
#include <time.h>

/* What is wrong with the card, in a sentence; null: nothing. */
static json_t *trouble_of(const json_t *device)
{
    const char *state = json_string_value(json_object_get(device, "state"));
    const char *cause = json_string_value(json_object_get(device, "cause"));
    if (state == NULL || strcmp(state, "ok") == 0) {
        return json_null();
    }
    return json_sprintf("the graphics card was lost%s: %s",
                        strcmp(state, "fallback") == 0 ? ", and jobs run without it" : "",
                        cause != NULL ? cause : "no cause is known");
}

/* One object for all who ask: "status" at the top is acestep.cpp's; "data", "code" and "error" are
 * the envelope of the original's server. Without its card a server still takes jobs, and the next
 * one may bring the card back: HTTP says 200, and the words tell of it. */
void ace_native_health(ace_http_request *request, ace_server *server)
{
    json_t *device = ace_jobs_device_state(server->jobs);
    json_t *error = trouble_of(device);
    bool well = json_is_null(error);
    const char *status = well ? "ok" : "degraded";
    json_t *state = ace_jobs_engine_state(server->jobs);
    const json_t *models = json_object_get(json_object_get(state, "engine"), "models");
    const char *name = json_string_value(json_object_get(models, "name"));
    const char *lm = json_string_value(json_object_get(models, "lm"));
    bool has_lm = lm != NULL && lm[0] != '\0';
    json_t *data = json_pack("{s:s, s:s, s:s, s:b, s:b, s:s?, s:s?}", "status", status, "service",
                             "acestep", "version", acestep_version(), "models_initialized",
                             (int)(name != NULL), "llm_initialized", (int)has_lm, "loaded_model",
                             name, "loaded_lm_model", has_lm ? lm : NULL);
    ace_http_reply_json(request, 200,
                        json_pack("{s:s, s:s, s:o, s:o, s:i, s:o, s:I, s:n}", "status", status,
                                  "version", acestep_version(), "device", device, "data", data,
                                  "code", well ? 200 : 503, "error", error, "timestamp",
                                  (json_int_t)time(NULL) * 1000, "extra"));
    json_decref(state);
}

void ace_native_live(ace_http_request *request, ace_server *server)
{
    (void)server;
    ace_http_reply_text(request, 200, "text/plain; charset=utf-8", "ok\n");
}

void ace_native_ready(ace_http_request *request, ace_server *server)
{
    ace_error err = {.code = ACESTEP_OK};
    ace_status status = ace_jobs_ready(server->jobs, &err);
    const char *text = status == ACESTEP_OK     ? "ok\n"
                       : status == ACESTEP_BUSY ? "the queue is full\n"
                                                : "the models cannot be opened\n";
    ace_http_reply_text(request, status == ACESTEP_OK ? 200 : 503, "text/plain; charset=utf-8",
                        text); /* nobody has to say who he is: where they lie is not told */
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
