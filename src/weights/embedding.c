#include "weights/embedding.h"

#include "base/block_formats.h"

static void make_up_row(int32_t id, int64_t cols, float *out)
{
    uint32_t state = (uint32_t)id * 2654435761u + 12345u; /* Knuth's multiplicative hash, then an LCG */
    for (int64_t i = 0; i < cols; i++) {
        state = state * 1664525u + 1013904223u;
        out[i] = (float)(state >> 8) / 8388608.0f - 1.0f;
    }
}

ace_status ace_embedding_gather(const ace_weights *w, const char *name, int64_t vocabulary,
                                int64_t cols, const int32_t *ids, int64_t n, float *out,
                                ace_error *err)
{
    const ace_weight *t = ace_weights_find(w, name);
    bool synthetic = ace_weights_is_synthetic(w);
    if (!synthetic && (t == NULL || t->rank != 2 || t->dim[1] != cols || t->dim[0] < vocabulary ||
                       cols % ace_block_elements(t->dtype) != 0)) {
        return ace_fail(err, ACESTEP_MODEL, "%s: %s is missing or not [%lld, %lld]",
                        ace_weights_path(w), name, (long long)vocabulary, (long long)cols);
    }
    for (int64_t i = 0; i < n; i++) {
        if (ids[i] < 0 || ids[i] >= vocabulary) {
            return ace_fail(err, ACESTEP_ARGUMENT, "token %d is outside the vocabulary of %lld",
                            ids[i], (long long)vocabulary);
        }
        if (synthetic) {
            make_up_row(ids[i], cols, out + i * cols);
            continue;
        }
        size_t row_bytes = (size_t)(cols / ace_block_elements(t->dtype)) * ace_block_bytes(t->dtype);
        const unsigned char *row = (const unsigned char *)t->data + (size_t)ids[i] * row_bytes;
        ace_decode_row(t->dtype, row, cols, out + i * cols);
    }
    return ACESTEP_OK;
}
