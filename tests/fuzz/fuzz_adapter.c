/* Adapters: a config (its length in the first two bytes; 0: none) and a checkpoint. What is
 * accepted has factors that fit together and make the layer's shape, and scales that are numbers;
 * of small layers all numbers are read. Corpus: tests/fuzz/corpus/adapter. */
#include "weights/adapter_numbers.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MOST_NUMBERS = 1 << 16 };

static void check_factor(const ace_adapter_factor *f)
{
    if (f->whole != NULL ? f->a != NULL || f->b != NULL || f->whole->rank != 2
                         : f->a == NULL || f->b == NULL || f->a->rank != 2 || f->b->rank != 2 ||
                               f->a->dim[1] != f->b->dim[0]) {
        abort();
    }
}

/* Reads every row, in runs of three. */
static void read_numbers(const ace_adapter_module *m)
{
    enum { RUN = 3 };
    int64_t scratch = ace_adapter_delta_scratch(m, RUN);
    if (m->rows * m->cols > MOST_NUMBERS || scratch > MOST_NUMBERS) {
        return;
    }
    float *to = malloc((size_t)(RUN * m->cols + scratch) * sizeof *to);
    for (int64_t first = 0; to != NULL && first < m->rows; first += RUN) {
        int64_t n = m->rows - first < RUN ? m->rows - first : RUN;
        ace_adapter_delta_read(m, first, n, to, to + RUN * m->cols);
    }
    free(to);
}

static void check_module(const ace_adapter_module *m)
{
    int64_t rows = 0;
    check_factor(&m->factor[0]);
    rows = ace_adapter_factor_rows(&m->factor[0]);
    if (m->kind != ACE_ADAPTER_LORA) {
        check_factor(&m->factor[1]);
        rows *= m->kind == ACE_ADAPTER_LOKR ? ace_adapter_factor_rows(&m->factor[1]) : 1;
    }
    if (m->rows != rows || m->rows <= 0 || m->cols <= 0 || !isfinite(m->scale) ||
        (m->magnitude != NULL && m->magnitude->dim[0] != m->rows)) {
        abort();
    }
    read_numbers(m);
}

static void check(const ace_adapter *a)
{
    int n = 0;
    for (int i = 0; i < ACE_ADAPTER_LAYERS * ACE_TARGETS; i++) {
        const ace_adapter_module *m = &a->module[i / ACE_TARGETS][i % ACE_TARGETS];
        if (m->kind != ACE_ADAPTER_NONE) {
            n++;
            check_module(m);
        }
    }
    if (n == 0 || n != a->n_modules) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    size_t n = (size_t)data[0] | (size_t)data[1] << 8;
    data += 2;
    size -= 2;
    if (n > size) {
        return 0;
    }
    const char *config = n > 0 ? (const char *)data : NULL;
    ace_weights *weights = NULL;
    ace_adapter *adapter = NULL;
    ace_error err = {.code = ACESTEP_OK};
    if (ace_weights_open_memory(data + n, size - n, "input", &weights, &err) != ACESTEP_OK) {
        return 0;
    }
    if (ace_adapter_read(weights, "input", config, n, &adapter, &err) == ACESTEP_OK) {
        check(adapter);
        ace_adapter_close(adapter);
    } else if (adapter != NULL || err.message[0] == '\0' || strchr(err.message, '\n') != NULL) {
        abort();
    }
    return 0;
}
