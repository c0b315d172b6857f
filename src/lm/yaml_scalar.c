#include "lm/yaml_scalar.h"

#include "base/memory.h"
#include "lm/yaml_types.h"
#include "text/utf8.h"

#include <stdio.h>
#include <string.h>

enum { WIDTH = 80, INDENT = 2, END = -1 };

typedef struct scalar {
    ace_text_buffer *out;
    int32_t *text; /* [n] code points */
    size_t n;
    size_t column; /* code points on the present line */
} scalar;

/* ---- kinds of characters
 * ------------------------------------------------------------------------------------ */

static bool is_break(int32_t c)
{
    return c == '\n' || c == 0x85 || c == 0x2028 || c == 0x2029;
}

/* What may follow an indicator; the end of the text counts. */
static bool is_blank(int32_t c)
{
    return c == END || c == ' ' || c == '\t' || c == '\r' || is_break(c);
}

static bool is_one_of(int32_t c, const char *set)
{
    return c > 0 && c < 0x80 && strchr(set, (int)c) != NULL;
}

/* Without an escape. U+FEFF would be a byte order mark. */
static bool is_printable(int32_t c)
{
    return c == '\n' || (c >= 0x20 && c <= 0x7e) || c == 0x85 || (c >= 0xa0 && c <= 0xd7ff) ||
           (c >= 0xe000 && c <= 0xfffd && c != 0xfeff) || (c >= 0x10000 && c < 0x10ffff);
}

static int32_t at(const scalar *s, size_t i)
{
    return i < s->n ? s->text[i] : END;
}

/* ---- the style
 * ----------------------------------------------------------------------------------------------
 */

static bool begins_with_mark(const scalar *s)
{
    bool document = s->n >= 3 && (s->text[0] == '-' || s->text[0] == '.') &&
                    s->text[1] == s->text[0] && s->text[2] == s->text[0];
    return document || is_one_of(at(s, 0), "#,[]{}&*!|>'\"%@`") ||
           (is_one_of(at(s, 0), "-?:") && is_blank(at(s, 1)));
}

static bool needs_quotes(const scalar *s)
{
    if (s->n == 0 || begins_with_mark(s) || s->text[0] == ' ' || s->text[s->n - 1] == ' ') {
        return true;
    }
    for (size_t i = 0; i < s->n; i++) {
        bool key = s->text[i] == ':' && is_blank(at(s, i + 1));
        bool comment = s->text[i] == '#' && i > 0 && is_blank(s->text[i - 1]);
        if (key || comment || is_break(s->text[i])) {
            return true;
        }
    }
    return false;
}

/* Single quotes know no escapes, and spaces around a line break would be lost between them. */
static bool needs_escapes(const scalar *s)
{
    for (size_t i = 0; i < s->n; i++) {
        bool space_and_break = s->text[i] == ' ' && i + 1 < s->n && is_break(s->text[i + 1]);
        bool break_and_space = is_break(s->text[i]) && i + 1 < s->n && s->text[i + 1] == ' ';
        if (!is_printable(s->text[i]) || space_and_break || break_and_space) {
            return true;
        }
    }
    return false;
}

/* ---- writing
 * ------------------------------------------------------------------------------------------------
 */

static void put_ascii(scalar *s, const char *text)
{
    ace_text_append_string(s->out, text);
    s->column += strlen(text);
}

static void put(scalar *s, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        char bytes[4];
        ace_text_append(s->out, bytes, ace_utf8_encode(s->text[i], bytes));
    }
    s->column += to - from;
}

static void start_line(scalar *s)
{
    ace_text_append_string(s->out, "\n  ");
    s->column = INDENT;
}

/* Behind the run of spaces, of breaks or of anything else that begins at i; "'" stands alone. */
static size_t run_end(const scalar *s, size_t i)
{
    int32_t first = s->text[i];
    if (first == '\'') {
        return i + 1;
    }
    size_t end = i + 1;
    while (end < s->n && s->text[end] != '\'' && (s->text[end] == ' ') == (first == ' ') &&
           is_break(s->text[end]) == is_break(first)) {
        end++;
    }
    return end;
}

/* A single space between two words is where a line that is too long may go on below. */
static void put_spaces(scalar *s, size_t from, size_t to)
{
    if (to - from == 1 && s->column > WIDTH && from > 0 && to < s->n) {
        start_line(s);
    } else {
        put(s, from, to);
    }
}

static void put_plain(scalar *s)
{
    for (size_t i = 0; i < s->n;) {
        size_t end = run_end(s, i);
        if (s->text[i] == ' ') {
            put_spaces(s, i, end);
        } else {
            put(s, i, end);
        }
        i = end;
    }
}

