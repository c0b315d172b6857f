/* Errors: filled once where they happen, never rewritten on the way up. */
#ifndef ACE_BASE_STATUS_H
#define ACE_BASE_STATUS_H

#include "acestep/status.h"

typedef acestep_status ace_status;

typedef struct ace_error {
    ace_status code;
    char message[1024]; /* one line, UTF-8, names the thing at fault and what to do */
} ace_error;

/* Records the failure in *err (which may be NULL) and returns code, so that callers can write
 * `return ace_fail(err, ACESTEP_MODEL, "%s: ...", path);`. An error already recorded stays.
 * Control characters and broken UTF-8 in what the message quotes become '?'. */
ace_status ace_fail(ace_error *err, ace_status code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The fixed text of a status, for messages that have nothing better. */
const char *ace_status_text(ace_status code);

#endif
