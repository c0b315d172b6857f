/* Arbitrary text through the demo model's tokenizer: ids lie in the vocabulary, limits hold, and
 * decoding gives the repaired text in its normal form. The first byte chooses the limit. Corpus:
 * tests/fuzz/corpus/tokenizer_text. */
#include "base/memory.h"
#include "text/normalize.h"
#include "text/tokenizer.h"
#include "text/utf8.h"
#include "weights/demo_model.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static ace_tokenizer *demo_tokenizer(void)
{
    static ace_tokenizer *tokenizer;
    ace_error err = {0};
    if (tokenizer == NULL) {
        ace_embedded_files_set(ace_demo_model_files());
        if (ace_tokenizer_open(ACE_EMBEDDED_PREFIX "demo/Qwen3-Embedding-0.6B", &tokenizer, &err) !=
            ACESTEP_OK) {
            abort();
        }
    }
    return tokenizer;
}

/* Added tokens split the text before it is normalised, so a mark right after one stays apart from
 * it: the decoded text need not be in normal form, but has the same one as the input. */
static void check_round_trip(const ace_tokenizer *t, const ace_tokens *tokens, const char *text,
                             size_t bytes)
{
    ace_error err = {0};
    char *decoded = NULL;
    size_t n = 0;
    ace_text_buffer repaired = {0};
    ace_text_buffer wanted = {0};
    ace_text_buffer got = {0};
    ace_utf8_append_repaired(&repaired, text, bytes);
    const char *repaired_text = repaired.data != NULL ? repaired.data : "";
    /* The last of the ids is the suffix of the text encoder. */
    if (ace_nfc_append(&wanted, repaired_text, repaired.bytes, &err) != ACESTEP_OK ||
        ace_tokenizer_decode(t, tokens->ids, tokens->n - 1, &decoded, &n, &err) != ACESTEP_OK ||
        ace_nfc_append(&got, decoded, n, &err) != ACESTEP_OK) {
        abort();
    }
    if (got.bytes != wanted.bytes ||
        (got.bytes > 0 && memcmp(got.data, wanted.data, got.bytes) != 0)) {
        abort();
    }
    ace_free(decoded);
    ace_text_free(&repaired);
    ace_text_free(&wanted);
    ace_text_free(&got);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const ace_tokenizer *t = demo_tokenizer();
    const char *text = size > 0 ? (const char *)data + 1 : "";
    size_t bytes = size > 0 ? size - 1 : 0;
    int64_t limit = size > 0 ? data[0] : 0;
    ace_error err = {0};
    ace_tokens tokens;
    if (ace_tokenizer_encode(t, text, bytes, limit, &tokens, &err) != ACESTEP_OK) {
        abort();
    }
    if (tokens.n < 1 || (limit > 0 && tokens.n > limit)) {
        abort();
    }
    for (int64_t i = 0; i < tokens.n; i++) {
        if (tokens.ids[i] < 0 || tokens.ids[i] >= ace_tokenizer_vocabulary_size(t)) {
            abort();
        }
    }
    if (limit == 0) {
        check_round_trip(t, &tokens, text, bytes);
    }
    ace_tokens_free(&tokens);
    return 0;
}
