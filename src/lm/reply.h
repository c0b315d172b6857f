/* Reads what the language model wrote. Tolerant: whatever cannot be read is left out. Original:
 * acestep/llm_inference.py, parse_lm_output and _extract_lyrics_from_output. */
#ifndef ACE_LM_REPLY_H
#define ACE_LM_REPLY_H

#include "lm/fields.h"

typedef struct ace_lm_reply {
    ace_lm_fields fields;
    char *lyrics; /* owned; NULL: none. What follows </think>, without its heading */
} ace_lm_reply;

/* text: n bytes of UTF-8, special tokens in their spelling; it ends at the first end of a turn.
 * Blank values and N/A are unknown, the last of equal fields counts, and values of several lines
 * are joined by spaces. Quotes that YAML put around a value are removed, unlike in the original,
 * which would quote it again in the next prompt; so a block read back says what was put in. MEMORY
 * error only. */
ace_status ace_lm_reply_read(const char *text, size_t n, ace_lm_reply *out, ace_error *err);
void ace_lm_reply_free(ace_lm_reply *reply); /* a zeroed one is fine */

#endif
