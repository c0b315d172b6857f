/* Byte-level BPE tokenizers of the Qwen2/Qwen3 family: text to token ids and back.
 *
 * Text passes: added tokens are cut out, the rest is brought to NFC, cut into words by the
 * pre-tokenizer's pattern, and each word is merged by rank; then the post-processor's tokens go
 * around the sequence. Input that is not UTF-8 is read with U+FFFD for every malformed part, as
 * Python's errors="replace".
 *
 * A tokenizer is constant once opened: any number of threads may use it. Tokenizers of the
 * published size (151 643 tokens, 151 387 merges) take about 10 MB. */
#ifndef ACE_TEXT_TOKENIZER_H
#define ACE_TEXT_TOKENIZER_H

#include "base/status.h"
#include "text/span.h"

#include <stddef.h>
#include <stdint.h>

typedef struct ace_tokenizer ace_tokenizer;

typedef struct ace_tokens {
    int32_t *ids; /* [n], owned; ace_tokens_free releases it */
    int64_t n;
} ace_tokens;

void ace_tokens_free(ace_tokens *tokens);

/* Opens the tokenizer of a model folder (also "embedded:..."): tokenizer.json, or without it
 * vocab.json + merges.txt and added_tokens.json. ace_tokenizer_free releases *out.
 * IO error when files are missing, MODEL when they are damaged, UNSUPPORTED for another kind. */
ace_status ace_tokenizer_open(const char *folder, ace_tokenizer **out, ace_error *err);

/* The second way alone. Nothing is put around sequences. Without added_tokens.json the 26 added
 * tokens of Qwen3 follow the vocabulary. */
ace_status ace_tokenizer_open_vocabulary(const char *folder, ace_tokenizer **out, ace_error *err);

/* From the text of a tokenizer.json; name stands for it in messages. */
ace_status ace_tokenizer_parse(const char *json, size_t bytes, const char *name,
                               ace_tokenizer **out, ace_error *err);

/* What GGUF files store: the tokens of the base vocabulary in the byte alphabet, by id, and the
 * merges "left right", by rank. The 26 added tokens of Qwen3 are not stored: they take the next
 * ids, and <|audio_code_0|>, <|audio_code_1|>, ... the rest up to vocabulary. */
typedef struct ace_tokenizer_arrays {
    const ace_text_span *tokens;
    int64_t n_tokens;
    const ace_text_span *merges;
    int64_t n_merges;
    int64_t vocabulary; /* from the model's config; 0: no audio codes */
} ace_tokenizer_arrays;

ace_status ace_tokenizer_from_arrays(const ace_tokenizer_arrays *arrays, const char *name,
                                     ace_tokenizer **out, ace_error *err);

/* Makes every sequence end with this token, unless the files put something there already: the text
 * encoder of ACE-Step always gets one more <|endoftext|>, which only tokenizer.json says. To be
 * called before the tokenizer is shared. MODEL error when there is no such token. */
ace_status ace_tokenizer_require_suffix(ace_tokenizer *tokenizer, const char *token,
                                        ace_error *err);

void ace_tokenizer_free(ace_tokenizer *tokenizer);

/* The ids of a text. With max_tokens > 0 the text's own ids are cut on the right so that all,
 * post-processor's tokens included, are at most that many; work stops there too. ARGUMENT error
 * when not even those fit, or for more than 256 MiB of text. */
ace_status ace_tokenizer_encode(const ace_tokenizer *tokenizer, const char *text, size_t bytes,
                                int64_t max_tokens, ace_tokens *out, ace_error *err);

/* The text of ids, added tokens included, as valid UTF-8 and NUL-terminated; incomplete characters
 * become U+FFFD, unused ids nothing. The caller frees *text with ace_free; bytes may be NULL. */
ace_status ace_tokenizer_decode(const ace_tokenizer *tokenizer, const int32_t *ids, int64_t n,
                                char **text, size_t *bytes, ace_error *err);

/* The bytes of one token, possibly part of a character; borrowed. NULL for an unused id. */
const char *ace_tokenizer_token_bytes(const ace_tokenizer *tokenizer, int32_t id, size_t *bytes);

/* The id of the token with exactly these bytes, an added one first; -1 when there is none. */
int32_t ace_tokenizer_token_id(const ace_tokenizer *tokenizer, const char *token);

/* Largest id + 1. */
int64_t ace_tokenizer_vocabulary_size(const ace_tokenizer *tokenizer);

#endif
