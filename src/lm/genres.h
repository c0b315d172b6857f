/* A list of genres that the model may choose from: the original's genres_vocab.txt, one to a line,
 * lines beginning with # left out. It is not part of the published checkpoints; where nobody
 * supplies it, genres are not asked for. */
#ifndef ACE_LM_GENRES_H
#define ACE_LM_GENRES_H

#include "base/status.h"
#include "lm/vocabulary.h"

typedef struct ace_lm_genres {
    char *text;   /* owned: entries in lower case, each NUL-terminated */
    char **entry; /* [n] sorted; owned */
    int64_t n;
} ace_lm_genres;

/* IO for a file that cannot be read, MODEL for one without an entry. */
ace_status ace_lm_genres_open(const char *path, ace_lm_genres *out, ace_error *err);
ace_status ace_lm_genres_parse(const char *text, size_t bytes, const char *name, ace_lm_genres *out,
                               ace_error *err);
void ace_lm_genres_close(ace_lm_genres *g); /* a zeroed one is fine */

/* Could n bytes in lower case begin an entry, and are they one? */
bool ace_lm_genres_begins(const ace_lm_genres *g, const char *text, size_t n, bool *whole);

#endif
