/* The NVIDIA driver, asked by loading its libraries at run time. Only functions that need no
 * context are called, so that nothing is taken from the cards. */
#include "hardware/parts.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

/* The driver API (cuda.h): CUresult is an int, 0 is success, CUdevice is an int. */
enum {
    CAPABILITY_MAJOR = 75, /* CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR */
    CAPABILITY_MINOR = 76
};

typedef int cu_init(unsigned flags);
typedef int cu_count(int *count);
typedef int cu_get(int *device, int ordinal);
typedef int cu_name(char *name, int room, int device);
typedef int cu_memory(size_t *bytes, int device);
typedef int cu_attribute(int *value, int attribute, int device);

/* The management library (nvml.h) knows what is free without a context. */
typedef struct nvml_memory {
    unsigned long long total, free, used;
} nvml_memory;
typedef int nvml_init(void);
typedef int nvml_shutdown(void);
typedef int nvml_count(unsigned *count);
typedef int nvml_get(unsigned index, void **device);
typedef int nvml_info(void *device, nvml_memory *out);

/* A function of a library; NULL when it is not there. POSIX gives data pointers. */
static void find(void *library, const char *name, void *function)
{
    void *symbol = dlsym(library, name);
    memcpy(function, &symbol, sizeof symbol);
}

static void read_card(void *library, int ordinal, ace_gpu *gpu)
{
    cu_get *get = NULL;
    cu_name *name = NULL;
    cu_memory *memory = NULL;
    cu_attribute *attribute = NULL;
    int device = 0;
    size_t bytes = 0;
    find(library, "cuDeviceGet", &get);
    find(library, "cuDeviceGetName", &name);
    find(library, "cuDeviceTotalMem_v2", &memory);
    find(library, "cuDeviceGetAttribute", &attribute);
    gpu->index = ordinal;
    (void)snprintf(gpu->name, sizeof gpu->name, "NVIDIA card %d", ordinal);
    if (get == NULL || get(&device, ordinal) != 0) {
        return;
    }
    if (name != NULL) {
        (void)name(gpu->name, (int)sizeof gpu->name, device);
        gpu->name[sizeof gpu->name - 1] = '\0';
    }
    if (memory != NULL && memory(&bytes, device) == 0) {
        gpu->total_bytes = bytes;
        gpu->free_bytes = bytes;
    }
    if (attribute != NULL) {
        (void)attribute(&gpu->capability_major, CAPABILITY_MAJOR, device);
        (void)attribute(&gpu->capability_minor, CAPABILITY_MINOR, device);
    }
}

/* The driver hides cards (CUDA_VISIBLE_DEVICES) that the management library shows: only where both
 * count the same are their indices the same. */
static void read_free_memory(ace_hardware *h)
{
    void *library = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        return;
    }
    nvml_init *init = NULL;
    nvml_shutdown *shut_down = NULL;
    nvml_count *count = NULL;
    nvml_get *get = NULL;
    nvml_info *info = NULL;
    unsigned n = 0;
    find(library, "nvmlInit_v2", &init);
    find(library, "nvmlShutdown", &shut_down);
    find(library, "nvmlDeviceGetCount_v2", &count);
    find(library, "nvmlDeviceGetHandleByIndex_v2", &get);
    find(library, "nvmlDeviceGetMemoryInfo", &info);
    if (init != NULL && shut_down != NULL && count != NULL && get != NULL && info != NULL &&
        init() == 0) {
        bool same = count(&n) == 0 && n == (unsigned)h->n_gpus;
        for (int i = 0; same && i < h->n_gpus; i++) {
            void *device = NULL;
            nvml_memory memory = {0};
            if (get((unsigned)i, &device) == 0 && info(device, &memory) == 0 &&
                memory.free <= h->gpu[i].total_bytes) {
                h->gpu[i].free_bytes = memory.free;
            }
        }
        (void)shut_down();
    }
    (void)dlclose(library);
}

void ace_hardware_nvidia(ace_hardware *h)
{
    void *library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        return;
    }
    cu_init *init = NULL;
    cu_count *count = NULL;
    int n = 0;
    find(library, "cuInit", &init);
    find(library, "cuDeviceGetCount", &count);
    if (init != NULL && count != NULL && init(0) == 0) {
        h->driver = true;
        if (count(&n) != 0) {
            n = 0;
        }
    }
    h->n_gpus = n < ACE_MAX_GPUS ? n : ACE_MAX_GPUS;
    for (int i = 0; i < h->n_gpus; i++) {
        read_card(library, i, &h->gpu[i]);
    }
    if (h->n_gpus > 0) {
        read_free_memory(h);
    }
    /* the library stays loaded: unloading a driver in use is not safe */
}
