/* Checkpoints: every tensor that a reader accepts lies in the file and has the size its shape says.
 * Corpus: tests/fuzz/corpus/safetensors. */
#include "base/block_formats.h"
#include "weights/weights.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_tensor(const ace_weight *t, const uint8_t *data, size_t size)
{
    size_t elements = 1;
    const uint8_t *first = t->data;
    for (int i = 0; i < t->rank; i++) {
        elements *= (size_t)t->dim[i];
    }
    size_t per_block = (size_t)ace_block_elements(t->dtype);
    if (t->bytes > size || first < data || (size_t)(first - data) > size - t->bytes ||
        elements / per_block * ace_block_bytes(t->dtype) != t->bytes) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ace_weights *w = NULL;
    ace_error err = {.code = ACESTEP_OK};
    if (ace_weights_open_memory(data, size, "input", &w, &err) != ACESTEP_OK) {
        if (w != NULL || err.message[0] == '\0' || strchr(err.message, '\n') != NULL) {
            abort();
        }
        return 0;
    }
    for (size_t i = 0; i < ace_weights_count(w); i++) {
        const ace_weight *t = ace_weights_at(w, i);
        check_tensor(t, data, size);
        if (ace_weights_find(w, t->name) != t) {
            abort();
        }
    }
    ace_weights_close(w);
    return 0;
}
