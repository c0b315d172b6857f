/* Quoted scalars of YAML, read back. */
#ifndef ACE_LM_YAML_READ_H
#define ACE_LM_YAML_READ_H

#include "text/span.h"
#include "text/text_buffer.h"

/* Bytes of the line break that begins the text, 0 for anything else: LF, U+0085, U+2028, U+2029. */
size_t ace_yaml_break_bytes(ace_text_span text);

/* Appends what a single- or double-quoted scalar says; lines that were folded become one. False,
 * with nothing appended, when the text is no such scalar from its first to its last byte: then its
 * quotes are its own. A failed allocation shows in *out only. */
bool ace_yaml_unquote(ace_text_buffer *out, ace_text_span text);

#endif
