/* Who may talk to this server from a browser: names under which it answers, pages that may call it. */
#ifndef ACE_SERVER_HTTP_GUARD_H
#define ACE_SERVER_HTTP_GUARD_H

#include "base/status.h"

#include <stdbool.h>

typedef struct ace_http_guard {
    char *origins; /* "a,b,c", owned; or "*" */
    char *hosts;   /* "a,b,c", owned: this machine's name and what --host and --allowed-host say */
} ace_http_guard;

/* host: what the server is bound to. ARGUMENT for an origin that is none. */
ace_status ace_http_guard_init(ace_http_guard *guard, const char *host, const char *hosts,
                               const char *origins, ace_error *err);
void ace_http_guard_free(ace_http_guard *guard);

/* Does the header Host name this server? A foreign name that leads here is somebody's trick to read
 * answers as if they were his own (DNS rebinding); an address cannot be such a name. */
bool ace_http_guard_host(const ace_http_guard *guard, const char *host);

typedef enum ace_http_origin {
    ACE_ORIGIN_OWN,     /* this server's own page, or no page at all */
    ACE_ORIGIN_ALLOWED, /* a page that --cors names */
    ACE_ORIGIN_FOREIGN
} ace_http_origin;

/* From the headers Origin, Host and Sec-Fetch-Site, each of which may be NULL. */
ace_http_origin ace_http_guard_origin(const ace_http_guard *guard, const char *origin,
                                      const char *host, const char *fetch_site);

#endif
