/* A tokenizer for made-up weights: every byte a token, then names that no text contains, so that
 * ids of special tokens and codes are those of the published models. Texts are longer in it. */
#ifndef ACE_RUN_SYNTHETIC_TOKENIZER_H
#define ACE_RUN_SYNTHETIC_TOKENIZER_H

#include "text/tokenizer.h"

ace_status ace_synthetic_tokenizer(int64_t vocabulary, ace_tokenizer **out, ace_error *err);

#endif
