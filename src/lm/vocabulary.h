/* Tokens as the language model's rules see them: which are text, which are audio codes, which end a
 * reply. */
#ifndef ACE_LM_VOCABULARY_H
#define ACE_LM_VOCABULARY_H

#include "text/tokenizer.h"

#include <stdbool.h>

enum {
    ACE_LM_TOKEN_TEXT = 1,        /* of the base vocabulary: no code, no special token */
    ACE_LM_TOKEN_LINE_FEED = 2,   /* contains one: ".\n" is a single token */
    ACE_LM_TOKEN_BLANK_START = 4, /* begins with a space or tab: continues a folded line */
    ACE_LM_TOKEN_BACKTICK = 8     /* contains one */
};

typedef struct ace_lm_vocabulary {
    const ace_tokenizer *tokenizer; /* borrowed */
    int64_t size;                   /* of the model: rows of its head */
    int32_t first_code;             /* id of <|audio_code_0|>; the others follow it */
    int64_t codes; /* that can be written: those of the FSQ codebook, of which the vocabulary has
                      some more, or fewer */
    int32_t end;   /* <|im_end|> */
    int32_t pad;   /* <|endoftext|>: ends a reply too */
    int32_t line_feed;
    uint8_t *kind; /* [size] ACE_LM_TOKEN_… ; owned */
} ace_lm_vocabulary;

/* codebook: number of FSQ codes of the diffusion model. MODEL when the tokenizer lacks what the
 * rules need, or its codes are not in a row. */
ace_status ace_lm_vocabulary_open(const ace_tokenizer *tokenizer, int64_t size, int64_t codebook,
                                  ace_lm_vocabulary *out, ace_error *err);
void ace_lm_vocabulary_close(ace_lm_vocabulary *v); /* a zeroed one is fine */

/* The code that a token stands for, -1 for other tokens. */
int64_t ace_lm_code_of(const ace_lm_vocabulary *v, int32_t id);

/* Columns of the head that can follow while codes are written: from the end token or the first
 * code, whichever is lower, to the last of both. */
void ace_lm_code_range(const ace_lm_vocabulary *v, int64_t *first, int64_t *count);

#endif
