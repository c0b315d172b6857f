#include "server/http_count.h"

#include "server/http_core.h"

#include <string.h>

void ace_http_counter_init(ace_http_counter *counter)
{
    memset(counter, 0, sizeof *counter);
    pthread_mutex_init(&counter->lock, NULL);
}

void ace_http_counter_free(ace_http_counter *counter)
{
    pthread_mutex_destroy(&counter->lock);
}

void ace_http_counter_add(ace_http_counter *counter, const char *path, int status)
{
    pthread_mutex_lock(&counter->lock);
    size_t i = 0;
    while (i < counter->rows &&
           (counter->row[i].status != status || strcmp(counter->row[i].path, path) != 0)) {
        i++;
    }
    if (i < ACE_COUNT_ROWS) { /* more than routes times statuses; then the rest is not counted */
        counter->rows += i == counter->rows;
        counter->row[i].path = path;
        counter->row[i].status = status;
        counter->row[i].requests++;
    }
    pthread_mutex_unlock(&counter->lock);
}

void ace_http_counts(const ace_http *http, ace_http_counted *counted, void *context)
{
    ace_http_counter *counter = (ace_http_counter *)(uintptr_t)&http->counter; /* its lock moves */
    pthread_mutex_lock(&counter->lock);
    for (size_t i = 0; i < counter->rows; i++) {
        counted(context, counter->row[i].path, counter->row[i].status, counter->row[i].requests);
    }
    pthread_mutex_unlock(&counter->lock);
}
