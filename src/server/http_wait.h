/* Connections that sleep until something happens: streams without news, answers that have to wait. */
#ifndef ACE_SERVER_HTTP_WAIT_H
#define ACE_SERVER_HTTP_WAIT_H

#include "server/http_peers.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct MHD_Connection;

typedef struct ace_http_wait {
    struct ace_http_wait *next, *previous;
    struct MHD_Connection *connection;
    double due;       /* wakes without a reason then */
    int fd;           /* looked at for the client's end */
    atomic_bool gone; /* the client has closed its side */
} ace_http_wait;

typedef struct ace_http_wait_list {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t thread;
    bool running, woken, stopping;
    ace_http_wait *first;
    ace_http_peers *peers; /* checked by the same thread */
} ace_http_wait_list;

/* Starts the thread that wakes them. Returns an errno. */
int ace_http_wait_start(ace_http_wait_list *list, ace_http_peers *peers);
/* Wakes all; from then on ace_http_wait_sleep refuses. */
void ace_http_wait_end(ace_http_wait_list *list);
/* Ends the thread. */
void ace_http_wait_stop(ace_http_wait_list *list);
bool ace_http_wait_ending(ace_http_wait_list *list);

/* Suspends the connection until `due`, the next wake or the end of its client; called by the
 * connection's thread. False when the server is ending. */
bool ace_http_wait_sleep(ace_http_wait_list *list, ace_http_wait *wait, double due);
void ace_http_wait_wake(ace_http_wait_list *list);

#endif
