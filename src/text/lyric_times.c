#include "text/lyric_times.h"

#include "base/memory.h"
#include "text/text_buffer.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- lines ----------------------------------------------------------------------------------- */

static bool token_has(const ace_tokenizer *tokenizer, int32_t id, char c)
{
    size_t bytes = 0;
    const char *text = ace_tokenizer_token_bytes(tokenizer, id, &bytes);
    return text != NULL && memchr(text, c, bytes) != NULL;
}

void ace_lyrics_find_sung(const ace_tokenizer *tokenizer, const int32_t *ids, int64_t n, bool *sung)
{
    bool inside = false;
    for (int64_t i = 0; i < n; i++) {
        bool closes = token_has(tokenizer, ids[i], ']');
        inside = inside || token_has(tokenizer, ids[i], '[');
        sung[i] = !inside && !closes;
        inside = inside && !closes;
    }
}

static double milliseconds(double seconds)
{
    return nearbyint(seconds * 1e3) / 1e3;
}

/* Python's strip also takes the spaces of other scripts: U+00A0, U+2000 … U+200A, U+3000. */
static size_t wide_space(const char *text, size_t bytes)
{
    const unsigned char *b = (const unsigned char *)text;
    if (bytes >= 2 && b[0] == 0xc2 && b[1] == 0xa0) {
        return 2;
    }
    if (bytes >= 3 && b[0] == 0xe3 && b[1] == 0x80 && b[2] == 0x80) {
        return 3;
    }
    return bytes >= 3 && b[0] == 0xe2 && b[1] == 0x80 && b[2] >= 0x80 && b[2] <= 0x8a ? 3 : 0;
}

static ace_text_span trim(ace_text_span span)
{
    size_t before = 0;
    do {
        before = span.bytes;
        span = ace_span_trim(span);
        size_t front = wide_space(span.data, span.bytes);
        span.data += front;
        span.bytes -= front;
        for (size_t back = 2; back <= 3 && back <= span.bytes; back++) {
            if (wide_space(span.data + span.bytes - back, back) == back) {
                span.bytes -= back;
                break;
            }
        }
    } while (span.bytes != before);
    return span;
}

/* The text in one line, whatever the tokens put into it. NULL when memory is short. */
static char *copy_line(ace_text_span span)
{
    char *text = ace_malloc_array(span.bytes + 1, 1);
    for (size_t i = 0; text != NULL && i < span.bytes; i++) {
        text[i] = span.data[i] == '\n' || span.data[i] == '\r' ? ' ' : span.data[i];
    }
    if (text != NULL) {
        text[span.bytes] = '\0';
    }
    return text;
}

/* Tokens first … last as one line, unless they are blank. */
static ace_status add_line(const ace_tokenizer *tokenizer, const int32_t *ids, int64_t first,
                           int64_t last, ace_lyric_line *line, int64_t *n, ace_error *err)
{
    char *text = NULL;
    size_t bytes = 0;
    ace_status status =
        ace_tokenizer_decode(tokenizer, ids + first, last - first + 1, &text, &bytes, err);
    if (status != ACESTEP_OK) {
        return status;
    }
    ace_text_span span = trim((ace_text_span){text, bytes});
    if (span.bytes > 0) {
        line->text = copy_line(span);
        *n += line->text != NULL ? 1 : 0;
        status = line->text != NULL
                     ? ACESTEP_OK
                     : ace_fail(err, ACESTEP_MEMORY, "lyrics: no host memory for their lines");
    }
    ace_free(text);
    return status;
}

ace_status ace_lyric_lines_create(const ace_tokenizer *tokenizer, const int32_t *ids, int64_t n,
                                  const double *start, const double *end, ace_lyric_lines *out,
                                  ace_error *err)
{
    int64_t most = 1;
    memset(out, 0, sizeof *out);
    for (int64_t i = 0; i < n; i++) {
        most += token_has(tokenizer, ids[i], '\n') ? 1 : 0;
    }
    out->line = ace_calloc((size_t)most, sizeof *out->line);
    if (out->line == NULL) {
        return ace_fail(err, ACESTEP_MEMORY, "lyrics: no host memory for their lines");
    }
    ace_status status = ACESTEP_OK;
    int64_t first = 0;
    for (int64_t i = 0; i < n && status == ACESTEP_OK; i++) {
        if (i + 1 < n && !token_has(tokenizer, ids[i], '\n')) {
            continue;
        }
        ace_lyric_line *line = &out->line[out->n];
        line->start = milliseconds(start[first]);
        line->end = milliseconds(end[i]);
        status = add_line(tokenizer, ids, first, i, line, &out->n, err);
        first = i + 1;
    }
    if (status != ACESTEP_OK) {
        ace_lyric_lines_free(out);
    }
    return status;
}

