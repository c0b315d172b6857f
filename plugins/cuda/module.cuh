/* Each .cu file is a module of the driver's, whose kernels are loaded when they are first launched:
 * device memory that comes late. An empty kernel in each leads context.c to all of them. */
#ifndef ACE_CUDA_MODULE_CUH
#define ACE_CUDA_MODULE_CUH

#include "context.h"

#include <cuda_runtime.h>

__global__ static void ace_module_anchor()
{
}

namespace
{
struct ace_module_entry {
    ace_cuda_module module;

    ace_module_entry()
    {
        module.kernel = (const void *)ace_module_anchor;
        module.next = ace_cuda_modules;
        ace_cuda_modules = &module;
    }
};

ace_module_entry ace_this_module;
} // namespace

#endif