/* A lone line feed would be read as a space: it is written twice. */
static void put_breaks(scalar *s, size_t from, size_t to)
{
    if (s->text[from] == '\n') {
        ace_text_append_string(s->out, "\n");
    }
    put(s, from, to);
    ace_text_append_string(s->out, "  ");
    s->column = INDENT;
}

static void put_single_quoted(scalar *s)
{
    put_ascii(s, "'");
    for (size_t i = 0; i < s->n;) {
        size_t end = run_end(s, i);
        if (s->text[i] == '\'') {
            put_ascii(s, "''");
        } else if (s->text[i] == ' ') {
            put_spaces(s, i, end);
        } else if (is_break(s->text[i])) {
            put_breaks(s, i, end);
        } else {
            put(s, i, end);
        }
        i = end;
    }
    put_ascii(s, "'");
}

/* The letter behind the backslash, or 0. */
static char escape_letter(int32_t c)
{
    static const struct {
        int32_t c;
        char letter;
    } escapes[] = {{0, '0'},     {7, 'a'},    {8, 'b'},      {'\t', 't'},  {'\n', 'n'},
                   {11, 'v'},    {12, 'f'},   {'\r', 'r'},   {0x1b, 'e'},  {'"', '"'},
                   {'\\', '\\'}, {0x85, 'N'}, {0x2028, 'L'}, {0x2029, 'P'}};
    for (size_t i = 0; i < sizeof escapes / sizeof *escapes; i++) {
        if (escapes[i].c == c) {
            return escapes[i].letter;
        }
    }
    return '\0';
}

/* Between double quotes PyYAML escapes everything above U+FFFF. */
static bool is_escaped(int32_t c)
{
    return escape_letter(c) != '\0' || !is_printable(c) || c > 0xffff;
}

static void put_escape(scalar *s, int32_t c)
{
    char text[16];
    char letter = escape_letter(c);
    if (letter != '\0') {
        (void)snprintf(text, sizeof text, "\\%c", letter);
    } else if (c <= 0xff) {
        (void)snprintf(text, sizeof text, "\\x%02X", (unsigned)c);
    } else if (c <= 0xffff) {
        (void)snprintf(text, sizeof text, "\\u%04X", (unsigned)c);
    } else {
        (void)snprintf(text, sizeof text, "\\U%08X", (unsigned)c);
    }
    put_ascii(s, text);
}

/* Lines are cut before a space, and before or behind an escape, with a backslash at their end. A
 * space that begins the next line needs one too. */
static void put_double_quoted(scalar *s)
{
    bool after_escape = false;
    put_ascii(s, "\"");
    for (size_t i = 0; i < s->n; i++) {
        bool escaped = is_escaped(s->text[i]);
        if (escaped) {
            put_escape(s, s->text[i]);
        }
        bool may_cut = i > 0 && i + 1 < s->n && (s->text[i] == ' ' || escaped || after_escape);
        if (may_cut && s->column > (escaped ? WIDTH + 1 : WIDTH)) {
            put_ascii(s, "\\");
            start_line(s);
            if (at(s, escaped ? i + 1 : i) == ' ') {
                put_ascii(s, "\\");
            }
        }
        if (!escaped) {
            put(s, i, i + 1);
        }
        after_escape = escaped;
    }
    put_ascii(s, "\"");
}

/* ---- entries
 * ------------------------------------------------------------------------------------------------
 */

static bool decode(const char *text, scalar *s)
{
    size_t bytes = strlen(text);
    s->text = ace_malloc_array(bytes + 1, sizeof *s->text);
    for (size_t i = 0; s->text != NULL && i < bytes;) {
        size_t length = 0;
        int32_t c = ace_utf8_decode(text + i, bytes - i, &length);
        s->text[s->n++] = c == ACE_UTF8_INVALID ? 0xfffd : c;
        i += length;
    }
    return s->text != NULL;
}

void ace_yaml_append_entry(ace_text_buffer *out, const char *key, const char *value)
{
    scalar s = {.out = out};
    if (!decode(value, &s)) {
        out->failed = true;
        return;
    }
    put_ascii(&s, key);
    put_ascii(&s, ": ");
    if (needs_escapes(&s)) {
        put_double_quoted(&s);
    } else if (needs_quotes(&s) || ace_yaml_is_no_text(value)) {
        put_single_quoted(&s);
    } else {
        put_plain(&s);
    }
    ace_text_append_string(out, "\n");
    ace_free(s.text);
}
