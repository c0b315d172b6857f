/* What the driver takes on the card besides the device's blocks: the context, our kernels, what the
 * vendor's library brings. All of it is there before the device is open, is measured and counts as
 * workspace, so that plan and cap include it. Kernels of the library that are loaded with the first
 * product of their kind come later; the planner's margin is for them. */
#ifndef ACE_CUDA_CONTEXT_H
#define ACE_CUDA_CONTEXT_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One for each .cu file (module.cuh). */
typedef struct ace_cuda_module {
    const void *kernel; /* one of its kernels */
    struct ace_cuda_module *next;
} ace_cuda_module;

/* Before anything runs each .cu file adds its own. */
extern ace_cuda_module *ace_cuda_modules;

struct ace_cuda;

/* Makes the context as small as it can be and then complete. */
void ace_cuda_settle_context(struct ace_cuda *cuda);

#ifdef __cplusplus
}
#endif

#endif
