#include "base/memory.h"

#include "base/checked.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static _Atomic uint64_t live_blocks;
static _Atomic uint64_t total_allocations;
static _Atomic uint64_t fail_in; /* allocations until the injected failure; 0: off */

static bool injected_failure(void)
{
    atomic_fetch_add(&total_allocations, 1);
    uint64_t left = atomic_load(&fail_in);
    while (left != 0) {
        if (atomic_compare_exchange_weak(&fail_in, &left, left - 1)) {
            return left == 1;
        }
    }
    return false;
}

static void *counted(void *block)
{
    if (block != NULL) {
        atomic_fetch_add(&live_blocks, 1);
    }
    return block;
}

void *ace_calloc(size_t count, size_t size)
{
    if (injected_failure()) {
        return NULL;
    }
    return counted(calloc(count != 0 ? count : 1, size != 0 ? size : 1));
}

void *ace_malloc_array(size_t count, size_t size)
{
    size_t bytes = 0;
    if (ace_mul_overflows(count, size, &bytes) || injected_failure()) {
        return NULL;
    }
    return counted(malloc(bytes != 0 ? bytes : 1));
}

void *ace_realloc_array(void *block, size_t count, size_t size)
{
    size_t bytes = 0;
    if (ace_mul_overflows(count, size, &bytes) || injected_failure()) {
        return NULL;
    }
    void *grown = realloc(block, bytes != 0 ? bytes : 1);
    return block == NULL ? counted(grown) : grown;
}

char *ace_strdup(const char *text)
{
    size_t bytes = strlen(text) + 1;
    char *copy = ace_malloc_array(bytes, 1);
    if (copy != NULL) {
        memcpy(copy, text, bytes);
    }
    return copy;
}

void ace_free(void *block)
{
    if (block != NULL) {
        atomic_fetch_sub(&live_blocks, 1);
        free(block);
    }
}

void ace_memory_fail_at(uint64_t n)
{
    atomic_store(&fail_in, n);
}

uint64_t ace_memory_live(void)
{
    return atomic_load(&live_blocks);
}

uint64_t ace_memory_count(void)
{
    return atomic_load(&total_allocations);
}
