/* One request, from its first line to the end of its answer. */
#include "server/http_core.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

enum {
    DISCARDED_BYTES = 256 << 10
}; /* that much of a refused body is read, so that the client reads why */

static ace_http_peer *peer_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info != NULL ? info->socket_context : NULL;
}

static void describe_peer(ace_http_exchange *x)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(x->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct sockaddr *address = info != NULL ? info->client_addr : NULL;
    (void)snprintf(x->peer, sizeof x->peer, "-");
    if (address != NULL && address->sa_family == AF_INET) {
        (void)inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)address)->sin_addr,
                        x->peer, sizeof x->peer);
    } else if (address != NULL && address->sa_family == AF_INET6) {
        (void)inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr,
                        x->peer, sizeof x->peer);
    }
}

void *ace_http_exchange_open(void *http, const char *uri, struct MHD_Connection *connection)
{
    ace_http_exchange *x = ace_calloc(1, sizeof *x);
    if (x == NULL) {
        return NULL;
    }
    x->http = http;
    x->connection = x->wait.connection = connection;
    x->started = ace_clock_seconds();
    x->answer.fd = x->later.fd = -1;
    x->request.exchange = x;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    x->wait.fd = info != NULL ? info->connect_fd : -1;
    describe_peer(x);
    ace_error err = {.code = ACESTEP_OK};
    if (ace_http_target_parse(uri, &x->target, &err) != ACESTEP_OK) {
        ace_http_reply_failure(&x->request, &err, NULL);
    }
    x->request.path = x->target.path;
    x->request.query = x->target.query;
    return x;
}

/* ---- the body -------------------------------------------------------------------------------- */

static ace_http_body_limits limits_of(const ace_http_exchange *x)
{
    const ace_http_route *route = x->route;
    return (ace_http_body_limits){.spool = x->http->spool,
                                  .text_bytes = route->body_bytes > 0 ? route->body_bytes
                                                                      : ACE_HTTP_BODY_BYTES,
                                  .file_bytes = x->http->max_upload,
                                  .files = (route->flags & ACE_ROUTE_FILES) != 0,
                                  .raw = (route->flags & ACE_ROUTE_RAW) != 0};
}

/* Bytes that are announced; UINT64_MAX: they come in chunks, nobody knows how many. */
static uint64_t announced_bytes(const ace_http_request *request)
{
    const char *length = ace_http_header(request, "Content-Length");
    return ace_http_header(request, "Transfer-Encoding") != NULL ? UINT64_MAX
           : length != NULL                                      ? strtoull(length, NULL, 10)
                                                                 : 0;
}

typedef struct framing {
    int lengths, encodings, hosts;
    bool malformed;
} framing;

static enum MHD_Result look_at_header(void *context, enum MHD_ValueKind kind, const char *name,
                                      const char *value)
{
    framing *f = context;
    (void)kind;
    f->hosts += strcasecmp(name, "Host") == 0;
    f->lengths += strcasecmp(name, "Content-Length") == 0;
    if (strcasecmp(name, "Transfer-Encoding") == 0) {
        f->encodings++;
        f->malformed |= value == NULL || strcasecmp(value, "chunked") != 0;
    }
    f->malformed |= strpbrk(name, " \t") != NULL;
    return MHD_YES;
}

/* Where a request says in two ways how long it is or whom it is for, a proxy and we may disagree about where the next
 * one begins or who answers. */
static bool has_one_meaning(ace_http_exchange *x)
{
    framing f = {0};
    (void)MHD_get_connection_values(x->connection, MHD_HEADER_KIND, look_at_header, &f);
    if (!f.malformed && f.lengths + f.encodings <= 1 && f.hosts <= 1) {
        return true;
    }
    ace_http_reply_header(&x->request, "Connection", "close");
    ace_http_reply_error(&x->request, 400, "bad_header", NULL, NULL,
                         "a request has one Host, and one Content-Length or the "
                         "Transfer-Encoding chunked");
    return false;
}

static void open_body(ace_http_exchange *x)
{
    ace_http_body_limits limits = limits_of(x);
    const char *type = ace_http_header(&x->request, "Content-Type");
    uint64_t announced = announced_bytes(&x->request);
    uint64_t most = ace_http_body_most(ace_http_body_kind(type, &limits), &limits);
    if (announced == 0) {
        return;
    }
    if (announced != UINT64_MAX && announced > most) {
        ace_http_reply_error(&x->request, 413, "too_large", NULL,
                             limits.files ? "the server's --max-upload sets the limit" : NULL,
                             "the body has %llu bytes, and at most %llu are taken",
                             (unsigned long long)announced, (unsigned long long)most);
        return;
    }
    x->body = ace_http_body_open(x->connection, type, &limits);
    if (x->body == NULL) {
        ace_http_reply_json(&x->request, 500, NULL);
    }
}

