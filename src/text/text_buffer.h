/* A growing piece of text. Appending never fails visibly: a failed allocation is remembered and
 * reported once, at the end, so that builders read as a list of appends. */
#ifndef ACE_TEXT_TEXT_BUFFER_H
#define ACE_TEXT_TEXT_BUFFER_H

#include <stdbool.h>
#include <stddef.h>

typedef struct ace_text_buffer {
    char *data; /* owned; NULL while empty */
    size_t bytes, capacity;
    bool failed; /* an allocation failed; the content is incomplete */
} ace_text_buffer;

void ace_text_append(ace_text_buffer *buffer, const char *data, size_t bytes);
void ace_text_append_string(ace_text_buffer *buffer, const char *text);
void ace_text_append_integer(ace_text_buffer *buffer, long long value);

/* Room for that many more bytes at data + bytes; NULL when memory is short. The caller then raises
 * bytes by what it wrote. */
char *ace_text_reserve(ace_text_buffer *buffer, size_t bytes);

/* Hands over the content as a NUL-terminated string, to be freed with ace_free, and empties the
 * buffer; NULL when an allocation failed on the way. */
char *ace_text_take(ace_text_buffer *buffer);

void ace_text_free(ace_text_buffer *buffer);

#endif
