/* Unicode normalisation form C. */
#ifndef ACE_TEXT_NORMALIZE_H
#define ACE_TEXT_NORMALIZE_H

#include "base/status.h"
#include "text/text_buffer.h"

/* True when the text, valid UTF-8, needs no work because all of it lies below U+0300, where every
 * character is its own composed form. */
bool ace_nfc_is_trivial(const char *text, size_t bytes);

/* Appends the normal form of valid UTF-8 to out. Time is linear in the bytes, also for long runs of
 * combining marks. MEMORY error only. */
ace_status ace_nfc_append(ace_text_buffer *out, const char *text, size_t bytes, ace_error *err);

#endif
