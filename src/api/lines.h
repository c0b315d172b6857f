/* A text that grows line by line. */
#ifndef ACE_API_LINES_H
#define ACE_API_LINES_H

#include <stdbool.h>
#include <stddef.h>

typedef struct ace_lines {
    char *text; /* NULL: nothing yet, or no host memory; for acestep_free */
    size_t used, room;
    bool failed; /* no host memory: everything after it is dropped */
} ace_lines;

void ace_lines_add(ace_lines *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The finished text, which the caller frees; NULL when there was no host memory. */
char *ace_lines_take(ace_lines *t);

#endif
