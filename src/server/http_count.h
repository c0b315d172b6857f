/* Answers by route and status. */
#ifndef ACE_SERVER_HTTP_COUNT_H
#define ACE_SERVER_HTTP_COUNT_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

enum { ACE_COUNT_ROWS = 1024 };

typedef struct ace_http_count_row {
    const char *path; /* of the route: a static string */
    int status;
    uint64_t requests;
} ace_http_count_row;

typedef struct ace_http_counter {
    pthread_mutex_t lock;
    ace_http_count_row row[ACE_COUNT_ROWS];
    size_t rows;
} ace_http_counter;

void ace_http_counter_init(ace_http_counter *counter);
void ace_http_counter_free(ace_http_counter *counter);
void ace_http_counter_add(ace_http_counter *counter, const char *path, int status);

#endif
