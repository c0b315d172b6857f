/* The HTTP server: listens, finds the route of each request, calls its handler, sends the answer.
 * Connections are served by libmicrohttpd on a few threads, slow handlers run on a few more. */
#ifndef ACE_SERVER_HTTP_SERVE_H
#define ACE_SERVER_HTTP_SERVE_H

#include "server/http.h"

typedef struct ace_http ace_http;

typedef struct ace_http_config {
    const char *host;                    /* an address or a name of this machine */
    int port;                            /* 0: one that is free */
    const ace_http_route *const *tables; /* ended by NULL; tried in this order */
    bool page;                           /* the page answers where no route does */
    const char *folder;   /* an existing one, for uploads that are under way and the signing key */
    uint64_t max_upload;  /* bytes of files in one request */
    const char *keys;     /* comma-separated, all rights; NULL or "": none */
    const char *key_file; /* a key and its rights to a line; NULL or "": none */
    const char
        *origins; /* comma-separated, or "*": pages of others that may call; NULL or "": none */
    const char *hosts; /* comma-separated names of this server besides its addresses; NULL or "" */
    unsigned connections;  /* in all; 0: 256 */
    unsigned per_address;  /* of one address that is not this machine's; 0: 64 */
    double header_seconds; /* from connecting to the end of the headers; 0: 20 */
    double idle_seconds;   /* without a byte, or between two requests; 0: 60 */
    double body_seconds;   /* a body may take this long, and a second more for each KiB; 0: 30 */
} ace_http_config;

/* What a server has seen, for /metrics: one row to a route and status. */
typedef void ace_http_counted(void *context, const char *path, int status, uint64_t requests);

/* Serves until ace_http_stop. server->http is set before the first request can arrive. IO when the address
 * cannot be had, ARGUMENT for bad keys and lists. */
ace_status ace_http_start(const ace_http_config *config, ace_server *server, ace_error *err);

int ace_http_port(const ace_http *http);
/* "http://127.0.0.1:7860", for people and browsers. */
const char *ace_http_address(const ace_http *http);
bool ace_http_has_keys(const ace_http *http);

/* Takes no further connections, ends every stream and waiting answer, lets running handlers finish. */
void ace_http_stop(ace_http *http);

unsigned ace_http_connections(const ace_http *http); /* open ones */
void ace_http_counts(const ace_http *http, ace_http_counted *counted, void *context);

/* The rights of whoever sends this key; NONE for an unknown one, ALL where no keys are set. */
unsigned ace_http_key_rights(const ace_http *http, const char *key);

#endif