static bool has_answer(const ace_http_exchange *x)
{
    return x->answer.kind != ACE_ANSWER_NONE;
}

/* The library takes no answer while a body arrives. What is wrong is then written past it, as the only answer on
 * this connection, which is closed. */
static enum MHD_Result refuse_the_rest(ace_http_exchange *x)
{
    const char *message = x->body != NULL ? ace_http_body_failed(x->body)->message : "";
    char text[2048];
    char json[1024];
    (void)snprintf(json, sizeof json,
                   "{\"error\":{\"code\":\"too_large\",\"message\":\"%s\",\"param\":null,"
                   "\"hint\":null},\"detail\":\"%s\"}",
                   message, message);
    int n = snprintf(text, sizeof text,
                     "HTTP/1.1 413 Content Too Large\r\nContent-Type: application/json\r\n"
                     "Connection: close\r\nContent-Length: %zu\r\n\r\n%s",
                     strlen(json), json);
    x->sent_status = 413;
    (void)send(x->wait.fd, text, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)shutdown(x->wait.fd, SHUT_WR);
    return MHD_NO;
}

static enum MHD_Result begin(ace_http_exchange *x, const char *method)
{
    bool head = strcmp(method, "HEAD") == 0;
    (void)snprintf(x->method, sizeof x->method, "%s", head ? "GET" : method);
    x->request.method = x->method;
    if (!has_answer(x) && has_one_meaning(x) && ace_http_admit_origin(x)) {
        ace_http_take_route(x);
    }
    if (!has_answer(x)) {
        /* a key in the body can only be looked at when the body is here */
        const char *key = ace_http_header_key(&x->request);
        bool in_body = key == NULL && (x->route->flags & ACE_ROUTE_TOKEN) != 0;
        if (in_body || ace_http_admit(x, key)) {
            open_body(x);
        }
    }
    x->stage = has_answer(x) ? ACE_EXCHANGE_DISCARD : ACE_EXCHANGE_BODY;
    bool asks_first = ace_http_header(&x->request, "Expect") != NULL;
    if (has_answer(x) && (asks_first || announced_bytes(&x->request) > DISCARDED_BYTES)) {
        return ace_http_answer_send(x); /* the library closes the connection after it */
    }
    ace_http_peer_enter(&x->http->peers, peer_of(x->connection), ACE_PEER_BODY);
    return MHD_YES;
}

static enum MHD_Result take_bytes(ace_http_exchange *x, const char *data, size_t *bytes)
{
    ace_http_peer_received(&x->http->peers, peer_of(x->connection), *bytes);
    if (x->stage == ACE_EXCHANGE_BODY && x->body != NULL) {
        ace_http_body_add(x->body, data, *bytes);
    }
    *bytes = 0;
    return x->body != NULL && ace_http_body_exceeded(x->body) ? refuse_the_rest(x) : MHD_YES;
}

/* ---- the answer ------------------------------------------------------------------------------ */

/* Asks a waiting answer; it sleeps on, or the answer is there. */
static enum MHD_Result ask_later(ace_http_exchange *x)
{
    bool late = ace_clock_seconds() >= x->deadline || ace_http_wait_ending(&x->http->waiting);
    for (;;) {
        if (atomic_load(&x->wait.gone)) {
            return MHD_NO;
        }
        if (x->later.ready(&x->request, x->later.state, late)) {
            break;
        }
        if (!late && ace_http_wait_sleep(&x->http->waiting, &x->wait, x->deadline)) {
            return MHD_YES;
        }
        if (late) {
            break;
        }
        late = true; /* the server is ending */
    }
    if (x->answer.kind == ACE_ANSWER_NONE || x->answer.kind == ACE_ANSWER_LATER) {
        ace_http_reply_error(&x->request, 500, "no_answer", NULL, NULL,
                             "the server has no answer to that");
    }
    return ace_http_answer_send(x);
}

