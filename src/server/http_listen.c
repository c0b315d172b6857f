#include "server/http_listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int listen_at(const struct addrinfo *address)
{
    enum { BACKLOG = 128 };
    int yes = 1;
    int no = 0;
    int fd = socket(address->ai_family, SOCK_STREAM, 0);
    if (fd < 0) {
        return -1;
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (address->ai_family == AF_INET6) {
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof no);
    }
    if (bind(fd, address->ai_addr, address->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0) {
        return fd;
    }
    int code = errno;
    close(fd);
    errno = code;
    return -1;
}

static int port_of(int fd)
{
    struct sockaddr_storage address;
    socklen_t bytes = sizeof address;
    if (getsockname(fd, (struct sockaddr *)&address, &bytes) != 0) {
        return 0;
    }
    return ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port
                                               : ((struct sockaddr_in *)&address)->sin_port);
}

static int look_up(const char *host, int port, struct addrinfo **found)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    char service[8];
    (void)snprintf(service, sizeof service, "%d", port);
    return getaddrinfo(host, service, &hints, found);
}

ace_status ace_http_listen(const char *host, int port, int *fd, int *got, ace_error *err)
{
    struct addrinfo *found = NULL;
    int code = look_up(host, port, &found);
    if (code != 0) {
        return ace_fail(err, ACESTEP_IO, "--host %s: %s", host, gai_strerror(code));
    }
    *fd = -1;
    for (const struct addrinfo *a = found; a != NULL && *fd < 0; a = a->ai_next) {
        *fd = listen_at(a);
    }
    code = errno;
    freeaddrinfo(found);
    if (*fd < 0) {
        return ace_fail(err, ACESTEP_IO, "%s port %d: %s%s", host, port, strerror(code),
                        code == EADDRINUSE ? "; --port chooses another, 0 any that is free" : "");
    }
    *got = port_of(*fd);
    return ACESTEP_OK;
}

static bool is_local(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)address;
        return (ntohl(v4->sin_addr.s_addr) >> 24) == 127;
    }
    return address->sa_family == AF_INET6 &&
           IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)(const void *)address)->sin6_addr);
}

bool ace_http_is_loopback(const char *host)
{
    struct addrinfo *found = NULL;
    if (look_up(host, 0, &found) != 0) {
        return false;
    }
    bool local = true;
    for (const struct addrinfo *a = found; a != NULL; a = a->ai_next) {
        local = local && is_local(a->ai_addr);
    }
    freeaddrinfo(found);
    return local;
}
