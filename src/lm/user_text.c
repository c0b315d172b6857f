#include "lm/user_text.h"

#include "text/span.h"
#include "text/utf8.h"

#include <string.h>

/* Whether the text begins with "<|name|>". */
static bool bar_token(ace_text_span at)
{
    size_t end = 2;
    if (at.bytes < 2 || at.data[1] != '|') {
        return false;
    }
    while (end < at.bytes &&
           ((at.data[end] >= 'a' && at.data[end] <= 'z') ||
            (at.data[end] >= 'A' && at.data[end] <= 'Z') ||
            (at.data[end] >= '0' && at.data[end] <= '9') || at.data[end] == '_')) {
        end++;
    }
    return end > 2 && at.bytes - end >= 2 && memcmp(at.data + end, "|>", 2) == 0;
}

static bool starts_with(ace_text_span at, const char *word)
{
    size_t n = strlen(word);
    return at.bytes >= n && memcmp(at.data, word, n) == 0;
}

static bool is_tag(ace_text_span at)
{
    static const char *const tags[] = {"<think>",      "</think>",        "<tool_call>",
                                       "</tool_call>", "<tool_response>", "</tool_response>"};
    for (size_t i = 0; i < sizeof tags / sizeof *tags; i++) {
        if (starts_with(at, tags[i])) {
            return true;
        }
    }
    return false;
}

static void append(ace_text_buffer *out, const char *text, bool codes)
{
    ace_text_span rest = ace_span_of(text);
    while (rest.bytes > 0) {
        const char *found = memchr(rest.data, '<', rest.bytes);
        size_t before = found != NULL ? (size_t)(found - rest.data) : rest.bytes;
        ace_utf8_append_repaired(out, rest.data, before);
        rest.data += before;
        rest.bytes -= before;
        if (rest.bytes > 0) {
            bool whole = codes && starts_with(rest, "<|audio_code_");
            bool token = !whole && (bar_token(rest) || is_tag(rest));
            ace_text_append_string(out, token ? "< " : "<");
            rest.data++;
            rest.bytes--;
        }
    }
}

void ace_lm_append_user_text(ace_text_buffer *out, const char *text)
{
    append(out, text, false);
}

void ace_lm_append_codes(ace_text_buffer *out, const char *text)
{
    append(out, text, true);
}
