/* What a handler sees of a request, and how it answers.
 *
 * A handler is called once, when the whole body is here, and answers exactly once through one of the
 * ace_http_reply_* functions (no answer: 500). It never blocks on the network. Handlers of slow routes
 * run on work threads, the others on the thread that serves the connection: those must be done
 * within milliseconds. Several handlers run at the same time. */
#ifndef ACE_SERVER_HTTP_H
#define ACE_SERVER_HTTP_H

#include "base/status.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ace_server ace_server; /* server/server.h: the state that handlers share */
typedef struct ace_http_exchange ace_http_exchange;

/* What a key may do. Keys given by --api-key may do all of it; without any key everybody may. */
enum {
    ACE_RIGHT_NONE = 0,
    ACE_RIGHT_READ = 1,     /* look at jobs, listen to songs */
    ACE_RIGHT_GENERATE = 2, /* make, cancel and remove jobs */
    ACE_RIGHT_ADMIN = 4,    /* models, defaults of the server */
    ACE_RIGHT_ALL = 7
};

enum {
    ACE_ROUTE_SLOW = 1,  /* on a work thread: reads audio, plans, waits for a disk */
    ACE_ROUTE_FILES = 2, /* files in a multipart body are taken, up to --max-upload together */
    ACE_ROUTE_RAW = 4, /* with FILES: a body that is neither JSON nor a form is one file named "" */
    ACE_ROUTE_TOKEN = 8,  /* the key may stand in the body as "ai_token" */
    ACE_ROUTE_SIGNED = 16 /* GET only: exp= and sig= of ace_http_sign do instead of a key */
};

enum { ACE_HTTP_CAPTURES = 3, ACE_HTTP_BODY_BYTES = 4 << 20 };

/* A file of the body, on disk. It is removed after the answer unless ace_http_file_take moved it. */
typedef struct ace_http_file {
    char *field; /* the form's name for it; "" for a raw body */
    char *name;  /* what the client calls it: its last path element, never to be used as a path */
    char *path;  /* where it lies */
    uint64_t bytes;
} ace_http_file;

typedef struct ace_http_request {
    const char *method;                      /* GET also for HEAD */
    const char *path;                        /* decoded, without the query */
    const char *captures[ACE_HTTP_CAPTURES]; /* what stands for {…} in the pattern, decoded */
    json_t *query;                           /* object of strings; of repeated keys the last */
    json_t *body;                            /* parsed JSON; of a form an object of strings, or of
                                              * arrays of strings for repeated keys; else NULL */
    const ace_http_file *files;
    size_t n_files;
    unsigned rights; /* of whoever asks */
    ace_http_exchange *exchange;
} ace_http_request;

typedef void ace_http_handler(ace_http_request *request, ace_server *server);

typedef struct ace_http_route {
    const char *method; /* "GET" (serves HEAD as well), "POST", … */
    const char *path;   /* "/v1/jobs/{id}": a capture is one path element, never empty, never "." or
                         * ".."; the more literal pattern stands first */
    ace_http_handler *handler;
    unsigned rights; /* all of these are needed */
    unsigned flags;
    size_t body_bytes; /* longest JSON or urlencoded body; 0: ACE_HTTP_BODY_BYTES */
} ace_http_route;

/* ---- reading --------------------------------------------------------------------------------- */

/* A value of the query, NULL where it is missing. */
const char *ace_http_query(const ace_http_request *request, const char *name);
/* True for 1, true, yes, on. */
bool ace_http_query_flag(const ace_http_request *request, const char *name);
/* A whole number of the query within [low, high], `missing` where it is not given. False after
 * answering 400. */
bool ace_http_query_int(ace_http_request *request, const char *name, int64_t low, int64_t high,
                        int64_t missing, int64_t *out);
/* A header; NULL where it is missing. */
const char *ace_http_header(const ace_http_request *request, const char *name);
/* The body as an object; a missing one is an empty one. NULL after answering 400. Borrowed. */
json_t *ace_http_body_object(ace_http_request *request);
/* Moves file number `index` to `path` (same disk as the data folder). IO. */
ace_status ace_http_file_take(ace_http_request *request, size_t index, const char *path,
                              ace_error *err);

/* ---- answering ------------------------------------------------------------------------------- */

/* A header for the answer that follows. */
void ace_http_reply_header(ace_http_request *request, const char *name, const char *value);

/* Takes over `body`; NULL stands for a lack of memory and becomes 500. */
void ace_http_reply_json(ace_http_request *request, int status, json_t *body);

/* {"error": {"code", "message", "param", "hint"}, "detail": message}. code: one word for programs;
 * param and hint may be NULL. */
void ace_http_reply_error(ace_http_request *request, int status, const char *code,
                          const char *param, const char *hint, const char *format, ...)
    __attribute__((format(printf, 6, 7)));

/* The same for an error of the engine or the store: status and code follow from err->code. */
void ace_http_reply_failure(ace_http_request *request, const ace_error *err, const char *param);

/* Takes over `bytes`, from base/memory.h. */
void ace_http_reply_bytes(ace_http_request *request, int status, const char *type, void *bytes,
                          size_t n);
/* Copies. */
void ace_http_reply_text(ace_http_request *request, int status, const char *type, const char *text);

/* A file, with Range, ETag, If-None-Match and Last-Modified. download: the name under which a
 * browser saves it, NULL to show it in place. 404 where it is missing. The file may be removed while
 * it is sent. */
void ace_http_reply_file(ace_http_request *request, const char *path, const char *type,
                         const char *download);

/* An answer that grows. `more` is called on the connection's thread after every ace_http_wake of the
 * server and at least every 10 s; it gives the next piece in *text (from base/memory.h, taken over;
 * NULL: nothing new) and returns false when the stream is over. For server-sent events an idle
 * stream gets a comment line every 10 s. `done` frees the state, also when the client has gone. */
typedef bool ace_http_more(void *state, char **text, size_t *bytes);
typedef void ace_http_done(void *state);
void ace_http_reply_stream(ace_http_request *request, const char *type, ace_http_more *more,
                           ace_http_done *done, void *state);

/* An answer that has to wait. `ready` is called at once, after every ace_http_wake, and with late =
 * true when `seconds` are over or the server stops: it answers and returns true, or returns false to
 * wait on (never when late). The request stays valid until then. `done` frees the state, also when
 * the client has gone. */
typedef bool ace_http_ready(ace_http_request *request, void *state, bool late);
void ace_http_reply_later(ace_http_request *request, double seconds, ace_http_ready *ready,
                          ace_http_done *done, void *state);

/* ---- the server's side ----------------------------------------------------------------------- */

/* Something has changed: every waiting stream and answer is asked again. From any thread, cheap. */
void ace_http_wake(ace_server *server);

/* target with &exp=…&sig=… (valid for a day) where keys are set, otherwise a copy of it. target: a path,
 * perhaps with "?path=…"; only these two are signed, other parts of a query may be added. The caller
 * frees with ace_free; NULL when memory is short. */
char *ace_http_sign(ace_server *server, const char *target);

#endif