void ace_lyric_lines_free(ace_lyric_lines *lines)
{
    for (int64_t i = 0; i < lines->n; i++) {
        ace_free(lines->line[i].text);
    }
    ace_free(lines->line);
    memset(lines, 0, sizeof *lines);
}

/* ---- files ----------------------------------------------------------------------------------- */

/* Times of both files are whole hundredths, as LRC has them. */
static long long hundredths(double seconds)
{
    const double most = 1e9;
    return seconds > 0 ? llrint((seconds < most ? seconds : most) * 100) : 0;
}

static ace_status take(ace_text_buffer *text, char **out, ace_error *err)
{
    *out = ace_text_take(text);
    return *out != NULL ? ACESTEP_OK : ace_fail(err, ACESTEP_MEMORY, "lyrics: no host memory");
}

ace_status ace_lrc_write(const ace_lyric_lines *lines, char **out, ace_error *err)
{
    ace_text_buffer text = {0};
    for (int64_t i = 0; i < lines->n; i++) {
        char stamp[48];
        long long at = hundredths(lines->line[i].start);
        (void)snprintf(stamp, sizeof stamp, "[%02lld:%02lld.%02lld]", at / 6000, at / 100 % 60,
                       at % 100);
        ace_text_append_string(&text, stamp);
        ace_text_append_string(&text, lines->line[i].text);
        ace_text_append_string(&text, "\n");
    }
    return take(&text, out, err);
}

/* WEBVTT reads &, < and > as markup. */
static void append_escaped(ace_text_buffer *out, const char *text)
{
    for (; *text != '\0'; text++) {
        switch (*text) {
        case '&':
            ace_text_append_string(out, "&amp;");
            break;
        case '<':
            ace_text_append_string(out, "&lt;");
            break;
        case '>':
            ace_text_append_string(out, "&gt;");
            break;
        default:
            ace_text_append(out, text, 1);
        }
    }
}

static void append_times(ace_text_buffer *out, long long from, long long to)
{
    char times[128];
    (void)snprintf(times, sizeof times,
                   "%02lld:%02lld:%02lld.%02lld0 --> %02lld:%02lld:%02lld.%02lld0\n", from / 360000,
                   from / 6000 % 60, from / 100 % 60, from % 100, to / 360000, to / 6000 % 60,
                   to / 100 % 60, to % 100);
    ace_text_append_string(out, times);
}

/* The first line after `first` that starts a cue of its own. Constants here and below: the
 * original's parse_lrc_to_subtitles. */
static int64_t cue_end(const ace_lyric_lines *lines, int64_t first)
{
    enum { SHORTEST = 200 }; /* hundredths that a cue stays */
    int64_t i = first + 1;
    while (i < lines->n &&
           hundredths(lines->line[i].start) - hundredths(lines->line[first].start) < SHORTEST) {
        i++;
    }
    return i;
}

ace_status ace_webvtt_write(const ace_lyric_lines *lines, double seconds, char **out,
                            ace_error *err)
{
    enum { LAST_CUE = 500 }; /* hundredths, where the song's length does not tell */
    ace_text_buffer text = {0};
    ace_text_append_string(&text, "WEBVTT\n");
    for (int64_t i = 0; i < lines->n;) {
        int64_t next = cue_end(lines, i);
        long long from = hundredths(lines->line[i].start);
        long long to = next < lines->n              ? hundredths(lines->line[next].start)
                       : hundredths(seconds) > from ? hundredths(seconds)
                                                    : from + LAST_CUE;
        ace_text_append_string(&text, "\n");
        append_times(&text, from, to);
        for (; i < next; i++) {
            append_escaped(&text, lines->line[i].text);
            ace_text_append_string(&text, "\n");
        }
    }
    return take(&text, out, err);
}
