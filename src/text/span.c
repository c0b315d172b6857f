#include "text/span.h"

#include <string.h>

ace_text_span ace_span_of(const char *text)
{
    return (ace_text_span){text, text != NULL ? strlen(text) : 0};
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

ace_text_span ace_span_trim(ace_text_span span)
{
    while (span.bytes > 0 && is_space(span.data[0])) {
        span.data++;
        span.bytes--;
    }
    while (span.bytes > 0 && is_space(span.data[span.bytes - 1])) {
        span.bytes--;
    }
    return span;
}

ace_text_span ace_span_cut(ace_text_span *rest, char separator)
{
    const char *end = rest->bytes > 0 ? memchr(rest->data, separator, rest->bytes) : NULL;
    ace_text_span piece = *rest;
    if (end == NULL) {
        rest->bytes = 0;
        return piece;
    }
    piece.bytes = (size_t)(end - piece.data);
    rest->data += piece.bytes + 1;
    rest->bytes -= piece.bytes + 1;
    return piece;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

bool ace_span_is(ace_text_span span, const char *word)
{
    for (size_t i = 0; i < span.bytes; i++) {
        if (word[i] == '\0' || lower(span.data[i]) != lower(word[i])) {
            return false;
        }
    }
    return word[span.bytes] == '\0';
}
