#include "run/array.h"

#include "base/checked.h"
#include "base/memory.h"

#include <string.h>

ace_status ace_array_create(int64_t rows, int64_t cols, ace_array *out, ace_error *err)
{
    size_t elements = 0;
    memset(out, 0, sizeof *out);
    if (rows <= 0 || cols <= 0 || ace_mul_overflows((size_t)rows, (size_t)cols, &elements)) {
        return ace_fail(err, ACESTEP_FAILED, "array [%lld, %lld] is impossible", (long long)rows,
                        (long long)cols);
    }
    out->values = ace_calloc(elements, sizeof *out->values);
    if (out->values == NULL) {
        return ace_fail(err, ACESTEP_MEMORY, "no host memory for %zu numbers", elements);
    }
    out->rows = rows;
    out->cols = cols;
    return ACESTEP_OK;
}

void ace_array_free(ace_array *a)
{
    ace_free(a->values);
    memset(a, 0, sizeof *a);
}
