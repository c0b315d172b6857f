#include "server/http_guard.h"

#include "base/memory.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { LONGEST_NAME = 255 };

/* Is text one of "a,b,c"? Blanks around the names do not count. */
static bool listed(const char *list, const char *text, size_t length)
{
    for (const char *at = list; *at != '\0';) {
        at += strspn(at, " ,");
        size_t n = strcspn(at, ",");
        size_t bare = n;
        while (bare > 0 && at[bare - 1] == ' ') {
            bare--;
        }
        if (bare == length && bare > 0 && strncasecmp(at, text, length) == 0) {
            return true;
        }
        at += n;
    }
    return false;
}

static ace_status check_origins(const char *origins, ace_error *err)
{
    for (const char *at = origins; *at != '\0';) {
        at += strspn(at, " ,");
        size_t n = strcspn(at, " ,");
        size_t scheme = strncasecmp(at, "http://", 7) == 0    ? 7
                        : strncasecmp(at, "https://", 8) == 0 ? 8
                                                              : 0;
        bool any = n == 1 && *at == '*';
        if (n > 0 && !any && (scheme == 0 || n == scheme || memchr(at + scheme, '/', n - scheme))) {
            return ace_fail(err, ACESTEP_ARGUMENT,
                            "--cors: \"%.*s\" is no origin; write it as https://name or "
                            "http://name:port without a path",
                            (int)n, at);
        }
        at += n;
    }
    return ACESTEP_OK;
}

ace_status ace_http_guard_init(ace_http_guard *guard, const char *host, const char *hosts,
                               const char *origins, ace_error *err)
{
    memset(guard, 0, sizeof *guard);
    char own[LONGEST_NAME + 1] = "";
    (void)gethostname(own, sizeof own - 1);
    hosts = hosts != NULL ? hosts : "";
    size_t room = strlen(own) + strlen(host) + strlen(hosts) + 16;
    guard->hosts = ace_malloc_array(room, 1);
    guard->origins = ace_strdup(origins != NULL ? origins : "");
    if (guard->hosts == NULL || guard->origins == NULL) {
        return ace_fail(err, ACESTEP_MEMORY, "server: no host memory");
    }
    (void)snprintf(guard->hosts, room, "localhost,%s,%s,%s", own, host, hosts);
    return check_origins(guard->origins, err);
}

void ace_http_guard_free(ace_http_guard *guard)
{
    ace_free(guard->origins);
    ace_free(guard->hosts);
}

/* The name in "name", "name:port", "[::1]:port"; *length is 0 when it is none of these. */
static const char *name_of(const char *host, size_t *length)
{
    *length = 0;
    if (host[0] == '[') {
        size_t n = strcspn(host + 1, "]");
        if (host[1 + n] == ']' && (host[2 + n] == '\0' || host[2 + n] == ':')) {
            *length = n;
        }
        return host + 1;
    }
    *length = strcspn(host, ":");
    if (strspn(host + *length, ":0123456789") != strlen(host + *length)) {
        *length = 0;
    }
    return host;
}

static bool is_address(const char *name)
{
    unsigned char room[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, name, room) == 1 || inet_pton(AF_INET6, name, room) == 1;
}

bool ace_http_guard_host(const ace_http_guard *guard, const char *host)
{
    size_t length = 0;
    if (host == NULL) { /* HTTP/1.0 of a load balancer: browsers always name whom they ask */
        return true;
    }
    const char *start = name_of(host, &length);
    if (length == 0 || length > LONGEST_NAME) {
        return false;
    }
    char name[LONGEST_NAME + 1];
    (void)snprintf(name, sizeof name, "%.*s", (int)length, start);
    static const char local[] = ".localhost"; /* RFC 6761: never asked of a name server */
    size_t tail = sizeof local - 1;
    return is_address(name) || listed(guard->hosts, name, length) ||
           (length > tail && strcasecmp(name + length - tail, local) == 0);
}

ace_http_origin ace_http_guard_origin(const ace_http_guard *guard, const char *origin,
                                      const char *host, const char *fetch_site)
{
    if (origin == NULL) {
        bool elsewhere = fetch_site != NULL && strcmp(fetch_site, "cross-site") == 0;
        return elsewhere ? ACE_ORIGIN_FOREIGN : ACE_ORIGIN_OWN;
    }
    const char *name = strstr(origin, "://");
    if (name != NULL && host != NULL && strcasecmp(name + 3, host) == 0) {
        return ACE_ORIGIN_OWN;
    }
    bool any = strcmp(guard->origins, "*") == 0;
    return any || listed(guard->origins, origin, strlen(origin)) ? ACE_ORIGIN_ALLOWED
                                                                 : ACE_ORIGIN_FOREIGN;
}
