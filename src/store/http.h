/* One request to a host: the rules that all of them follow, on libcurl.
 *
 * Redirects are followed here and not by libcurl, so that each address is judged and the token
 * reaches the host it is for and no other. */
#ifndef ACE_STORE_HTTP_H
#define ACE_STORE_HTTP_H

#include "store/address.h"

#include <curl/curl.h>
#include <stddef.h>
#include <stdint.h>

/* How to reach a host; texts outlive the requests. */
typedef struct ace_store_line {
    char base[ACE_STORE_ADDRESS_BYTES]; /* all addresses begin with it */
    const char *token;                  /* NULL: none */
    double timeout;                     /* s of silence */
    int retries;
    double retry_wait; /* s */
    double max_rate;   /* bytes/s of each request; 0: any */
} ace_store_line;

enum { ACE_STORE_REDIRECTS = 10 };

/* A request under way. */
typedef struct ace_store_request {
    const ace_store_line *line;
    CURL *curl;
    struct curl_slist *headers;
    char address[ACE_STORE_ADDRESS_BYTES]; /* of the present hop */
    int redirects;
    char etag[256];       /* of the last answer; "" for none or a weak one */
    uint64_t range_start; /* of its Content-Range, and */
    uint64_t range_total;
    bool has_range;
    double retry_after; /* s; 0: not said */
    char reason[CURL_ERROR_SIZE];
} ace_store_request;

typedef size_t ace_store_sink(char *data, size_t one, size_t bytes, void *context);

/* Prepares a GET of line->base + path. sink gets the body of answers 200 and 206, and of no other
 * (ace_store_request_status tells). MEMORY. */
ace_status ace_store_request_open(ace_store_request *r, const ace_store_line *line,
                                  const char *path, ace_store_sink *sink, void *context,
                                  ace_error *err);
/* From this byte on; if_range: only if the content still has this ETag, "" for none. */
ace_status ace_store_request_range(ace_store_request *r, uint64_t from, const char *if_range,
                                   ace_error *err);
void ace_store_request_close(ace_store_request *r); /* a zeroed one is fine */

long ace_store_request_status(const ace_store_request *r);

/* What to make of the end of a hop. */
typedef enum ace_store_turn {
    ACE_STORE_DONE,     /* 200 or 206, all of it */
    ACE_STORE_REDIRECT, /* the request now goes to the next address: perform it again */
    ACE_STORE_AGAIN,    /* may work later */
    ACE_STORE_RESTART,  /* 416: not from this byte */
    ACE_STORE_REFUSED   /* will not work */
} ace_store_turn;

/* Says in err what is wrong, for all but DONE and REDIRECT. what: for the message. */
ace_store_turn ace_store_request_turn(ace_store_request *r, CURLcode code, const char *what,
                                      ace_error *err);

/* Seconds to wait before attempt number `attempt` (1: the first repetition). */
double ace_store_backoff(const ace_store_line *line, int attempt, double retry_after);

/* Asked several times a second; false: stop. note: what is waited for. */
typedef bool ace_store_go_on(void *context, const char *note);

/* The whole answer in memory, at most 8 MiB, NUL-terminated; the caller frees with ace_free. Tries
 * again as the line says. NETWORK, CANCELLED, MEMORY. */
ace_status ace_store_fetch(const ace_store_line *line, const char *path, const char *what,
                           ace_store_go_on *go_on, void *context, char **text, size_t *bytes,
                           ace_error *err);

/* Called by everything that uses libcurl. */
ace_status ace_store_network_start(ace_error *err);

#endif
