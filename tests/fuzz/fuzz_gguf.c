/* GGUF files: tensors lie in the file, decoding reads nothing beyond, strings of arrays neither.
 * Corpus: tests/fuzz/corpus/gguf. */
#include "base/block_formats.h"
#include "base/memory.h"
#include "weights/weights.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MOST_NUMBERS = 4096 };

/* AddressSanitizer watches the reads. */
static void decode(const ace_weight *t)
{
    float out[MOST_NUMBERS];
    size_t blocks = t->bytes / ace_block_bytes(t->dtype);
    int64_t n = (int64_t)blocks * ace_block_elements(t->dtype);
    int64_t whole = MOST_NUMBERS / ace_block_elements(t->dtype) * ace_block_elements(t->dtype);
    ace_decode_row(t->dtype, t->data, n < whole ? n : whole, out);
}

static void read_texts(const ace_weights *w, const char *key)
{
    ace_weights_text *texts = NULL;
    size_t n = 0;
    unsigned sum = 0;
    if (ace_weights_texts(w, key, &texts, &n, NULL) != ACESTEP_OK) {
        return;
    }
    for (size_t i = 0; i < n; i++) {
        for (size_t b = 0; b < texts[i].bytes; b++) {
            sum += (unsigned char)texts[i].data[b];
        }
    }
    if (sum > 0 && n == 0) {
        abort();
    }
    ace_free(texts);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ace_weights *w = NULL;
    ace_error err = {.code = ACESTEP_OK};
    double number = 0;
    if (ace_weights_open_memory(data, size, "input.gguf", &w, &err) != ACESTEP_OK) {
        if (w != NULL || err.message[0] == '\0' || strchr(err.message, '\n') != NULL) {
            abort();
        }
        return 0;
    }
    for (size_t i = 0; i < ace_weights_count(w); i++) {
        decode(ace_weights_at(w, i));
    }
    read_texts(w, "tokenizer.ggml.tokens");
    (void)ace_weights_metadata_number(w, "f32", &number);
    ace_weights_close(w);
    return 0;
}
