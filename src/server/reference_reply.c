#include "server/reference_reply.h"

#include <time.h>

json_t *ace_reference_envelope(json_t *data, int code, const char *message)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    json_int_t ms = (json_int_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    return json_pack("{s:o, s:i, s:s?, s:I, s:n}", "data", data, "code", code, "error", message,
                     "timestamp", ms, "extra");
}

void ace_reference_reply(ace_http_request *request, json_t *data)
{
    ace_http_reply_json(request, 200,
                        data != NULL ? ace_reference_envelope(data, 200, NULL) : NULL);
}

void ace_reference_reply_code(ace_http_request *request, int code, const char *message)
{
    ace_http_reply_json(request, 200, ace_reference_envelope(json_null(), code, message));
}
