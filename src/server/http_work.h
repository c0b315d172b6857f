/* The threads on which slow handlers run. */
#ifndef ACE_SERVER_HTTP_WORK_H
#define ACE_SERVER_HTTP_WORK_H

#include "server/http.h"

#include <pthread.h>

enum { ACE_WORK_THREADS = 4, ACE_WORK_QUEUE = 64 };

typedef struct ace_http_work {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t thread[ACE_WORK_THREADS];
    int n_threads;
    bool running;
    ace_http_exchange *queue[ACE_WORK_QUEUE]; /* a ring */
    size_t first, count;
} ace_http_work;

int ace_http_work_start(ace_http_work *work); /* an errno */
/* After everything that is queued has run. */
void ace_http_work_stop(ace_http_work *work);

/* Suspends the exchange's connection, runs its handler on a work thread and resumes it. False when too many
 * wait already. */
bool ace_http_work_add(ace_http_work *work, ace_http_exchange *exchange);

#endif
