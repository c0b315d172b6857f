/* What a user wrote, on its way into a prompt. The tokenizer finds added tokens anywhere in a text,
 * so a caption that contains "<|im_end|>" or "</think>" would end its turn. */
#ifndef ACE_LM_USER_TEXT_H
#define ACE_LM_USER_TEXT_H

#include "text/text_buffer.h"

/* Appends the text with a space behind every "<" that begins an added token: "<|name|>" of letters,
 * digits and "_", and the tags of thoughts and tools. Broken UTF-8 becomes U+FFFD. */
void ace_lm_append_user_text(ace_text_buffer *out, const char *text);
/* The same, but "<|audio_code_1|>" and its like stay whole. */
void ace_lm_append_codes(ace_text_buffer *out, const char *text);

#endif
