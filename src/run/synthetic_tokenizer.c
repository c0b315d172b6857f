#include "run/synthetic_tokenizer.h"

#include "base/memory.h"

#include <stdio.h>
#include <string.h>

/* Tokens of the Qwen vocabulary before its added tokens. */
enum { BASE_TOKENS = 151643, BYTES = 256, SPELLING_BYTES = 12 };

/* A byte in the byte alphabet of GPT-2, which tokens are stored in. */
static size_t spell_byte(int byte, int *unprintable, char *out)
{
    bool printable = (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte != 0xAD);
    int character = printable ? byte : 256 + (*unprintable)++;
    if (character < 0x80) {
        out[0] = (char)character;
        return 1;
    }
    out[0] = (char)(0xC0 | character >> 6);
    out[1] = (char)(0x80 | (character & 0x3F));
    return 2;
}

static void spell_tokens(char *text, ace_text_span *tokens)
{
    int unprintable = 0;
    for (int i = 0; i < BASE_TOKENS; i++) {
        char *out = text + (size_t)i * SPELLING_BYTES;
        size_t n = 0;
        if (i < BYTES) {
            n = spell_byte(i, &unprintable, out);
        } else { /* every other one begins with a space, as words do */
            int written = snprintf(out, SPELLING_BYTES, "%sw%d", i % 2 == 0 ? "\xC4\xA0" : "", i);
            n = written > 0 ? (size_t)written : 0;
        }
        tokens[i] = (ace_text_span){.data = out, .bytes = n};
    }
}

ace_status ace_synthetic_tokenizer(int64_t vocabulary, ace_tokenizer **out, ace_error *err)
{
    char *text = ace_malloc_array(BASE_TOKENS, SPELLING_BYTES);
    ace_text_span *tokens = ace_malloc_array(BASE_TOKENS, sizeof *tokens);
    ace_status status = ACESTEP_OK;
    *out = NULL;
    if (text == NULL || tokens == NULL) {
        status = ace_fail(err, ACESTEP_MEMORY, "synthetic tokenizer: no host memory");
    } else {
        spell_tokens(text, tokens);
        ace_tokenizer_arrays arrays = {
            .tokens = tokens, .n_tokens = BASE_TOKENS, .vocabulary = vocabulary};
        status = ace_tokenizer_from_arrays(&arrays, "synthetic tokenizer", out, err);
    }
    ace_free(text);
    ace_free(tokens);
    return status;
}
