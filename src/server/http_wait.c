#define _GNU_SOURCE /* POLLRDHUP */
#include "server/http_wait.h"

#include "base/clock.h"

#include <microhttpd.h>
#include <poll.h>
#include <string.h>
#include <time.h>

enum {
    PAUSE_MS = 20
}; /* between two wakes: a job reports progress more often than anyone reads it */

static void resume(ace_http_wait_list *list, ace_http_wait *w)
{
    if (w->next != NULL) {
        w->next->previous = w->previous;
    }
    *(w->previous != NULL ? &w->previous->next : &list->first) = w->next;
    w->next = w->previous = NULL;
    MHD_resume_connection(w->connection);
}

/* A sleeping connection is not read: its end has to be looked for. */
static bool has_gone(const ace_http_wait *w)
{
    struct pollfd p = {.fd = w->fd, .events = POLLRDHUP};
    return poll(&p, 1, 0) == 1 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

static void wake_those_due(ace_http_wait_list *list, bool all)
{
    double now = ace_clock_seconds();
    for (ace_http_wait *w = list->first, *next; w != NULL; w = next) {
        next = w->next;
        if (has_gone(w)) {
            atomic_store(&w->gone, true);
            resume(list, w);
        } else if (all || now >= w->due) {
            resume(list, w);
        }
    }
}

static void *run(void *context)
{
    ace_http_wait_list *list = context;
    double checked = ace_clock_seconds();
    pthread_mutex_lock(&list->lock);
    while (list->running) {
        if (!list->woken) {
            struct timespec until;
            (void)clock_gettime(CLOCK_MONOTONIC, &until);
            until.tv_sec++;
            (void)pthread_cond_timedwait(&list->changed, &list->lock, &until);
        }
        bool all = list->woken;
        list->woken = false;
        wake_those_due(list, all || list->stopping);
        pthread_mutex_unlock(&list->lock);
        if (ace_clock_seconds() - checked >= 1) {
            ace_http_peers_check(list->peers);
            checked = ace_clock_seconds();
        }
        struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000L};
        (void)nanosleep(&pause, NULL);
        pthread_mutex_lock(&list->lock);
    }
    pthread_mutex_unlock(&list->lock);
    return NULL;
}

int ace_http_wait_start(ace_http_wait_list *list, ace_http_peers *peers)
{
    memset(list, 0, sizeof *list);
    list->peers = peers;
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&list->lock, NULL);
    pthread_cond_init(&list->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    list->running = true;
    int code = pthread_create(&list->thread, NULL, run, list);
    if (code != 0) {
        pthread_cond_destroy(&list->changed);
        pthread_mutex_destroy(&list->lock);
    }
    return code;
}

void ace_http_wait_end(ace_http_wait_list *list)
{
    pthread_mutex_lock(&list->lock);
    list->stopping = list->woken = true;
    pthread_cond_signal(&list->changed);
    pthread_mutex_unlock(&list->lock);
}

void ace_http_wait_stop(ace_http_wait_list *list)
{
    pthread_mutex_lock(&list->lock);
    list->running = false;
    list->woken = true;
    pthread_cond_signal(&list->changed);
    pthread_mutex_unlock(&list->lock);
    pthread_join(list->thread, NULL);
    pthread_cond_destroy(&list->changed);
    pthread_mutex_destroy(&list->lock);
}

bool ace_http_wait_ending(ace_http_wait_list *list)
{
    pthread_mutex_lock(&list->lock);
    bool ending = list->stopping;
    pthread_mutex_unlock(&list->lock);
    return ending;
}

bool ace_http_wait_sleep(ace_http_wait_list *list, ace_http_wait *wait, double due)
{
    pthread_mutex_lock(&list->lock);
    bool may = !list->stopping;
    if (may) {
        MHD_suspend_connection(
            wait->connection); /* first: it may be woken as soon as it is listed */
        wait->due = due;
        wait->previous = NULL;
        wait->next = list->first;
        if (list->first != NULL) {
            list->first->previous = wait;
        }
        list->first = wait;
    }
    pthread_mutex_unlock(&list->lock);
    return may;
}

void ace_http_wait_wake(ace_http_wait_list *list)
{
    pthread_mutex_lock(&list->lock);
    list->woken = true;
    pthread_cond_signal(&list->changed);
    pthread_mutex_unlock(&list->lock);
}
