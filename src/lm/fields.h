/* What is known of a song before it is made: the fields of the language model's plan, as text. They
 * come from the user, from the model's reply, or from both. */
#ifndef ACE_LM_FIELDS_H
#define ACE_LM_FIELDS_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

/* In the order in which the model writes them: alphabetical. */
typedef enum ace_lm_field {
    ACE_LM_BPM,
    ACE_LM_CAPTION,
    ACE_LM_DURATION, /* seconds */
    ACE_LM_GENRES,   /* only ever read: no prompt contains it */
    ACE_LM_KEYSCALE,
    ACE_LM_LANGUAGE,
    ACE_LM_TIMESIGNATURE,
    ACE_LM_FIELDS
} ace_lm_field;

typedef struct ace_lm_fields {
    char *text[ACE_LM_FIELDS]; /* owned; NULL: not known */
} ace_lm_fields;

/* "bpm", …, "timesignature" */
const char *ace_lm_field_name(ace_lm_field field);

/* Keeps a copy of the n bytes, up to a NUL among them; 0 bytes: not known any more. MEMORY error.
 */
ace_status ace_lm_fields_set(ace_lm_fields *fields, ace_lm_field field, const char *text, size_t n,
                             ace_error *err);
void ace_lm_fields_free(ace_lm_fields *fields); /* a zeroed one is fine */

/* The field as a whole number above 0, digits only (fractions are cut); 0 for anything else. */
long ace_lm_fields_number(const ace_lm_fields *fields, ace_lm_field field);

/* The block "<think>\n…\n</think>" that stands between a prompt and its codes: known fields except
 * genres in alphabetical order, texts as PyYAML writes scalars (allow_unicode, width 80, indent 2),
 * texts of digits alone as integers, a time signature cut before "/4". Without any: "<think>\n\n
 * </think>" (one blank line). Original: acestep/llm_inference.py, _format_metadata_as_cot.
 * What reads like an added token is taken apart, as in prompts.h. *out is freed with ace_free. */
ace_status ace_lm_fields_block(const ace_lm_fields *fields, char **out, ace_error *err);

#endif
