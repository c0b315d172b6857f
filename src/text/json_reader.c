#include "text/json_reader.h"

#include "text/utf8.h"

#include <string.h>

enum { MAX_NESTING = 64 };

static bool fail(ace_json_reader *reader)
{
    reader->failed = true;
    return false;
}

static void skip_space(ace_json_reader *reader)
{
    while (reader->at < reader->end && (*reader->at == ' ' || *reader->at == '\n' ||
                                        *reader->at == '\t' || *reader->at == '\r')) {
        reader->at++;
    }
}

/* Consumes the character when it is the next one after white space. */
static bool accept(ace_json_reader *reader, char c)
{
    skip_space(reader);
    if (reader->failed || reader->at == reader->end || *reader->at != c) {
        return false;
    }
    reader->at++;
    return true;
}

static bool expect(ace_json_reader *reader, char c)
{
    return accept(reader, c) || fail(reader);
}

void ace_json_init(ace_json_reader *reader, const char *text, size_t bytes)
{
    reader->begin = text;
    reader->at = text;
    reader->end = text + bytes;
    reader->failed = false;
}

size_t ace_json_offset(const ace_json_reader *reader)
{
    return (size_t)(reader->at - reader->begin);
}

ace_json_kind ace_json_peek(ace_json_reader *reader)
{
    skip_space(reader);
    if (reader->failed || reader->at == reader->end) {
        return ACE_JSON_NONE;
    }
    switch (*reader->at) {
    case '{':
        return ACE_JSON_OBJECT;
    case '[':
        return ACE_JSON_ARRAY;
    case '"':
        return ACE_JSON_STRING;
    case 't':
        return ACE_JSON_TRUE;
    case 'f':
        return ACE_JSON_FALSE;
    case 'n':
        return ACE_JSON_NULL;
    default:
        return *reader->at == '-' || (*reader->at >= '0' && *reader->at <= '9') ? ACE_JSON_NUMBER
                                                                                : ACE_JSON_NONE;
    }
}

bool ace_json_enter_object(ace_json_reader *reader)
{
    return expect(reader, '{');
}

bool ace_json_enter_array(ace_json_reader *reader)
{
    return expect(reader, '[');
}

/* Stands before the next element of an object or array; false at its end, which is consumed. The
 * first element is the one that follows the opening bracket. */
static bool next_element(ace_json_reader *reader, char open, char close)
{
    const char *before = reader->at;
    if (accept(reader, close)) {
        return false;
    }
    if (reader->failed) {
        return false;
    }
    bool first = before > reader->begin && before[-1] == open;
    if (!first && !expect(reader, ',')) {
        return false;
    }
    return true;
}

bool ace_json_next_key(ace_json_reader *reader, ace_json_string *key)
{
    return next_element(reader, '{', '}') && ace_json_read_string(reader, key) &&
           expect(reader, ':');
}

