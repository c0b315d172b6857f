/* ID3v2.4.0 (id3.org, "ID3 tag version 2.4.0 - Main Structure" and "- Native Frames"). All text is
 * UTF-8; sizes are synchsafe: 7 bits a byte. */
#include "audio/language.h"
#include "audio/tag_blocks.h"

#include <string.h>
#include <strings.h>

enum { UTF8 = 3, HEADER = 10 };

static void put_synchsafe(unsigned char *at, size_t value)
{
    for (int i = 3; i >= 0; i--) {
        at[i] = (unsigned char)(value & 0x7f);
        value >>= 7;
    }
}

/* Appends a frame header; the size is set by end_frame. Returns where the frame begins. */
static size_t begin_frame(ace_bytes *bytes, const char *id)
{
    size_t start = bytes->size;
    ace_bytes_append(bytes, id, 4);
    ace_bytes_append_le(bytes, 0, 6);
    return start;
}

static void end_frame(ace_bytes *bytes, size_t start)
{
    if (!bytes->failed) {
        put_synchsafe(bytes->data + start + 4, bytes->size - start - HEADER);
    }
}

static void append_text_frame(ace_bytes *bytes, const char *id, const char *text)
{
    size_t start = begin_frame(bytes, id);
    ace_bytes_append_u8(bytes, UTF8);
    ace_bytes_append_text(bytes, text);
    end_frame(bytes, start);
}

/* TXXX without language, COMM and USLT with one. */
static void append_described_frame(ace_bytes *bytes, const char *id, const char *language,
                                   const char *description, const char *text)
{
    size_t start = begin_frame(bytes, id);
    ace_bytes_append_u8(bytes, UTF8);
    if (language != NULL) {
        ace_bytes_append(bytes, language, 3);
    }
    ace_bytes_append(bytes, description, strlen(description) + 1);
    ace_bytes_append_text(bytes, text);
    end_frame(bytes, start);
}

/* Reads up to max digits at *at and steps over them; false when there are none. */
static bool parse_digits(const char **at, int max, long *value, int *digits)
{
    *value = 0;
    *digits = 0;
    while (*digits < max && **at >= '0' && **at <= '9') {
        *value = *value * 10 + (*(*at)++ - '0');
        ++*digits;
    }
    return *digits > 0;
}

/* Time of an LRC line "[mm:ss.xx]words" in milliseconds, and its words; false for other lines. */
static bool parse_lrc_line(const char *line, long *milliseconds, const char **words)
{
    static const long unit[] = {0, 100, 10, 1}; /* of a fraction with so many digits */
    long minutes = 0;
    long seconds = 0;
    long fraction = 0;
    int digits = 0;
    const char *at = line;
    if (*at++ != '[' || !parse_digits(&at, 4, &minutes, &digits) || *at++ != ':' ||
        !parse_digits(&at, 2, &seconds, &digits)) {
        return false;
    }
    digits = 0;
    if ((*at == '.' || *at == ':') && (at++, !parse_digits(&at, 3, &fraction, &digits))) {
        return false;
    }
    *milliseconds = (minutes * 60 + seconds) * 1000 + fraction * unit[digits];
    *words = at + 1;
    return *at == ']';
}

/* Lyrics with times: each line is its text, a NUL, and the time it begins. */
static void append_synced_lyrics(ace_bytes *bytes, const char *language, const char *lrc)
{
    enum { MILLISECONDS = 2, LYRICS = 1 };
    size_t start = begin_frame(bytes, "SYLT");
    ace_bytes_append_u8(bytes, UTF8);
    ace_bytes_append(bytes, language, 3);
    ace_bytes_append_u8(bytes, MILLISECONDS);
    ace_bytes_append_u8(bytes, LYRICS);
    ace_bytes_append_u8(bytes, 0); /* no description */
    while (*lrc != '\0') {
        size_t length = strcspn(lrc, "\r\n");
        long time = 0;
        const char *words = NULL;
        if (parse_lrc_line(lrc, &time, &words)) {
            ace_bytes_append(bytes, words, (size_t)(lrc + length - words));
            ace_bytes_append_u8(bytes, 0);
            ace_bytes_append_be(bytes, (uint64_t)time, 4);
        }
        lrc += length;
        lrc += strspn(lrc, "\r\n");
    }
    end_frame(bytes, start);
}

/* "A minor", "C# major", "B♭ minor" → "Am", "C#", "Bbm": at most three characters. */
static void append_key(ace_bytes *bytes, const char *key)
{
    static const struct {
        const char *sign;
        char ascii;
    } accidentals[] = {{"♯", '#'}, {"#", '#'}, {"♭", 'b'}, {"b", 'b'}};
    char text[4] = {key[0]};
    size_t length = 1;
    const char *at = key + 1;
    for (size_t i = 0; i < sizeof accidentals / sizeof accidentals[0]; i++) {
        size_t n = strlen(accidentals[i].sign);
        if (strncmp(at, accidentals[i].sign, n) == 0) {
            text[length++] = accidentals[i].ascii;
            at += n;
            break;
        }
    }
    at += strspn(at, " ");
    if (strcmp(at, "m") == 0 || strncasecmp(at, "min", 3) == 0) {
        text[length] = 'm';
    }
    append_text_frame(bytes, "TKEY", text);
}

static const struct {
    const char *key;
    const char *frame;
} text_frames[] = {
    {"TITLE", "TIT2"}, {"ARTIST", "TPE1"}, {"BPM", "TBPM"}, {"DATE", "TDRC"}, {"ENCODER", "TSSE"},
};

static const char *text_frame(const char *key)
{
    for (size_t i = 0; i < sizeof text_frames / sizeof text_frames[0]; i++) {
        if (strcasecmp(key, text_frames[i].key) == 0) {
            return text_frames[i].frame;
        }
    }
    return NULL;
}

static void append_tag(ace_bytes *bytes, const ace_tag *tag, const char *language)
{
    const char *frame = text_frame(tag->key);
    if (frame != NULL) {
        append_text_frame(bytes, frame, tag->value);
    } else if (strcasecmp(tag->key, "INITIALKEY") == 0) {
        append_key(bytes, tag->value);
    } else if (strcasecmp(tag->key, "LANGUAGE") == 0) {
        append_text_frame(bytes, "TLAN", language);
    } else if (strcasecmp(tag->key, "DESCRIPTION") == 0) {
        append_described_frame(bytes, "COMM", "eng", "caption", tag->value);
    } else if (strcasecmp(tag->key, "LYRICS") == 0) {
        append_described_frame(bytes, "USLT", language, "", tag->value);
    } else if (strcasecmp(tag->key, "SYNCEDLYRICS") == 0) {
        append_synced_lyrics(bytes, language, tag->value);
    } else {
        append_described_frame(bytes, "TXXX", NULL, tag->key, tag->value);
    }
}

void ace_id3_append(ace_bytes *bytes, const ace_tag *tags, size_t n_tags)
{
    size_t start = bytes->size;
    const char *language = ace_language_iso639_2(ace_tags_find(tags, n_tags, "LANGUAGE"));
    ace_bytes_append(bytes, "ID3\4\0\0\0\0\0\0", HEADER);
    for (size_t i = 0; i < n_tags; i++) {
        if (tags[i].value != NULL && tags[i].value[0] != '\0') {
            append_tag(bytes, &tags[i], language);
        }
    }
    if (bytes->failed) {
        return;
    }
    if (bytes->size == start + HEADER) {
        bytes->size = start;
        return;
    }
    put_synchsafe(bytes->data + start + 6, bytes->size - start - HEADER);
}
