/* Inside of the HTTP server, shared by its files. */
#ifndef ACE_SERVER_HTTP_CORE_H
#define ACE_SERVER_HTTP_CORE_H

#include "server/http_body.h"
#include "server/http_count.h"
#include "server/http_guard.h"
#include "server/http_keys.h"
#include "server/http_peers.h"
#include "server/http_route.h"
#include "server/http_serve.h"
#include "server/http_target.h"
#include "server/http_wait.h"
#include "server/http_work.h"

#include <microhttpd.h>

struct ace_http {
    ace_server *server;
    struct MHD_Daemon *daemon;
    const ace_http_route *const *tables;
    bool page;
    char *address;
    char *spool; /* folder of files that are being received */
    int port;
    uint64_t max_upload;
    ace_http_guard guard;
    ace_http_keys keys;
    ace_http_peers peers;
    ace_http_wait_list waiting;
    ace_http_work work;
    ace_http_counter counter;
};

typedef struct ace_http_field {
    struct ace_http_field *next;
    char *name, *value;
} ace_http_field;

typedef enum ace_answer_kind {
    ACE_ANSWER_NONE,
    ACE_ANSWER_BYTES,
    ACE_ANSWER_FILE,
    ACE_ANSWER_STREAM,
    ACE_ANSWER_LATER
} ace_answer_kind;

/* What a handler said, before it becomes a response of the library. */
typedef struct ace_http_answer {
    ace_answer_kind kind;
    int status;
    ace_http_field *fields; /* headers, newest first */
    void *bytes;
    size_t n;
    void (*release)(void *); /* of bytes; NULL: they stay */
    int fd;                  /* of a file; -1: none */
    uint64_t offset, length;
    ace_http_more *more;
    ace_http_ready *ready;
    ace_http_done *done; /* of a stream or a waiting answer */
    void *state;
    double seconds;
    bool events;
} ace_http_answer;

typedef enum ace_exchange_stage {
    ACE_EXCHANGE_HEAD,    /* the headers are here */
    ACE_EXCHANGE_BODY,    /* the body arrives */
    ACE_EXCHANGE_DISCARD, /* it arrives, but the answer is known */
    ACE_EXCHANGE_WORK,    /* the handler runs on a work thread */
    ACE_EXCHANGE_WAIT     /* for ready() */
} ace_exchange_stage;

struct ace_http_exchange {
    ace_http *http;
    struct MHD_Connection *connection;
    ace_exchange_stage stage;
    ace_http_request request;
    ace_http_target target;
    const ace_http_route *route;
    char *capture[ACE_HTTP_CAPTURES];
    ace_http_body *body;
    json_t *empty; /* stands for a body that is missing */
    bool foreign;  /* an allowed page of another origin asks */
    ace_http_answer answer;
    ace_http_wait wait;
    ace_http_answer later; /* the waiting answer, while ready() is asked */
    double deadline;
    double started;
    int sent_status;
    char peer[64];
    char method[16];
};

/* http_exchange.c: what the library calls for a request: its first line, each piece, its end. */
void *ace_http_exchange_open(void *http, const char *uri, struct MHD_Connection *connection);
enum MHD_Result ace_http_exchange_step(void *http, struct MHD_Connection *connection,
                                       const char *url, const char *method, const char *version,
                                       const char *data, size_t *bytes, void **exchange);
void ace_http_exchange_end(void *http, struct MHD_Connection *connection, void **exchange,
                           enum MHD_RequestTerminationCode code);

/* http_admit.c. False after answering. */
bool ace_http_admit_origin(ace_http_exchange *x); /* no other page's trick? */
bool ace_http_admit(ace_http_exchange *x,
                    const char *key);           /* do the rights suffice for its route? */
void ace_http_take_route(ace_http_exchange *x); /* sets the route, or answers */
const char *ace_http_header_key(const ace_http_request *request); /* NULL: no header has one */

/* http_answer.c: hands the recorded answer to the library. */
enum MHD_Result ace_http_answer_send(ace_http_exchange *x);
void ace_http_answer_drop(ace_http_answer *answer);

/* http_stream.c: a response of the library that asks the answer's more(); takes the state over. */
struct MHD_Response *ace_http_stream_response(ace_http_exchange *x);

/* http_page.c: answers with a file of the page, or returns false when there is none of this name. */
bool ace_http_page_reply(ace_http_exchange *x);

/* http_file.c */
bool ace_http_etag_matches(const char *list, const char *etag);

#endif