bool ace_json_next_item(ace_json_reader *reader)
{
    return next_element(reader, '[', ']');
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* Consumes what follows a backslash. */
static bool skip_escape(ace_json_reader *reader)
{
    char c = reader->at < reader->end ? *reader->at : '\0';
    if (c == '\0' || strchr("\"\\/bfnrtu", c) == NULL) {
        return fail(reader);
    }
    reader->at++;
    bool unicode = c == 'u';
    for (int i = 0; unicode && i < 4; i++) {
        if (reader->at == reader->end || !is_hex(*reader->at)) {
            return fail(reader);
        }
        reader->at++;
    }
    return true;
}

bool ace_json_read_string(ace_json_reader *reader, ace_json_string *out)
{
    if (!expect(reader, '"')) {
        return false;
    }
    out->data = reader->at;
    out->escaped = false;
    while (reader->at < reader->end && *reader->at != '"') {
        unsigned char c = (unsigned char)*reader->at;
        if (c < 0x20) {
            return fail(reader);
        }
        reader->at++;
        if (c == '\\') {
            out->escaped = true;
            if (!skip_escape(reader)) {
                return false;
            }
        }
    }
    if (reader->at == reader->end) {
        return fail(reader);
    }
    out->bytes = (size_t)(reader->at - out->data);
    reader->at++;
    return true;
}

/* A number's characters; the exact grammar matters only where the value is read. */
static bool is_number_character(char c)
{
    return (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E';
}

bool ace_json_read_integer(ace_json_reader *reader, int64_t *out)
{
    if (ace_json_peek(reader) != ACE_JSON_NUMBER) {
        return fail(reader);
    }
    bool negative = *reader->at == '-';
    reader->at += negative ? 1 : 0;
    const char *digits = reader->at;
    int64_t value = 0;
    while (reader->at < reader->end && *reader->at >= '0' && *reader->at <= '9') {
        int digit = *reader->at++ - '0';
        if (value > (INT64_MAX - digit) / 10) {
            return fail(reader);
        }
        value = value * 10 + digit;
    }
    bool more = reader->at < reader->end && is_number_character(*reader->at);
    if (reader->at == digits || more) {
        return fail(reader);
    }
    *out = negative ? -value : value;
    return true;
}

static bool skip_word(ace_json_reader *reader, const char *word)
{
    size_t n = strlen(word);
    if ((size_t)(reader->end - reader->at) < n || memcmp(reader->at, word, n) != 0) {
        return fail(reader);
    }
    reader->at += n;
    return true;
}

static bool skip_scalar(ace_json_reader *reader)
{
    ace_json_string ignored;
    switch (ace_json_peek(reader)) {
    case ACE_JSON_STRING:
        return ace_json_read_string(reader, &ignored);
    case ACE_JSON_NUMBER:
        while (reader->at < reader->end && is_number_character(*reader->at)) {
            reader->at++;
        }
        return true;
    case ACE_JSON_TRUE:
        return skip_word(reader, "true");
    case ACE_JSON_FALSE:
        return skip_word(reader, "false");
    case ACE_JSON_NULL:
        return skip_word(reader, "null");
    default:
        return fail(reader);
    }
}

/* Without recursion: one bit per open bracket says whether it is an object. */
bool ace_json_skip(ace_json_reader *reader)
{
    uint64_t objects = 0;
    int depth = 0;
    do {
        if (depth > 0) {
            bool in_object = (objects & 1) != 0;
            ace_json_string key;
            bool more = in_object ? ace_json_next_key(reader, &key) : ace_json_next_item(reader);
            if (reader->failed) {
                return false;
            }
            if (!more) {
                objects >>= 1;
                depth--;
                continue;
            }
        }
        ace_json_kind kind = ace_json_peek(reader);
        if (kind == ACE_JSON_OBJECT || kind == ACE_JSON_ARRAY) {
            if (depth == MAX_NESTING) {
                return fail(reader);
            }
            objects = objects << 1 | (kind == ACE_JSON_OBJECT ? 1 : 0);
            depth++;
            reader->at++;
        } else if (!skip_scalar(reader)) {
            return false;
        }
    } while (depth > 0);
    return !reader->failed;
}

bool ace_json_at_end(ace_json_reader *reader)
{
    skip_space(reader);
    return !reader->failed && reader->at == reader->end;
}

static int32_t hex4(const char *digits)
{
    int32_t value = 0;
    for (int i = 0; i < 4; i++) {
        char c = digits[i];
        int digit = c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
        value = value * 16 + digit;
    }
    return value;
}

/* The character of the escape at s, which points at the 'u'; *used counts the bytes after it. A
 * surrogate without its partner becomes U+FFFD. */
static int32_t unicode_escape(const char *s, const char *end, size_t *used)
{
    int32_t high = hex4(s + 1);
    *used = 5;
    if (high < 0xD800 || high > 0xDFFF) {
        return high;
    }
    if (high <= 0xDBFF && end - s >= 11 && s[5] == '\\' && s[6] == 'u') {
        int32_t low = hex4(s + 7);
        if (low >= 0xDC00 && low <= 0xDFFF) {
            *used = 11;
            return 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
        }
    }
    return 0xFFFD;
}

static char simple_escape(char c)
{
    switch (c) {
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    default:
        return c; /* quote, backslash, slash */
    }
}

size_t ace_json_unescape(ace_json_string string, char *out)
{
    if (!string.escaped) {
        memcpy(out, string.data, string.bytes);
        return string.bytes;
    }
    const char *s = string.data;
    const char *end = s + string.bytes;
    size_t n = 0;
    while (s < end) {
        if (*s != '\\') {
            out[n++] = *s++;
        } else if (s[1] == 'u') {
            size_t used = 0;
            char encoded[4];
            size_t length = ace_utf8_encode(unicode_escape(s + 1, end, &used), encoded);
            memcpy(out + n, encoded, length);
            n += length;
            s += 1 + used;
        } else {
            out[n++] = simple_escape(s[1]);
            s += 2;
        }
    }
    return n;
}

bool ace_json_equals(ace_json_string string, const char *text)
{
    size_t n = strlen(text);
    if (!string.escaped) {
        return string.bytes == n && memcmp(string.data, text, n) == 0;
    }
    char resolved[256];
    if (string.bytes > sizeof resolved) {
        return false;
    }
    return ace_json_unescape(string, resolved) == n && memcmp(resolved, text, n) == 0;
}
