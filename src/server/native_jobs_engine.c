/* The engine, loaded before a job needs it, or put away; its device, opened anew. */
#include "server/native_jobs.h"

void ace_native_engine_load(ace_http_request *request, ace_server *server)
{
    ace_error err = {.code = ACESTEP_OK};
    json_t *body = ace_http_body_object(request);
    if (body == NULL) {
        return;
    }
    if (ace_jobs_load(server->jobs, body, &err) != ACESTEP_OK) {
        ace_native_refuse(request, body, &err, 0);
        return;
    }
    ace_http_reply_json(request, 202,
                        json_pack("{s:o}", "engine", ace_jobs_engine_state(server->jobs)));
}

void ace_native_engine_unload(ace_http_request *request, ace_server *server)
{
    ace_jobs_unload(server->jobs);
    ace_http_reply_json(request, 202,
                        json_pack("{s:o}", "engine", ace_jobs_engine_state(server->jobs)));
}

void ace_native_device_reopen(ace_http_request *request, ace_server *server)
{
    ace_jobs_reopen_device(server->jobs);
    ace_http_reply_json(request, 202,
                        json_pack("{s:o}", "device", ace_jobs_device_state(server->jobs)));
}
