/* UTF-8 as defined by the Unicode standard (table 3-7): no surrogates, no overlong forms. */
#ifndef ACE_TEXT_UTF8_H
#define ACE_TEXT_UTF8_H

#include "text/text_buffer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ACE_UTF8_INVALID = -1 };

/* The code point at text, which holds at least one byte, and in *length the bytes it takes. For a
 * malformed sequence ACE_UTF8_INVALID and the length of its maximal subpart: what one U+FFFD
 * replaces in Python's and the web's decoders. */
int32_t ace_utf8_decode(const char *text, size_t bytes, size_t *length);

/* Writes the code point, 1 to 4 bytes, and returns how many. */
size_t ace_utf8_encode(int32_t code_point, char out[4]);

bool ace_utf8_valid(const char *text, size_t bytes);

/* Appends the text with every malformed sequence replaced by U+FFFD. */
void ace_utf8_append_repaired(ace_text_buffer *out, const char *text, size_t bytes);

#endif
