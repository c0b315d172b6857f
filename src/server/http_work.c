#include "server/http_core.h"

#include <string.h>

static void *run(void *context)
{
    ace_http_work *work = context;
    pthread_mutex_lock(&work->lock);
    for (;;) {
        while (work->count == 0 && work->running) {
            pthread_cond_wait(&work->changed, &work->lock);
        }
        if (work->count == 0) {
            break;
        }
        ace_http_exchange *x = work->queue[work->first];
        work->first = (work->first + 1) % ACE_WORK_QUEUE;
        work->count--;
        pthread_mutex_unlock(&work->lock);
        x->route->handler(&x->request, x->http->server);
        MHD_resume_connection(x->connection);
        pthread_mutex_lock(&work->lock);
    }
    pthread_mutex_unlock(&work->lock);
    return NULL;
}

int ace_http_work_start(ace_http_work *work)
{
    memset(work, 0, sizeof *work);
    pthread_mutex_init(&work->lock, NULL);
    pthread_cond_init(&work->changed, NULL);
    work->running = true;
    int code = 0;
    while (code == 0 && work->n_threads < ACE_WORK_THREADS) {
        code = pthread_create(&work->thread[work->n_threads], NULL, run, work);
        work->n_threads += code == 0;
    }
    if (code != 0) {
        ace_http_work_stop(work);
    }
    return code;
}

void ace_http_work_stop(ace_http_work *work)
{
    pthread_mutex_lock(&work->lock);
    work->running = false;
    pthread_cond_broadcast(&work->changed);
    pthread_mutex_unlock(&work->lock);
    for (int i = 0; i < work->n_threads; i++) {
        pthread_join(work->thread[i], NULL);
    }
    pthread_cond_destroy(&work->changed);
    pthread_mutex_destroy(&work->lock);
}

bool ace_http_work_add(ace_http_work *work, ace_http_exchange *exchange)
{
    pthread_mutex_lock(&work->lock);
    bool may = work->count < ACE_WORK_QUEUE && work->running;
    if (may) {
        MHD_suspend_connection(exchange->connection);
        work->queue[(work->first + work->count++) % ACE_WORK_QUEUE] = exchange;
        pthread_cond_signal(&work->changed);
    }
    pthread_mutex_unlock(&work->lock);
    return may;
}
