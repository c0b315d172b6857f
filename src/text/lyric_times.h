/* Timed lyrics: from tokens with times to lines, and lines as the two usual kinds of file. */
#ifndef ACE_TEXT_LYRIC_TIMES_H
#define ACE_TEXT_LYRIC_TIMES_H

#include "base/status.h"
#include "text/tokenizer.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct ace_lyric_line {
    char *text;        /* owned; one line, trimmed, never empty */
    double start, end; /* seconds, in whole milliseconds */
} ace_lyric_line;

typedef struct ace_lyric_lines {
    ace_lyric_line *line; /* [n], owned */
    int64_t n;
} ace_lyric_lines;

/* Which tokens are words to sing: all but those of section marks, from one with '[' in it to one
 * with ']'. sung: [n]. */
void ace_lyrics_find_sung(const ace_tokenizer *tokenizer, const int32_t *ids, int64_t n,
                          bool *sung);

/* A line ends with the token that holds its line feed; it starts where its first token does and
 * ends where its last one does. Blank lines are dropped. start, end: [n], seconds, ascending. */
ace_status ace_lyric_lines_create(const ace_tokenizer *tokenizer, const int32_t *ids, int64_t n,
                                  const double *start, const double *end, ace_lyric_lines *out,
                                  ace_error *err);
void ace_lyric_lines_free(ace_lyric_lines *lines); /* a zeroed one is fine */

/* LRC: "[mm:ss.xx]text" and a line feed for each line. The caller frees *out with ace_free. */
ace_status ace_lrc_write(const ace_lyric_lines *lines, char **out, ace_error *err);

/* WEBVTT for a song of that many seconds. What starts less than 2 s after the first line of a cue
 * joins it, each on its own line: section marks would flash by otherwise. */
ace_status ace_webvtt_write(const ace_lyric_lines *lines, double seconds, char **out,
                            ace_error *err);

#endif
