/* One entry of a YAML mapping, in the spelling that PyYAML's dump gives it (allow_unicode, width
 * 80, indent 2): the model was trained on that spelling. */
#ifndef ACE_LM_YAML_SCALAR_H
#define ACE_LM_YAML_SCALAR_H

#include "text/text_buffer.h"

/* Appends "key: value\n" with the value as a text: plain, quoted, or folded over several lines.
 * key: a plain word. value: UTF-8. */
void ace_yaml_append_entry(ace_text_buffer *out, const char *key, const char *value);

#endif
