/* A piece of somebody else's text. */
#ifndef ACE_TEXT_SPAN_H
#define ACE_TEXT_SPAN_H

#include <stdbool.h>
#include <stddef.h>

typedef struct ace_text_span {
    const char *data; /* borrowed, not terminated */
    size_t bytes;
} ace_text_span;

/* The whole of a string; NULL is an empty one. */
ace_text_span ace_span_of(const char *text);

/* Without the ASCII white space at both ends. */
ace_text_span ace_span_trim(ace_text_span span);

/* Cuts off and returns what stands before the separator, or all when there is none. */
ace_text_span ace_span_cut(ace_text_span *rest, char separator);

/* Equal to the ASCII word, whatever the case of letters. */
bool ace_span_is(ace_text_span span, const char *word);

#endif
