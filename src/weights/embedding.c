#include "weights/embedding.h"

#include "base/block_formats.h"
#include "weights/synthetic.h"

#include <math.h>

static ace_status check_table(const ace_weights *w, const ace_weight *t, const char *name,
                              int64_t vocabulary, int64_t cols, ace_error *err)
{
    const char *path = ace_weights_path(w);
    if (t == NULL) {
        return ace_fail(err, ACESTEP_MODEL, "%s: tensor %s is missing", path, name);
    }
    if (t->rank != 2 || t->dim[0] < vocabulary || t->dim[1] != cols) {
        return ace_fail(err, ACESTEP_MODEL, "%s: %s is not of shape [%lld, %lld]", path, name,
                        (long long)vocabulary, (long long)cols);
    }
    bool readable = t->dtype == ACE_F32 || t->dtype == ACE_BF16 || t->dtype == ACE_F16 ||
                    ace_block_elements(t->dtype) > 1;
    if (!readable || cols % ace_block_elements(t->dtype) != 0) {
        return ace_fail(err, ACESTEP_MODEL, "%s: %s has type %s, which is no embedding table", path,
                        name, ace_dtype_name(t->dtype));
    }
    return ACESTEP_OK;
}

static bool is_finite_row(const float *row, int64_t cols)
{
    bool finite = true;
    for (int64_t i = 0; i < cols; i++) {
        finite = finite && isfinite(row[i]);
    }
    return finite;
}

static void read_row(const ace_weight *t, int64_t id, float *out)
{
    int64_t cols = t->dim[1];
    int64_t block = ace_block_elements(t->dtype);
    size_t row_bytes = block > 1 ? (size_t)(cols / block) * ace_block_bytes(t->dtype)
                                 : (size_t)cols * ace_dtype_bytes(t->dtype);
    ace_decode_row(t->dtype, (const unsigned char *)t->data + (size_t)id * row_bytes, cols, out);
}

ace_status ace_embedding_gather(const ace_weights *w, const char *name, int64_t vocabulary,
                                int64_t cols, const int32_t *ids, int64_t n, float *out,
                                ace_error *err)
{
    bool synthetic = ace_weights_is_synthetic(w);
    const ace_weight *table = synthetic ? NULL : ace_weights_find(w, name);
    if (!synthetic) {
        ace_status status = check_table(w, table, name, vocabulary, cols, err);
        if (status != ACESTEP_OK) {
            return status;
        }
    }
    uint64_t seed = ace_synthetic_seed(name);
    for (int64_t i = 0; i < n; i++, out += cols) {
        if (ids[i] < 0 || ids[i] >= vocabulary) {
            return ace_fail(err, ACESTEP_ARGUMENT,
                            "%s: token %ld is outside the vocabulary of %lld (vocab_size)",
                            ace_weights_path(w), (long)ids[i], (long long)vocabulary);
        }
        if (synthetic) {
            /* Far apart in the generator's sequence: a row is at most 2^32 numbers long. */
            ace_synthetic_fill(seed + ((uint64_t)ids[i] << 32), 0.05f, out, cols);
            continue;
        }
        read_row(table, ids[i], out);
        if (!is_finite_row(out, cols)) {
            return ace_fail(err, ACESTEP_MODEL,
                            "%s: row %ld of %s holds NaN or infinity; the file is damaged",
                            ace_weights_path(w), (long)ids[i], name);
        }
    }
    return ACESTEP_OK;
}