static enum MHD_Result answer(ace_http_exchange *x)
{
    ace_http_peer_enter(&x->http->peers, peer_of(x->connection), ACE_PEER_SERVED);
    if (x->answer.kind == ACE_ANSWER_LATER) {
        x->later.ready = x->answer.ready;
        x->later.done = x->answer.done;
        x->later.state = x->answer.state;
        x->deadline = ace_clock_seconds() + x->answer.seconds;
        x->answer.kind = ACE_ANSWER_NONE;
        x->answer.done = NULL;
        x->stage = ACE_EXCHANGE_WAIT;
        return ask_later(x);
    }
    if (x->answer.kind == ACE_ANSWER_NONE) {
        ace_http_reply_error(&x->request, 500, "no_answer", NULL, NULL,
                             "the server has no answer to that");
    }
    return ace_http_answer_send(x);
}

static bool finish_body(ace_http_exchange *x)
{
    if (x->body == NULL) {
        return true;
    }
    ace_http_request *request = &x->request;
    if (ace_http_body_finish(x->body, &request->body, &request->files, &request->n_files)) {
        return true;
    }
    const ace_http_body_failure *failure = ace_http_body_failed(x->body);
    ace_http_reply_error(request, failure->status, failure->code, NULL, failure->hint, "%s",
                         failure->message);
    return false;
}

static bool check_body_key(ace_http_exchange *x)
{
    const char *key = ace_http_header_key(&x->request);
    if (key != NULL || (x->route->flags & ACE_ROUTE_TOKEN) == 0) {
        return true;
    }
    return ace_http_admit(x, json_string_value(json_object_get(x->request.body, "ai_token")));
}

static enum MHD_Result handle(ace_http_exchange *x)
{
    if (!finish_body(x) || !check_body_key(x)) {
        return answer(x);
    }
    if ((x->route->flags & ACE_ROUTE_SLOW) == 0) {
        x->route->handler(&x->request, x->http->server);
        return answer(x);
    }
    ace_http_peer_enter(&x->http->peers, peer_of(x->connection), ACE_PEER_SERVED);
    x->stage = ACE_EXCHANGE_WORK;
    if (ace_http_work_add(&x->http->work, x)) {
        return MHD_YES;
    }
    ace_http_reply_header(&x->request, "Retry-After", "2");
    ace_http_reply_error(&x->request, 503, "overloaded", NULL, "try again in a moment",
                         "the server has too much to do");
    return answer(x);
}

enum MHD_Result ace_http_exchange_step(void *http, struct MHD_Connection *connection,
                                       const char *url, const char *method, const char *version,
                                       const char *data, size_t *bytes, void **exchange)
{
    ace_http_exchange *x = *exchange;
    (void)http, (void)connection, (void)url, (void)version;
    if (x == NULL) {
        return MHD_NO; /* there was no memory for it */
    }
    switch (x->stage) {
    case ACE_EXCHANGE_HEAD:
        return begin(x, method);
    case ACE_EXCHANGE_BODY:
        return *bytes > 0 ? take_bytes(x, data, bytes) : handle(x);
    case ACE_EXCHANGE_DISCARD:
        return *bytes > 0 ? take_bytes(x, data, bytes) : answer(x);
    case ACE_EXCHANGE_WORK:
        return answer(x);
    case ACE_EXCHANGE_WAIT:
        return ask_later(x);
    }
    return MHD_NO;
}

/* The path without its query, in which signatures stand. */
static void log_access(const ace_http_exchange *x)
{
    if (ace_log_get_level() < ACE_LOG_INFO) {
        return;
    }
    char path[256];
    (void)snprintf(path, sizeof path, "%s", x->target.raw != NULL ? x->target.raw : "?");
    for (char *c = path; *c != '\0'; c++) {
        *c = *c <= 0x20 || *c == 0x7f ? '?' : *c;
    }
    ace_log(ACE_LOG_INFO, "http", "%s %s %s %d %.0f ms", x->peer,
            x->method[0] != '\0' ? x->method : "-", path, x->sent_status,
            1000 * (ace_clock_seconds() - x->started));
}

void ace_http_exchange_end(void *http, struct MHD_Connection *connection, void **exchange,
                           enum MHD_RequestTerminationCode code)
{
    ace_http_exchange *x = *exchange;
    ace_http *server = http;
    (void)code;
    *exchange = NULL;
    ace_http_peer_enter(&server->peers, peer_of(connection), ACE_PEER_IDLE);
    if (x == NULL) {
        return;
    }
    ace_http_counter_add(&server->counter, x->route != NULL ? x->route->path : "other",
                         x->sent_status);
    log_access(x);
    ace_http_answer_drop(&x->answer);
    ace_http_answer_drop(&x->later);
    ace_http_body_close(x->body);
    ace_http_target_free(&x->target);
    json_decref(x->empty);
    ace_free(x);
}
