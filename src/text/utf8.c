#include "text/utf8.h"

static bool is_continuation(unsigned char byte)
{
    return (byte & 0xC0) == 0x80;
}

/* Bytes of a sequence by its first byte, 0 for a byte that cannot start one. */
static size_t sequence_length(unsigned char first)
{
    if (first < 0x80) {
        return 1;
    }
    if (first >= 0xC2 && first <= 0xDF) {
        return 2;
    }
    if (first >= 0xE0 && first <= 0xEF) {
        return 3;
    }
    return first >= 0xF0 && first <= 0xF4 ? 4 : 0;
}

/* The second byte is restricted after E0 and F0 (overlong), ED (surrogates) and F4 (above 10FFFF).
 */
static bool second_byte_fits(unsigned char first, unsigned char second)
{
    switch (first) {
    case 0xE0:
        return second >= 0xA0 && second <= 0xBF;
    case 0xED:
        return second >= 0x80 && second <= 0x9F;
    case 0xF0:
        return second >= 0x90 && second <= 0xBF;
    case 0xF4:
        return second >= 0x80 && second <= 0x8F;
    default:
        return is_continuation(second);
    }
}

int32_t ace_utf8_decode(const char *text, size_t bytes, size_t *length)
{
    const unsigned char *s = (const unsigned char *)text;
    size_t n = sequence_length(s[0]);
    *length = 1;
    if (n <= 1) {
        return n == 1 ? (int32_t)s[0] : ACE_UTF8_INVALID;
    }
    if (bytes < 2 || !second_byte_fits(s[0], s[1])) {
        return ACE_UTF8_INVALID;
    }
    int32_t code_point = (int32_t)((s[0] & (0x7FU >> n)) << 6 | (s[1] & 0x3FU));
    for (size_t i = 2; i < n; i++) {
        *length = i;
        if (i >= bytes || !is_continuation(s[i])) {
            return ACE_UTF8_INVALID;
        }
        code_point = code_point << 6 | (s[i] & 0x3F);
    }
    *length = n;
    return code_point;
}

size_t ace_utf8_encode(int32_t code_point, char out[4])
{
    uint32_t c = (uint32_t)code_point;
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xC0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3F));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xE0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3F));
        out[2] = (char)(0x80 | (c & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3F));
    out[2] = (char)(0x80 | (c >> 6 & 0x3F));
    out[3] = (char)(0x80 | (c & 0x3F));
    return 4;
}

/* The length of the well-formed beginning. */
static size_t valid_prefix(const char *text, size_t bytes)
{
    size_t at = 0;
    while (at < bytes) {
        size_t length = 1;
        if ((unsigned char)text[at] >= 0x80 &&
            ace_utf8_decode(text + at, bytes - at, &length) == ACE_UTF8_INVALID) {
            break;
        }
        at += length;
    }
    return at;
}

bool ace_utf8_valid(const char *text, size_t bytes)
{
    return valid_prefix(text, bytes) == bytes;
}

void ace_utf8_append_repaired(ace_text_buffer *out, const char *text, size_t bytes)
{
    size_t at = 0;
    while (at < bytes && !out->failed) {
        size_t good = valid_prefix(text + at, bytes - at);
        ace_text_append(out, text + at, good);
        at += good;
        if (at < bytes) {
            size_t bad = 1;
            (void)ace_utf8_decode(text + at, bytes - at, &bad);
            ace_text_append_string(out, "\xEF\xBF\xBD");
            at += bad;
        }
    }
}
