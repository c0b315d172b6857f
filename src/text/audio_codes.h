/* Audio codes as text: the language model's output, and what requests bring. */
#ifndef ACE_TEXT_AUDIO_CODES_H
#define ACE_TEXT_AUDIO_CODES_H

#include "base/status.h"

#include <stdint.h>

/* Reads codes in one of three spellings: a run of <|audio_code_N|> with anything between, which is
 * skipped; integers separated by commas; a JSON array of integers. Codes at or above the codebook's
 * size become its last one, with a warning in the log. Blank text is no codes.
 * The caller frees *codes [n] with ace_free. ARGUMENT error for text that is none of the three. */
ace_status ace_codes_parse(const char *text, int64_t codebook, int32_t **codes, int64_t *n,
                           ace_error *err);

/* The token spelling, to be freed with ace_free; NULL when memory is short. */
char *ace_codes_format(const int32_t *codes, int64_t n);

#endif
