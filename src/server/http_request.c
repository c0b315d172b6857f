/* What handlers read of a request. */
#include "base/memory.h"
#include "server/http_core.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

const char *ace_http_query(const ace_http_request *request, const char *name)
{
    return json_string_value(json_object_get(request->query, name));
}

bool ace_http_query_flag(const ace_http_request *request, const char *name)
{
    static const char *const words[] = {"1", "true", "yes", "on"};
    const char *value = ace_http_query(request, name);
    for (size_t i = 0; value != NULL && i < sizeof words / sizeof *words; i++) {
        if (strcasecmp(value, words[i]) == 0) {
            return true;
        }
    }
    return false;
}

bool ace_http_query_int(ace_http_request *request, const char *name, int64_t low, int64_t high,
                        int64_t missing, int64_t *out)
{
    const char *value = ace_http_query(request, name);
    *out = missing;
    if (value == NULL) {
        return true;
    }
    char *end = NULL;
    errno = 0;
    long long number = strtoll(value, &end, 10);
    if (errno != 0 || end == value || *end != '\0' || number < low || number > high) {
        ace_http_reply_error(request, 400, "bad_value", name, NULL,
                             "%s: a whole number from %lld to %lld is expected", name,
                             (long long)low, (long long)high);
        return false;
    }
    *out = number;
    return true;
}

const char *ace_http_header(const ace_http_request *request, const char *name)
{
    return MHD_lookup_connection_value(request->exchange->connection, MHD_HEADER_KIND, name);
}

json_t *ace_http_body_object(ace_http_request *request)
{
    if (request->body == NULL) {
        request->body = request->exchange->empty = json_object();
    }
    if (!json_is_object(request->body)) {
        ace_http_reply_error(request, 400, "bad_json", NULL, NULL,
                             "the body has to be a JSON object");
        return NULL;
    }
    return request->body;
}

ace_status ace_http_file_take(ace_http_request *request, size_t index, const char *path,
                              ace_error *err)
{
    if (index >= request->n_files || request->files[index].path == NULL) {
        return ace_fail(err, ACESTEP_ARGUMENT, "the request has no file number %zu", index);
    }
    if (rename(request->files[index].path, path) != 0) {
        return ace_fail(err, ACESTEP_IO, "%s: %s", path, strerror(errno));
    }
    ace_http_body_forget(request->exchange->body, index);
    return ACESTEP_OK;
}
