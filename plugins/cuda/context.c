#include "context.h"

#include "cuda_device.h"

#include <dlfcn.h>
#include <string.h>

ace_cuda_module *ace_cuda_modules;

/* Our kernels neither print nor allocate: the least that the driver gives. */
static const size_t SMALL_HEAP = (size_t)64 << 10;

enum { MOST_KERNELS = 512 }; /* of a module */

static void shrink(void)
{
    (void)cudaDeviceSetLimit(cudaLimitMallocHeapSize, SMALL_HEAP);
    (void)cudaDeviceSetLimit(cudaLimitPrintfFifoSize, SMALL_HEAP);
    (void)cudaGetLastError(); /* a driver that refuses keeps what it has */
}

/* ---- loading kernels
 * ---------------------------------------------------------------------------- */

/* The driver's functions on modules (CUDA 12.4 and newer). */
typedef struct module_functions {
    int (*module_of)(void **module, void *function);
    int (*count)(unsigned *n, void *module);
    int (*list)(void **functions, unsigned n, void *module);
    int (*load)(void *function);
} module_functions;

/* A function of the library; POSIX gives data pointers. */
static bool find(void *library, const char *name, void *function)
{
    void *symbol = library != NULL ? dlsym(library, name) : NULL;
    memcpy(function, &symbol, sizeof symbol);
    return symbol != NULL;
}

static bool find_all(module_functions *f)
{
    void *library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    return find(library, "cuFuncGetModule", &f->module_of) &&
           find(library, "cuModuleGetFunctionCount", &f->count) &&
           find(library, "cuModuleEnumerateFunctions", &f->list) &&
           find(library, "cuFuncLoad", &f->load);
}

static bool load_module(const module_functions *f, const void *kernel)
{
    void *functions[MOST_KERNELS];
    cudaFunction_t function = NULL;
    void *module = NULL;
    unsigned n = 0;
    bool well = cudaGetFuncBySymbol(&function, kernel) == cudaSuccess &&
                f->module_of(&module, function) == 0 && f->count(&n, module) == 0 &&
                n <= MOST_KERNELS && f->list(functions, n, module) == 0;
    for (unsigned i = 0; i < n && well; i++) {
        well = f->load(functions[i]) == 0;
    }
    return well;
}

/* What is not loaded here is loaded when it is first launched. */
static void load_kernels(ace_cuda *cuda)
{
    module_functions f;
    bool well = find_all(&f);
    for (const ace_cuda_module *m = ace_cuda_modules; m != NULL && well; m = m->next) {
        well = load_module(&f, m->kernel);
    }
    (void)cudaGetLastError();
    if (!well) {
        cuda->host->log(ACE_LOG_INFO, "cuda",
                        "card %d: kernels are loaded when they are first used, and their memory is "
                        "in no plan",
                        cuda->card);
    }
}

void ace_cuda_settle_context(ace_cuda *cuda)
{
    if (!ace_cuda_may_launch(cuda)) {
        return;
    }
    shrink();
    (void)ace_cuda_library_is_there(cuda);
    load_kernels(cuda);
}
