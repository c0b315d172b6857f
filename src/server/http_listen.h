/* The socket that waits for clients. */
#ifndef ACE_SERVER_HTTP_LISTEN_H
#define ACE_SERVER_HTTP_LISTEN_H

#include "base/status.h"

#include <stdbool.h>

/* host: an address or a name; "::" and "0.0.0.0" are all of this machine. *port: the one that was got, also
 * where 0 asked for any. IO names the address and the reason. */
ace_status ace_http_listen(const char *host, int port, int *fd, int *got, ace_error *err);

/* Can only this machine reach it? False also for a name that cannot be looked up. */
bool ace_http_is_loopback(const char *host);

#endif
