/* ID3v2.3 and 2.4 (id3.org), as found at the start of MP3 files and in WAV. */
#include "audio/bytes.h"
#include "audio/language.h"
#include "audio/tag_read.h"

#include <string.h>
#include <strings.h>
#include <utf8proc.h>

enum { HEADER = 10, UNSYNCHRONISED = 0x80, EXTENDED_HEADER = 0x40 };
enum { LATIN1 = 0, UTF16_MARKED = 1, UTF16_BIG_ENDIAN = 2, UTF8 = 3 };

static size_t load_synchsafe(const unsigned char *at)
{
    return (size_t)(at[0] & 0x7f) << 21 | (size_t)(at[1] & 0x7f) << 14 |
           (size_t)(at[2] & 0x7f) << 7 | (size_t)(at[3] & 0x7f);
}

static void append_code_point(ace_bytes *out, utf8proc_int32_t code)
{
    utf8proc_uint8_t encoded[4];
    utf8proc_ssize_t size = utf8proc_encode_char(code, encoded);
    ace_bytes_append(out, encoded, size > 0 ? (size_t)size : 0);
}

/* A text of UTF-16 up to its NUL, as UTF-8. Returns the bytes used. */
static size_t append_utf16(ace_bytes *out, const unsigned char *data, size_t bytes, bool marked)
{
    bool little = false;
    size_t at = 0;
    if (marked && bytes >= 2) {
        little = data[0] == 0xff && data[1] == 0xfe;
        at = 2;
    }
    uint32_t high = 0;
    for (; bytes - at >= 2; at += 2) {
        uint32_t unit = (uint32_t)(little ? ace_load_le(data + at, 2) : ace_load_be(data + at, 2));
        if (unit == 0) {
            return at + 2;
        }
        if (unit >= 0xd800 && unit < 0xdc00) {
            high = unit;
        } else if (unit >= 0xdc00 && unit < 0xe000) {
            if (high != 0) {
                uint32_t code = 0x10000 + ((high - 0xd800) << 10) + (unit - 0xdc00);
                append_code_point(out, (utf8proc_int32_t)code);
            }
            high = 0;
        } else {
            append_code_point(out, (utf8proc_int32_t)unit);
        }
    }
    return bytes;
}

/* Appends one text of the encoding, up to its NUL or the end, as UTF-8. Returns the bytes used. */
static size_t append_text(ace_bytes *out, unsigned encoding, const unsigned char *data,
                          size_t bytes)
{
    if (encoding == UTF16_MARKED || encoding == UTF16_BIG_ENDIAN) {
        return append_utf16(out, data, bytes, encoding == UTF16_MARKED);
    }
    const unsigned char *end = bytes > 0 ? memchr(data, 0, bytes) : NULL;
    size_t size = end != NULL ? (size_t)(end - data) : bytes;
    if (encoding == UTF8) {
        ace_bytes_append(out, data, size);
    } else {
        for (size_t i = 0; i < size; i++) {
            append_code_point(out, data[i]);
        }
    }
    return end != NULL ? size + 1 : size;
}

/* The key of a text frame, or NULL. */
static const char *text_key(const unsigned char *id)
{
    static const struct {
        const char *id;
        const char *key;
    } keys[] = {{"TIT2", "TITLE"},    {"TPE1", "ARTIST"}, {"TBPM", "BPM"},  {"TKEY", "INITIALKEY"},
                {"TLAN", "LANGUAGE"}, {"TDRC", "DATE"},   {"TYER", "DATE"}, {"TSSE", "ENCODER"}};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        if (memcmp(id, keys[i].id, 4) == 0) {
            return keys[i].key;
        }
    }
    return NULL;
}

/* A frame's content as a description (TXXX, COMM, USLT) and a value. */
static void read_body(const unsigned char *id, const unsigned char *body, size_t bytes,
                      ace_bytes *description, ace_bytes *value)
{
    unsigned encoding = body[0];
    size_t at = 1;
    if (id[0] != 'T') {
        at = bytes < 4 ? bytes : 4; /* the language */
    }
    if (id[0] != 'T' || memcmp(id, "TXXX", 4) == 0) {
        at += append_text(description, encoding, body + at, bytes - at);
    }
    (void)append_text(value, encoding, body + at, bytes - at);
}

static const char *key_of(const unsigned char *id, const char *description)
{
    if (memcmp(id, "TXXX", 4) == 0) {
        return description;
    }
    if (memcmp(id, "COMM", 4) == 0) {
        return strcmp(description, "caption") == 0 ? "DESCRIPTION" : "COMMENT";
    }
    return memcmp(id, "USLT", 4) == 0 ? "LYRICS" : text_key(id);
}

static bool read_frame(const unsigned char *id, const unsigned char *body, size_t bytes,
                       ace_tag_list *out)
{
    bool described =
        memcmp(id, "TXXX", 4) == 0 || memcmp(id, "COMM", 4) == 0 || memcmp(id, "USLT", 4) == 0;
    if (bytes < 2 || (!described && text_key(id) == NULL)) {
        return true;
    }
    ace_bytes description = {0};
    ace_bytes value = {0};
    read_body(id, body, bytes, &description, &value);
    ace_bytes_append_u8(&description, 0);
    ace_bytes_append_u8(&value, 0);
    bool fine = !description.failed && !value.failed;
    if (fine) {
        const char *key = key_of(id, (const char *)description.data);
        const char *text = (const char *)value.data;
        text = memcmp(id, "TLAN", 4) == 0 ? ace_language_short(text) : text;
        fine = ace_tag_list_add(out, key, strlen(key), text, strlen(text));
    }
    ace_bytes_free(&description);
    ace_bytes_free(&value);
    return fine;
}

bool ace_id3_read(const unsigned char *data, size_t bytes, ace_tag_list *out)
{
    if (bytes < HEADER || memcmp(data, "ID3", 3) != 0 || data[3] < 3 || data[3] > 4 ||
        (data[5] & (UNSYNCHRONISED | EXTENDED_HEADER)) != 0) {
        return true;
    }
    size_t end = HEADER + load_synchsafe(data + 6);
    end = end < bytes ? end : bytes;
    size_t at = HEADER;
    while (end - at >= HEADER && data[at] != 0) {
        const unsigned char *frame = data + at;
        size_t size = data[3] == 4 ? load_synchsafe(frame + 4) : (size_t)ace_load_be(frame + 4, 4);
        at += HEADER;
        if (size > end - at) {
            break;
        }
        /* Compressed, encrypted and grouped frames have a changed body: none of ours do. */
        if (frame[9] == 0 && !read_frame(frame, frame + HEADER, size, out)) {
            return false;
        }
        at += size;
    }
    return true;
}
