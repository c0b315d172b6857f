/* Which route a request takes. */
#ifndef ACE_SERVER_HTTP_ROUTE_H
#define ACE_SERVER_HTTP_ROUTE_H

#include "server/http.h"
#include "server/http_target.h"

typedef enum ace_route_found {
    ACE_ROUTE_FOUND,
    ACE_ROUTE_OTHER_METHOD, /* the path is known, `allow` says with what */
    ACE_ROUTE_UNKNOWN
} ace_route_found;

typedef struct ace_route_match {
    const ace_http_route *route;
    const char *captures[ACE_HTTP_CAPTURES]; /* into the target */
    char allow[96];                          /* "GET, HEAD, POST, OPTIONS" */
} ace_route_match;

/* tables: ended by NULL, each ended by a NULL method; the first route that fits is taken. */
ace_route_found ace_route_find(const ace_http_route *const *tables, const char *method,
                               const ace_http_target *target, ace_route_match *out);

#endif
