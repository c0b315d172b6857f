#define _GNU_SOURCE /* POLLRDHUP */
#include "server/http_peers.h"

#include "base/clock.h"
#include "base/memory.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>

enum { LEAST_BYTES_PER_SECOND = 1024 };

void ace_http_peers_init(ace_http_peers *peers, unsigned per_address, double header_seconds,
                         double idle_seconds, double body_seconds)
{
    memset(peers, 0, sizeof *peers);
    pthread_mutex_init(&peers->lock, NULL);
    peers->per_address = per_address;
    peers->header_seconds = header_seconds;
    peers->idle_seconds = idle_seconds;
    peers->body_seconds = body_seconds;
}

void ace_http_peers_free(ace_http_peers *peers)
{
    pthread_mutex_destroy(&peers->lock);
}

/* IPv4 as ::ffff:a.b.c.d; zeros for this machine. Whoever has one IPv6 address has its whole /64. */
static void address_of(const struct sockaddr *address, unsigned char out[16])
{
    memset(out, 0, 16);
    if (address != NULL && address->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)address;
        const unsigned char *bytes = (const unsigned char *)&v4->sin_addr;
        if (bytes[0] != 127) {
            out[10] = out[11] = 0xff;
            memcpy(out + 12, bytes, 4);
        }
    } else if (address != NULL && address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)address;
        const struct in6_addr *a = &v6->sin6_addr;
        bool mapped = IN6_IS_ADDR_V4MAPPED(a);
        if (!IN6_IS_ADDR_LOOPBACK(a) && !(mapped && a->s6_addr[12] == 127)) {
            memcpy(out, a->s6_addr, mapped ? 16 : 8);
        }
    }
}

bool ace_http_peers_accept(ace_http_peers *peers, const struct sockaddr *address)
{
    static const unsigned char here[16];
    unsigned char from[16];
    address_of(address, from);
    if (memcmp(from, here, sizeof from) == 0) {
        return true;
    }
    unsigned same = 0;
    pthread_mutex_lock(&peers->lock);
    for (const ace_http_peer *p = peers->first; p != NULL; p = p->next) {
        same += memcmp(p->address, from, sizeof from) == 0;
    }
    pthread_mutex_unlock(&peers->lock);
    return same < peers->per_address;
}

ace_http_peer *ace_http_peers_add(ace_http_peers *peers, int fd, const struct sockaddr *address)
{
    ace_http_peer *peer = ace_calloc(1, sizeof *peer);
    if (peer == NULL) {
        return NULL;
    }
    peer->fd = fd;
    peer->since = ace_clock_seconds();
    address_of(address, peer->address);
    pthread_mutex_lock(&peers->lock);
    peer->next = peers->first;
    if (peers->first != NULL) {
        peers->first->previous = peer;
    }
    peers->first = peer;
    peers->count++;
    pthread_mutex_unlock(&peers->lock);
    return peer;
}

void ace_http_peers_remove(ace_http_peers *peers, ace_http_peer *peer)
{
    if (peer == NULL) {
        return;
    }
    pthread_mutex_lock(&peers->lock);
    if (peer->next != NULL) {
        peer->next->previous = peer->previous;
    }
    *(peer->previous != NULL ? &peer->previous->next : &peers->first) = peer->next;
    peers->count--;
    pthread_mutex_unlock(&peers->lock);
    ace_free(peer);
}

void ace_http_peer_enter(ace_http_peers *peers, ace_http_peer *peer, ace_peer_phase phase)
{
    if (peer != NULL) {
        pthread_mutex_lock(&peers->lock);
        peer->phase = phase;
        peer->since = ace_clock_seconds();
        peer->received = 0;
        peer->ended = false;
        pthread_mutex_unlock(&peers->lock);
    }
}

void ace_http_peer_received(ace_http_peers *peers, ace_http_peer *peer, uint64_t bytes)
{
    if (peer != NULL) {
        pthread_mutex_lock(&peers->lock);
        peer->received += bytes;
        peer->ended = false;
        pthread_mutex_unlock(&peers->lock);
    }
}

static double allowed_seconds(const ace_http_peers *peers, const ace_http_peer *peer)
{
    switch (peer->phase) {
    case ACE_PEER_NEW:
        return peers->header_seconds;
    case ACE_PEER_IDLE:
        return peers->idle_seconds;
    case ACE_PEER_BODY:
        return peers->body_seconds + (double)peer->received / LEAST_BYTES_PER_SECOND;
    case ACE_PEER_SERVED:
        break; /* the library's limit on silence does it */
    }
    return 1e30;
}

/* The client has closed its side, nothing of what it sent is unread, and its request is not complete: seen
 * twice, so that what has just been read is taken first. The library may miss an end that comes
 * together with the last bytes. */
static bool has_left(ace_http_peer *peer)
{
    struct pollfd p = {.fd = peer->fd, .events = POLLRDHUP};
    int unread = 0;
    bool ended = peer->phase != ACE_PEER_SERVED && poll(&p, 1, 0) == 1 &&
                 (p.revents & POLLRDHUP) != 0 && ioctl(peer->fd, FIONREAD, &unread) == 0 &&
                 unread == 0;
    bool left = ended && peer->ended;
    peer->ended = ended;
    return left;
}

void ace_http_peers_check(ace_http_peers *peers)
{
    double now = ace_clock_seconds();
    pthread_mutex_lock(&peers->lock);
    for (ace_http_peer *p = peers->first; p != NULL; p = p->next) {
        if (has_left(p) || now - p->since > allowed_seconds(peers, p)) {
            /* The number is still this connection's: it is removed here before it is closed. The library
             * sees the end of the stream and does the rest. */
            (void)shutdown(p->fd, SHUT_RDWR);
            p->phase = ACE_PEER_SERVED;
        }
    }
    pthread_mutex_unlock(&peers->lock);
}

unsigned ace_http_peers_count(ace_http_peers *peers)
{
    pthread_mutex_lock(&peers->lock);
    unsigned count = peers->count;
    pthread_mutex_unlock(&peers->lock);
    return count;
}

unsigned ace_http_peers_served(ace_http_peers *peers)
{
    unsigned count = 0;
    pthread_mutex_lock(&peers->lock);
    for (const ace_http_peer *p = peers->first; p != NULL; p = p->next) {
        count += p->phase == ACE_PEER_SERVED;
    }
    pthread_mutex_unlock(&peers->lock);
    return count;
}
