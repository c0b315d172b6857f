/* The body of a request: JSON and forms in memory, files on disk, each within its limit. */
#ifndef ACE_SERVER_HTTP_BODY_H
#define ACE_SERVER_HTTP_BODY_H

#include "server/http.h"

struct MHD_Connection;

enum { ACE_BODY_PARTS = 64, ACE_BODY_DEPTH = 64, ACE_BODY_NAME_BYTES = 200 };

typedef struct ace_http_body_limits {
    const char *spool;   /* folder for files */
    size_t text_bytes;   /* of JSON, or of all fields together */
    uint64_t file_bytes; /* of all files together */
    bool files, raw;     /* as the route's flags say */
} ace_http_body_limits;

typedef enum ace_body_kind {
    ACE_BODY_NONE,
    ACE_BODY_TEXT, /* JSON or a form in memory; which of them the bytes say when the type does not */
    ACE_BODY_MULTIPART,
    ACE_BODY_RAW, /* one file */
    ACE_BODY_UNKNOWN
} ace_body_kind;

typedef struct ace_http_body ace_http_body;

/* What such a Content-Type (NULL: none) means under these limits. */
ace_body_kind ace_http_body_kind(const char *type, const ace_http_body_limits *limits);
/* The most bytes that such a body may have. */
uint64_t ace_http_body_most(ace_body_kind kind, const ace_http_body_limits *limits);

/* The connection is asked for its headers only. NULL when memory is short. */
ace_http_body *ace_http_body_open(struct MHD_Connection *connection, const char *type,
                                  const ace_http_body_limits *limits);
/* Removes files that nobody took. NULL is fine. */
void ace_http_body_close(ace_http_body *body);

/* A failure is kept; what follows it is thrown away. */
void ace_http_body_add(ace_http_body *body, const char *data, size_t bytes);

/* More has come than may be: whoever sends it need not go on. */
bool ace_http_body_exceeded(const ace_http_body *body);

typedef struct ace_http_body_failure {
    int status; /* of HTTP; 0: none */
    const char *code, *hint;
    char message[256];
} ace_http_body_failure;

/* The body is complete: true, and json (borrowed, may be NULL) and files are those of ace_http_request. */
bool ace_http_body_finish(ace_http_body *body, json_t **json, const ace_http_file **files,
                          size_t *n_files);
const ace_http_body_failure *ace_http_body_failed(const ace_http_body *body);

/* Gives the file's path away; the caller has moved it. */
void ace_http_body_forget(ace_http_body *body, size_t index);

/* The last element of a name, without control characters, "file" when nothing is left. ace_free. */
char *ace_http_file_name(const char *name);

#endif
