/* The open connections: how many come from one address, and whether what they owe is on its way. A
 * client that sends a byte now and then would otherwise hold a connection for ever. */
#ifndef ACE_SERVER_HTTP_PEERS_H
#define ACE_SERVER_HTTP_PEERS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

typedef enum ace_peer_phase {
    ACE_PEER_NEW,   /* connected: its first headers are due */
    ACE_PEER_IDLE,  /* between two requests */
    ACE_PEER_BODY,  /* a body arrives */
    ACE_PEER_SERVED /* the server's turn */
} ace_peer_phase;

typedef struct ace_http_peer {
    struct ace_http_peer *next, *previous;
    int fd;
    unsigned char address[16]; /* as IPv6; all zero: this machine */
    ace_peer_phase phase;
    double since;
    uint64_t received; /* of the body */
    bool ended;        /* the last look found the client's side closed */
} ace_http_peer;

typedef struct ace_http_peers {
    pthread_mutex_t lock;
    ace_http_peer *first;
    unsigned count;
    unsigned per_address;
    double header_seconds, idle_seconds, body_seconds;
} ace_http_peers;

void ace_http_peers_init(ace_http_peers *peers, unsigned per_address, double header_seconds,
                         double idle_seconds, double body_seconds);
void ace_http_peers_free(ace_http_peers *peers);

/* May one more come from this address? This machine's own are not counted: a proxy speaks for many. */
bool ace_http_peers_accept(ace_http_peers *peers, const struct sockaddr *address);
/* NULL when memory is short; all functions take that. */
ace_http_peer *ace_http_peers_add(ace_http_peers *peers, int fd, const struct sockaddr *address);
void ace_http_peers_remove(ace_http_peers *peers, ace_http_peer *peer);

void ace_http_peer_enter(ace_http_peers *peers, ace_http_peer *peer, ace_peer_phase phase);
void ace_http_peer_received(ace_http_peers *peers, ace_http_peer *peer, uint64_t bytes);

/* Cuts the connections that are overdue. Every second or so. */
void ace_http_peers_check(ace_http_peers *peers);
unsigned ace_http_peers_count(ace_http_peers *peers);
unsigned ace_http_peers_served(ace_http_peers *peers); /* whose answer is under way */

#endif
