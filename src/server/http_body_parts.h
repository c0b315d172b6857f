/* Inside of http_body.c and http_spool.c. */
#ifndef ACE_SERVER_HTTP_BODY_PARTS_H
#define ACE_SERVER_HTTP_BODY_PARTS_H

#include "server/http_body.h"

#include <microhttpd.h>

struct ace_http_body {
    ace_http_body_limits limits;
    ace_body_kind kind;
    uint64_t total;                  /* bytes that have come */
    struct MHD_PostProcessor *parts; /* of multipart */
    char *text;                      /* of JSON or a form, or of the field that arrives */
    size_t text_bytes, text_room;
    size_t text_before; /* bytes of the fields before it */
    char *field;        /* its name; NULL: none arrives */
    size_t n_parts;
    json_t *json;
    ace_http_file file[ACE_BODY_PARTS];
    size_t n_files;
    uint64_t file_bytes;
    int fd; /* of the file that arrives; -1: none */
    bool exceeded;
    ace_http_body_failure failure;
};

/* Records the first failure. */
void ace_http_body_fail(ace_http_body *body, int status, const char *code, const char *hint,
                        const char *format, ...) __attribute__((format(printf, 5, 6)));

/* http_spool.c: the files. */
bool ace_http_spool_begin(ace_http_body *body, const char *field, const char *name);
bool ace_http_spool_add(ace_http_body *body, const char *data, size_t bytes);
void ace_http_spool_end(ace_http_body *body);

#endif
