/* The inside of a tokenizer, for the files that read one. */
#ifndef ACE_TEXT_TOKENIZER_PARTS_H
#define ACE_TEXT_TOKENIZER_PARTS_H

#include "text/added_tokens.h"
#include "text/bpe.h"
#include "text/pre_tokenizer.h"
#include "text/tokenizer.h"
#include "text/vocabulary.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ACE_MAX_TEMPLATE_TOKENS = 8, ACE_QWEN3_ADDED_TOKENS = 26 };

/* Ids that the post-processor puts around every sequence. */
typedef struct ace_token_template {
    int32_t before[ACE_MAX_TEMPLATE_TOKENS], after[ACE_MAX_TEMPLATE_TOKENS];
    int n_before, n_after;
} ace_token_template;

struct ace_tokenizer {
    ace_vocabulary vocabulary;
    ace_added_tokens added;
    ace_bpe bpe;
    ace_pre_tokenizer *pre_tokenizer;
    bool normalize; /* to NFC */
    ace_token_template around;
};

/* The steps of reading, in this order; ace_tokenizer_free cleans up after any of them. */

ace_tokenizer *ace_tokenizer_create(ace_error *err);

/* A token of the base vocabulary, spelled in the byte alphabet. */
ace_status ace_tokenizer_add_token(ace_tokenizer *t, int64_t id, const char *spelling, size_t bytes,
                                   ace_error *err);

/* Added tokens that files leave out, from first_id on: the 26 of Qwen3, then audio codes up to the
 * vocabulary size. */
ace_status ace_tokenizer_add_published(ace_tokenizer *t, int64_t first_id, int64_t vocabulary,
                                       ace_error *err);

/* After the last token, before the first merge. MODEL error when a byte has no token. */
ace_status ace_tokenizer_index_tokens(ace_tokenizer *t, ace_error *err);

ace_status ace_tokenizer_add_merge(ace_tokenizer *t, const char *left, size_t left_bytes,
                                   const char *right, size_t right_bytes, ace_error *err);

/* A merge written "left right". */
ace_status ace_tokenizer_add_merge_line(ace_tokenizer *t, const char *line, size_t bytes,
                                        ace_error *err);

#endif
