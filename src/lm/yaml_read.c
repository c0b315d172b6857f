#include "lm/yaml_read.h"

#include "text/utf8.h"

#include <string.h>

/* The text between the quotes, and how far it has been read. */
typedef struct reader {
    ace_text_buffer *out;
    const char *at, *end;
} reader;

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

size_t ace_yaml_break_bytes(ace_text_span text)
{
    static const char *const breaks[] = {"\n", "\xc2\x85", "\xe2\x80\xa8", "\xe2\x80\xa9"};
    for (size_t i = 0; i < sizeof breaks / sizeof *breaks; i++) {
        size_t n = strlen(breaks[i]);
        if (text.bytes >= n && memcmp(text.data, breaks[i], n) == 0) {
            return n;
        }
    }
    return 0;
}

static size_t break_bytes(const char *at, const char *end)
{
    return ace_yaml_break_bytes((ace_text_span){at, (size_t)(end - at)});
}

static const char *skip_spaces(const reader *r, const char *at)
{
    while (at < r->end && is_space(*at)) {
        at++;
    }
    return at;
}

/* Copies all line breaks that follow, without the spaces around them. Returns how many. */
static int copy_breaks(reader *r)
{
    int n = 0;
    const char *at = skip_spaces(r, r->at);
    size_t bytes = break_bytes(at, r->end);
    while (bytes > 0) {
        ace_text_append(r->out, at, bytes);
        n++;
        r->at = skip_spaces(r, at + bytes);
        at = r->at;
        bytes = break_bytes(at, r->end);
    }
    return n;
}

/* Spaces, or a place where a line was folded: a lone line feed is a space, and the first of several
 * is none. True when there was any of it. */
static bool read_white(reader *r)
{
    const char *at = skip_spaces(r, r->at);
    size_t bytes = break_bytes(at, r->end);
    if (bytes == 0) {
        ace_text_append(r->out, r->at, (size_t)(at - r->at));
        bool some = at > r->at;
        r->at = at;
        return some;
    }
    bool feed = *at == '\n';
    if (!feed) {
        ace_text_append(r->out, at, bytes);
    }
    r->at = skip_spaces(r, at + bytes);
    if (copy_breaks(r) == 0 && feed) {
        ace_text_append_string(r->out, " ");
    }
    return true;
}

static bool read_single_quoted(reader *r)
{
    while (r->at < r->end) {
        if (read_white(r)) {
            continue;
        }
        if (*r->at == '\'') {
            if (r->end - r->at < 2 || r->at[1] != '\'') {
                return false;
            }
            r->at++;
        }
        ace_text_append(r->out, r->at, 1);
        r->at++;
    }
    return true;
}

static int hex_value(char c)
{
    static const char digits[] = "0123456789abcdef";
    char low = c >= 'A' && c <= 'F' ? (char)(c + ('a' - 'A')) : c;
    const char *found = low != '\0' ? strchr(digits, low) : NULL;
    return found != NULL ? (int)(found - digits) : -1;
}

/* The character of "n" hexadecimal digits, ACE_UTF8_INVALID where there is none. */
static int32_t read_hex(reader *r, int n)
{
    int64_t c = 0;
    for (int i = 0; i < n; i++) {
        int digit = r->at < r->end ? hex_value(*r->at) : -1;
        if (digit < 0) {
            return ACE_UTF8_INVALID;
        }
        c = 16 * c + digit;
        r->at++;
    }
    bool valid = c > 0 && c <= 0x10ffff && (c < 0xd800 || c > 0xdfff);
    return valid ? (int32_t)c : ACE_UTF8_INVALID;
}

/* What stands behind a backslash; NUL is left to fail: no text here can contain it. */
static int32_t read_escape(reader *r)
{
    static const struct {
        char letter;
        int32_t c;
    } escapes[] = {{'a', 7},     {'b', 8},    {'t', '\t'}, {'\t', '\t'},  {'n', '\n'},  {'v', 11},
                   {'f', 12},    {'r', '\r'}, {'e', 0x1b}, {' ', ' '},    {'"', '"'},   {'/', '/'},
                   {'\\', '\\'}, {'N', 0x85}, {'_', 0xa0}, {'L', 0x2028}, {'P', 0x2029}};
    char letter = *r->at++;
    switch (letter) {
    case 'x':
        return read_hex(r, 2);
    case 'u':
        return read_hex(r, 4);
    case 'U':
        return read_hex(r, 8);
    default:
        break;
    }
    for (size_t i = 0; i < sizeof escapes / sizeof *escapes; i++) {
        if (escapes[i].letter == letter) {
            return escapes[i].c;
        }
    }
    return ACE_UTF8_INVALID;
}

static bool read_backslash(reader *r)
{
    char bytes[4];
    r->at++;
    if (r->at == r->end) {
        return false;
    }
    size_t broken = break_bytes(r->at, r->end);
    if (broken > 0) { /* a line cut here: nothing of the break counts */
        r->at = skip_spaces(r, r->at + broken);
        (void)copy_breaks(r);
        return true;
    }
    int32_t c = read_escape(r);
    if (c == ACE_UTF8_INVALID) {
        return false;
    }
    ace_text_append(r->out, bytes, ace_utf8_encode(c, bytes));
    return true;
}

static bool read_double_quoted(reader *r)
{
    while (r->at < r->end) {
        if (read_white(r)) {
            continue;
        }
        if (*r->at == '"') {
            return false;
        }
        if (*r->at == '\\') {
            if (!read_backslash(r)) {
                return false;
            }
            continue;
        }
        ace_text_append(r->out, r->at, 1);
        r->at++;
    }
    return true;
}

bool ace_yaml_unquote(ace_text_buffer *out, ace_text_span text)
{
    size_t before = out->bytes;
    if (text.bytes < 2) {
        return false;
    }
    char quote = text.data[0];
    reader r = {out, text.data + 1, text.data + text.bytes - 1};
    if (*r.end != quote) {
        return false;
    }
    bool read =
        (quote == '\'' && read_single_quoted(&r)) || (quote == '"' && read_double_quoted(&r));
    if (!read) {
        out->bytes = before;
    }
    return read;
}
