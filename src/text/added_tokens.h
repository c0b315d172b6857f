/* Tokens that stand for a literal text, such as <|endoftext|>: they are found in the raw text
 * before anything else happens to it. */
#ifndef ACE_TEXT_ADDED_TOKENS_H
#define ACE_TEXT_ADDED_TOKENS_H

#include "base/status.h"
#include "text/vocabulary.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ACE_MAX_ADDED_TOKEN_BYTES = 256 };

typedef struct ace_added_token {
    const char *data; /* borrowed from the vocabulary, once indexed */
    uint32_t bytes;
    int32_t id;
} ace_added_token;

typedef struct ace_added_tokens {
    ace_added_token *tokens; /* [n], sorted by bytes once indexed; owned */
    size_t n, capacity;
    bool starts[256]; /* bytes that begin a token */
} ace_added_tokens;

/* Adds a token, also to the vocabulary. MODEL error for an empty or very long one. */
ace_status ace_added_tokens_add(ace_added_tokens *added, ace_vocabulary *vocabulary, int64_t id,
                                const char *data, size_t bytes, ace_error *err);

/* To be called once, after the last token was added to the vocabulary and before find. */
void ace_added_tokens_index(ace_added_tokens *added, const ace_vocabulary *vocabulary);

/* The first added token of the text, the longest of those that start there: its place in *start,
 * NULL when there is none. */
const ace_added_token *ace_added_tokens_find(const ace_added_tokens *added, const char *text,
                                             size_t bytes, size_t *start);

/* The id of the token that is exactly this text, or ACE_NO_TOKEN. */
int32_t ace_added_tokens_id(const ace_added_tokens *added, const char *text, size_t bytes);

void ace_added_tokens_free(ace_added_tokens *added);

#endif
