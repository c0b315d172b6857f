/* The tokenizer that a GGUF file carries in its metadata, instead of files beside it. */
#ifndef ACE_RUN_GGUF_TOKENIZER_H
#define ACE_RUN_GGUF_TOKENIZER_H

#include "text/tokenizer.h"
#include "weights/weights.h"

/* vocabulary: of a model with audio codes, from its config; 0 for one without. *out does not need w
 * any longer. MODEL when it is of another kind than the byte-level BPE of the Qwen family, or
 * damaged. */
ace_status ace_gguf_tokenizer_open(const ace_weights *w, int64_t vocabulary, ace_tokenizer **out,
                                   ace_error *err);

#endif
