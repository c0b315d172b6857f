/* What one sentence about a song gives away beyond its words: its language, and that nobody sings.
 * Original: acestep/api_server.py, _parse_description_hints. Its two-letter codes are left out
 * here: "it" and "no" are words of English. */
#ifndef ACE_LM_HINTS_H
#define ACE_LM_HINTS_H

#include <stdbool.h>

/* "en", "ja", …; NULL when the sentence names none. */
const char *ace_lm_hint_language(const char *sentence);
bool ace_lm_hint_instrumental(const char *sentence);

#endif
