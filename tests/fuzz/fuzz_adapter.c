/* Adapters: a config (its length in the first two bytes; 0: none) and a checkpoint. What is
 * accepted has pairs that fit together and scales that are numbers. Corpus:
 * tests/fuzz/corpus/adapter. */
#include "weights/adapter.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const ace_adapter *a)
{
    int n = 0;
    for (int i = 0; i < ACE_ADAPTER_LAYERS * ACE_TARGETS; i++) {
        const ace_adapter_module *m = &a->module[i / ACE_TARGETS][i % ACE_TARGETS];
        if (m->down == NULL) {
            continue;
        }
        n++;
        if (m->up == NULL || m->down->rank != 2 || m->up->rank != 2 ||
            m->down->dim[0] != m->up->dim[1] || !isfinite(m->scale)) {
            abort();
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
