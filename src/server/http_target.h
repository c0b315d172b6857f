/* The target of a request: "/v1/jobs/j_1?wait=2" taken apart and decoded. */
#ifndef ACE_SERVER_HTTP_TARGET_H
#define ACE_SERVER_HTTP_TARGET_H

#include "base/status.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum { ACE_TARGET_ELEMENTS = 12 };

typedef struct ace_http_target {
    char *raw;                                /* path as it came, for the log */
    char *path;                               /* decoded */
    char *room;                               /* of the elements */
    const char *element[ACE_TARGET_ELEMENTS]; /* decoded; each may hold any character but NUL */
    size_t n_elements; /* ACE_TARGET_ELEMENTS + 1: too many to match anything */
    json_t *query;     /* object of strings; of repeated keys the last */
} ace_http_target;

/* ARGUMENT for a bad %, control characters and what is no UTF-8; MEMORY. Free in either case. */
ace_status ace_http_target_parse(const char *uri, ace_http_target *out, ace_error *err);
void ace_http_target_free(ace_http_target *target);

/* Decodes %xx, and + when plus, in place. False for a bad %, a NUL, a control character other than
 * tab and line ends (not even those in a path), or broken UTF-8. */
bool ace_http_decode(char *text, bool plus);

/* Adds what stands in "a=1&b=2" to the object; several values of one key become an array when
 * `arrays`, otherwise the last one counts. ARGUMENT, MEMORY. pairs is overwritten. */
ace_status ace_http_pairs_parse(char *pairs, bool arrays, json_t *out, ace_error *err);
/* As one pair of it. value is taken as it is, and must be UTF-8. */
ace_status ace_http_pairs_add(json_t *out, const char *key, const char *value, bool arrays,
                              ace_error *err);

#endif
