/* The last lines of the log, numbered, for those who watch a server from afar. Of each line only
 * what may be shown stays: user names and passwords within addresses do not. */
#ifndef ACE_SERVER_LOG_TAIL_H
#define ACE_SERVER_LOG_TAIL_H

#include "base/log.h"
#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct ace_log_tail ace_log_tail;

enum {
    ACE_LOG_TAIL_LINES = 1000,
    ACE_LOG_TAIL_TEXT = 1024, /* bytes of a line; longer ones are cut */
    ACE_LOG_TAIL_AREA = 16
};

typedef struct ace_log_line {
    uint64_t number; /* 1, 2, … */
    double time;     /* unix seconds */
    ace_log_level level;
    char area[ACE_LOG_TAIL_AREA];
    char text[ACE_LOG_TAIL_TEXT]; /* UTF-8 without control characters */
} ace_log_line;

/* Called after every new line, from the thread that logs: it must not log. May be NULL. */
typedef void ace_log_tail_changed(void *context);

ace_status ace_log_tail_create(ace_log_tail_changed *changed, void *context, ace_log_tail **out,
                               ace_error *err);
void ace_log_tail_free(ace_log_tail *tail); /* NULL is fine */

/* Listens to the log of the program, until it is ended or freed. */
void ace_log_tail_start(ace_log_tail *tail);
void ace_log_tail_end(ace_log_tail *tail); /* NULL is fine */

/* Adds a line as if it had been logged. */
void ace_log_tail_add(ace_log_tail *tail, ace_log_level level, const char *area, const char *text);

typedef void ace_log_tail_visitor(void *context, const ace_log_line *line);

/* Shows the lines after number `after` that are still kept, the oldest first; area NULL: all.
 * Returns the number to go on from; a number that there never was counts as 0. The visitor must not
 * log. */
uint64_t ace_log_tail_visit(ace_log_tail *tail, const char *area, uint64_t after,
                            ace_log_tail_visitor *visit, void *context);
/* Of the line before the last n. */
uint64_t ace_log_tail_before(ace_log_tail *tail, uint64_t n);

#endif
