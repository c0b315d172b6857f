#include "run/gguf_tokenizer.h"

#include "base/memory.h"

#include <string.h>

/* The strings of an array as spans; the caller frees *out with ace_free. */
static ace_status read_spans(const ace_weights *w, const char *key, ace_text_span **out, int64_t *n,
                             ace_error *err)
{
    ace_weights_text *texts = NULL;
    size_t count = 0;
    ace_status status = ace_weights_texts(w, key, &texts, &count, err);
    if (status != ACESTEP_OK) {
        return status;
    }
    ace_text_span *spans = ace_malloc_array(count, sizeof *spans);
    if (spans == NULL) {
        status = ace_fail(err, ACESTEP_MEMORY, "%s: no host memory", ace_weights_path(w));
    }
    for (size_t i = 0; spans != NULL && i < count; i++) {
        spans[i] = (ace_text_span){texts[i].data, texts[i].bytes};
    }
    ace_free(texts);
    *out = spans;
    *n = (int64_t)count;
    return status;
}

ace_status ace_gguf_tokenizer_open(const ace_weights *w, int64_t vocabulary, ace_tokenizer **out,
                                   ace_error *err)
{
    const char *path = ace_weights_path(w);
    const char *kind = ace_weights_metadata(w, "tokenizer.ggml.model");
    ace_text_span *tokens = NULL;
    ace_text_span *merges = NULL;
    ace_tokenizer_arrays arrays = {.vocabulary = vocabulary};
    *out = NULL;
    if (kind == NULL || strcmp(kind, "gpt2") != 0) { /* GGUF's name for byte-level BPE */
        return ace_fail(err, ACESTEP_MODEL, "%s: its tokenizer is of kind %.40s, not gpt2", path,
                        kind != NULL ? kind : "none");
    }
    ace_status status = read_spans(w, "tokenizer.ggml.tokens", &tokens, &arrays.n_tokens, err);
    if (status == ACESTEP_OK) {
        status = read_spans(w, "tokenizer.ggml.merges", &merges, &arrays.n_merges, err);
    }
    if (status == ACESTEP_OK) {
        arrays.tokens = tokens;
        arrays.merges = merges;
        status = ace_tokenizer_from_arrays(&arrays, path, out, err);
    }
    ace_free(tokens);
    ace_free(merges);
    return status;
}
