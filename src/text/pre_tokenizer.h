/* Cuts text into the words that byte-pair encoding works on, with a regular expression. */
#ifndef ACE_TEXT_PRE_TOKENIZER_H
#define ACE_TEXT_PRE_TOKENIZER_H

#include "base/status.h"

#include <stddef.h>

/* The pattern of Qwen2 and Qwen3, for vocabularies that come without one. */
extern const char ace_qwen2_pattern[];

typedef struct ace_pre_tokenizer ace_pre_tokenizer;

/* Compiles the pattern [bytes]. MODEL error for a bad one. The result may be used by many threads.
 * ace_pre_tokenizer_free releases it. */
ace_status ace_pre_tokenizer_create(const char *pattern, size_t bytes, ace_pre_tokenizer **out,
                                    ace_error *err);
void ace_pre_tokenizer_free(ace_pre_tokenizer *pre_tokenizer);

/* Called for each word in order. Returns OK to go on. */
typedef ace_status ace_word_visit(void *context, const char *word, size_t bytes, ace_error *err);

/* Visits the words of valid UTF-8: every match, and every piece between matches; together they are
 * the whole text. Stops at the first status that is not OK and returns it. */
ace_status ace_pre_tokenizer_split(const ace_pre_tokenizer *pre_tokenizer, const char *text,
                                   size_t bytes, ace_word_visit *visit, void *context,
                                   ace_error *err);

#endif
