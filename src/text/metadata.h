/* Musical metadata of a request: what is allowed, and its one normal spelling. Ranges and lists are
 * those of the original (acestep/constants.py). Errors are ARGUMENT errors that name the field. */
#ifndef ACE_TEXT_METADATA_H
#define ACE_TEXT_METADATA_H

#include "base/status.h"

#include <stdint.h>

enum {
    ACE_BPM_MIN = 30,
    ACE_BPM_MAX = 300,
    ACE_N_LANGUAGES = 51,
    ACE_KEYSCALE_BYTES = 16 /* the longest is "C♯ minor" */
};

/* Codes of ISO 639-1 or 639-3 in alphabetical order, "unknown" last. */
extern const char *const ace_languages[ACE_N_LANGUAGES];

/* 0 means not given. */
ace_status ace_bpm_check(int64_t bpm, ace_error *err);

/* Note A to G, accidental # b ♯ ♭ or none, major or minor: 70 keys. "Am", "C#m", "Bb" and "f# min"
 * are understood too. Writes "A minor"; "" for a blank text or N/A. */
ace_status ace_keyscale_parse(const char *text, char out[ACE_KEYSCALE_BYTES], ace_error *err);

/* 2, 3, 4 or 6, also written 2/4, 3/4, 4/4, 6/8. 0 for a blank text or N/A. */
ace_status ace_timesignature_parse(const char *text, int *out, ace_error *err);

/* One of ace_languages, in any case; a blank text is "unknown". */
ace_status ace_language_parse(const char *text, const char **out, ace_error *err);

#endif
