/* What a context takes: a fixed part, a heap for kernels that allocate, and the modules that were
 * loaded. A module is known by the one function that was asked for; where none was loaded in
 * advance, the first kernel that runs brings them all. */
#include "runtime.h"

#include <stdio.h>
#include <stdlib.h>

#define card ace_emulator_state

enum { SUCCESS = 0, INVALID = 1, UNSUPPORTED = 801, MOST = 64 };

static const size_t FIXED = (size_t)292 << 20;
static const size_t HEAP = (size_t)8 << 20;
static const size_t MODULE = (size_t)2 << 20;
static const size_t LATE = (size_t)40 << 20; /* all modules, when a kernel runs */

static struct {
    void *module[MOST];
    int n;
    bool small_heap, loaded_late;
} context;

static size_t peak;

int cuFuncGetModule(void **module, void *function);
int cuModuleGetFunctionCount(unsigned *n, void *module);
int cuModuleEnumerateFunctions(void **functions, unsigned n, void *module);
int cuFuncLoad(void *function);

/* ---- sizes
 * --------------------------------------------------------------------------------------- */

size_t ace_emulator_taken(void)
{
    size_t bytes = card.held;
    if (card.has_context) {
        bytes += FIXED + (context.small_heap ? 0 : HEAP) + (size_t)context.n * MODULE +
                 (context.loaded_late ? LATE : 0);
    }
    peak = bytes > peak ? bytes : peak;
    return bytes;
}

void ace_emulator_end_context(void)
{
    card.has_context = false;
    context.n = 0;
    context.small_heap = false;
    context.loaded_late = false;
}

void ace_emulator_note_kernel(void)
{
    context.loaded_late = context.loaded_late || context.n == 0;
    (void)ace_emulator_taken();
}

int ace_emulator_modules(void)
{
    return context.n;
}

/* ACE_EMULATOR_PEAK: the file for the most that was taken at a time. */
__attribute__((destructor)) static void tell_peak(void)
{
    const char *path = getenv("ACE_EMULATOR_PEAK");
    FILE *file = path != NULL ? fopen(path, "w") : NULL;
    if (file != NULL) {
        fprintf(file, "%zu\n", peak);
        (void)fclose(file);
    }
}

/* ---- limits and modules
 * -------------------------------------------------------------------------- */

cudaError_t cudaDeviceSetLimit(enum cudaLimit limit, size_t value)
{
    ace_emulator_lock();
    card.has_context = true;
    if (limit == cudaLimitMallocHeapSize) {
        context.small_heap = value < HEAP;
    }
    return ace_emulator_leave(cudaSuccess);
}

cudaError_t cudaGetFuncBySymbol(cudaFunction_t *out, const void *symbol)
{
    ace_emulator_lock();
    *out = (cudaFunction_t)(uintptr_t)symbol;
    return ace_emulator_leave(cudaSuccess);
}

int cuFuncGetModule(void **module, void *function)
{
    *module = function;
    return ace_emulator_setting("ACE_EMULATOR_LAZY", 0) == 0 ? SUCCESS : UNSUPPORTED;
}

int cuModuleGetFunctionCount(unsigned *n, void *module)
{
    *n = module != NULL;
    return *n != 0 ? SUCCESS : INVALID;
}

int cuModuleEnumerateFunctions(void **functions, unsigned n, void *module)
{
    if (n != 1) {
        return INVALID;
    }
    functions[0] = module;
    return SUCCESS;
}

int cuFuncLoad(void *function)
{
    ace_emulator_lock();
    int i = 0;
    while (i < context.n && context.module[i] != function) {
        i++;
    }
    bool fits = i < MOST;
    if (fits && i == context.n) {
        context.module[context.n++] = function;
    }
    (void)ace_emulator_taken();
    ace_emulator_unlock();
    return fits ? SUCCESS : INVALID;
}
