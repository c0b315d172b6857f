/* Whether a request may be answered, and by what. */
#include "server/http_core.h"

#include <string.h>
#include <strings.h>
#include <time.h>

const char *ace_http_header_key(const ace_http_request *request)
{
    const char *authorization = ace_http_header(request, "Authorization");
    if (authorization != NULL && strncasecmp(authorization, "Bearer ", 7) == 0) {
        return authorization + 7 + strspn(authorization + 7, " ");
    }
    if (authorization != NULL && strchr(authorization, ' ') == NULL) {
        return authorization; /* clients of the original leave the word out */
    }
    return ace_http_header(request, "x-api-key");
}

static bool is_signed(const ace_http_exchange *x)
{
    const ace_http_request *request = &x->request;
    return (x->route->flags & ACE_ROUTE_SIGNED) != 0 && strcmp(request->method, "GET") == 0 &&
           ace_http_keys_signed(&x->http->keys, request->path, ace_http_query(request, "path"),
                                ace_http_query(request, "exp"), ace_http_query(request, "sig"),
                                (uint64_t)time(NULL));
}

bool ace_http_admit(ace_http_exchange *x, const char *key)
{
    x->request.rights = ace_http_keys_rights(&x->http->keys, key);
    unsigned missing = x->route->rights & ~x->request.rights;
    if (missing == 0) {
        return true;
    }
    if (is_signed(x)) {
        x->request.rights = ACE_RIGHT_READ;
        if ((x->route->rights & ~(unsigned)ACE_RIGHT_READ) == 0) {
            return true;
        }
    }
    if (x->request.rights == ACE_RIGHT_NONE) {
        ace_http_reply_header(&x->request, "WWW-Authenticate", "Bearer");
        ace_http_reply_error(&x->request, 401, "unauthorized", NULL,
                             "send the header Authorization: Bearer KEY", "%s",
                             key != NULL ? "this key is not known" : "a key is needed");
    } else {
        ace_http_reply_error(&x->request, 403, "forbidden", NULL, NULL,
                             "this key does not have the right to do that");
    }
    return false;
}

bool ace_http_admit_origin(ace_http_exchange *x)
{
    const ace_http_request *request = &x->request;
    const ace_http_guard *guard = &x->http->guard;
    const char *host = ace_http_header(request, "Host");
    bool has_keys = x->http->keys.count > 0;
    if (!has_keys && !ace_http_guard_host(guard, host)) {
        ace_http_reply_error(&x->request, 403, "unknown_host", "Host",
                             "--allowed-host NAME tells the server its name, or --api-key asks "
                             "for a key instead",
                             "the server does not answer under the name \"%.100s\"",
                             host != NULL ? host : "");
        return false;
    }
    ace_http_origin origin = ace_http_guard_origin(guard, ace_http_header(request, "Origin"), host,
                                                   ace_http_header(request, "Sec-Fetch-Site"));
    x->foreign = origin == ACE_ORIGIN_ALLOWED && ace_http_header(request, "Origin") != NULL;
    bool only_reads = strcmp(x->method, "GET") == 0 || strcmp(x->method, "OPTIONS") == 0;
    bool proves_itself = has_keys && ace_http_header_key(request) != NULL;
    if (origin == ACE_ORIGIN_FOREIGN && !only_reads && !proves_itself) {
        ace_http_reply_error(&x->request, 403, "foreign_origin", "Origin",
                             "--cors ORIGIN lets another page call this server",
                             "a page of another origin must not do that");
        return false;
    }
    return true;
}

static void reply_options(ace_http_exchange *x, const char *allow)
{
    ace_http_reply_header(&x->request, "Allow", allow);
    if (x->foreign) {
        ace_http_reply_header(&x->request, "Access-Control-Allow-Methods", allow);
        ace_http_reply_header(&x->request, "Access-Control-Allow-Headers",
                              "Authorization, Content-Type, X-Api-Key, Idempotency-Key, "
                              "Last-Event-ID, Range");
        ace_http_reply_header(&x->request, "Access-Control-Max-Age", "600");
    }
    x->answer.kind = ACE_ANSWER_BYTES;
    x->answer.status = 204;
}

void ace_http_take_route(ace_http_exchange *x)
{
    ace_route_match match;
    switch (ace_route_find(x->http->tables, x->method, &x->target, &match)) {
    case ACE_ROUTE_FOUND:
        x->route = match.route;
        memcpy(x->request.captures, match.captures, sizeof match.captures);
        break;
    case ACE_ROUTE_OTHER_METHOD:
        if (strcmp(x->method, "OPTIONS") == 0) {
            reply_options(x, match.allow);
            break;
        }
        ace_http_reply_header(&x->request, "Allow", match.allow);
        ace_http_reply_error(&x->request, 405, "method", NULL, NULL, "this path takes %s, not %s",
                             match.allow, x->method);
        break;
    case ACE_ROUTE_UNKNOWN:
        if (strcmp(x->method, "OPTIONS") == 0 && strcmp(x->target.path, "*") == 0) {
            reply_options(x, "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"); /* of the server */
        } else if (!x->http->page || strcmp(x->method, "GET") != 0 || !ace_http_page_reply(x)) {
            ace_http_reply_error(&x->request, 404, "not_found", NULL,
                                 "GET /openapi.json lists what there is", "there is nothing here");
        }
        break;
    }
}
