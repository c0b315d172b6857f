/* Hostile tokenizer.json files: opened or refused with a message, and then used. Corpus:
 * tests/fuzz/corpus/tokenizer_json. */
#include "base/memory.h"
#include "text/tokenizer.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char text[] = "on <|end|> It's 12 \xC3\xA9t\xC3\xA9  \n\naaaaaaaaaa";
    ace_error err = {0};
    ace_tokenizer *t = NULL;
    ace_status status = ace_tokenizer_parse((const char *)data, size, "input", &t, &err);
    if (status != ACESTEP_OK) {
        if (t != NULL || err.message[0] == '\0') {
            abort();
        }
        return 0;
    }
    ace_tokens tokens;
    char *decoded = NULL;
    if (ace_tokenizer_encode(t, text, sizeof text - 1, 0, &tokens, &err) == ACESTEP_OK &&
        ace_tokenizer_decode(t, tokens.ids, tokens.n, &decoded, NULL, &err) != ACESTEP_OK) {
        abort();
    }
    ace_free(decoded);
    ace_tokens_free(&tokens);
    ace_tokenizer_free(t);
    return 0;
}
