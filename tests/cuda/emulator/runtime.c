/* The emulated cards and their memory, which is host memory. Freed memory is given back at once,
 * with work in flight or not.
 *
 * Environment, for tests:
 *   ACE_EMULATOR_MB            memory of a card; 8192
 *   ACE_EMULATOR_CARDS         how many; 1
 *   ACE_EMULATOR_CAPABILITY    75 … ; 80
 *   ACE_EMULATOR_PINNED        0: no pinned memory
 *   ACE_EMULATOR_EAGER         1: copies run at once, before what they need not wait for
 *   ACE_EMULATOR_GRAPHS        0: no memory to make one run
 *   ACE_EMULATOR_GRAPH_MB      of the card that each takes; 0
 *   ACE_EMULATOR_LAZY          1: the driver loads no kernels in advance
 *   ACE_EMULATOR_PEAK          a file, for the most memory that was taken
 *   ACE_EMULATOR_VMM           0: no virtual-memory functions (virtual_memory.c)
 *   ACE_EMULATOR_FAIL_CALL     the call of one of these of this number, from 1 on, fails
 *   ACE_EMULATOR_FAIL_CODE     with this error; 999, an unknown one
 *   ACE_EMULATOR_FAIL_KERNEL   the kernel of this number, from 1 on, fails as a bad address does
 *   ACE_EMULATOR_REPAIR        the reset of this number, and those after it, repair the card; 1. 0:
 *                              none does */
#include "runtime.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_mutex_t mutex; /* recursive: work issued by one thread may be done by another */

static _Thread_local int chosen;

ace_emulator_card ace_emulator_state;
#define card ace_emulator_state

static void init(void)
{
    pthread_mutexattr_t recursive;
    (void)pthread_mutexattr_init(&recursive);
    (void)pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE);
    (void)pthread_mutex_init(&mutex, &recursive);
    (void)pthread_mutexattr_destroy(&recursive);
}

void ace_emulator_lock(void)
{
    (void)pthread_once(&once, init);
    (void)pthread_mutex_lock(&mutex);
}

void ace_emulator_unlock(void)
{
    (void)pthread_mutex_unlock(&mutex);
}

cudaError_t ace_emulator_leave(cudaError_t code)
{
    code = card.broken != cudaSuccess ? card.broken : code;
    card.last = code != cudaSuccess ? code : card.last;
    (void)pthread_mutex_unlock(&mutex);
    return code;
}

long ace_emulator_setting(const char *name, long otherwise)
{
    const char *text = getenv(name);
    return text != NULL && text[0] != '\0' ? strtol(text, NULL, 10) : otherwise;
}

size_t ace_emulator_total(void)
{
    return (size_t)ace_emulator_setting("ACE_EMULATOR_MB", 8192) << 20;
}

int ace_emulator_cards(void)
{
    return (int)ace_emulator_setting("ACE_EMULATOR_CARDS", 1);
}

int ace_emulator_capability(void)
{
    return (int)ace_emulator_setting("ACE_EMULATOR_CAPABILITY", 80);
}

uint64_t ace_emulator_kernels(void)
{
    ace_emulator_lock();
    uint64_t n = card.kernels;
    ace_emulator_unlock();
    return n;
}

/* ---- errors and cards ------------------------------------------------------------------------ */

const char *cudaGetErrorName(cudaError_t code)
{
    switch (code) {
    case cudaSuccess:
        return "cudaSuccess";
    case cudaErrorInvalidValue:
        return "cudaErrorInvalidValue";
    case cudaErrorMemoryAllocation:
        return "cudaErrorMemoryAllocation";
    case cudaErrorNoDevice:
        return "cudaErrorNoDevice";
    case cudaErrorInvalidDevice:
        return "cudaErrorInvalidDevice";
    case cudaErrorIllegalAddress:
        return "cudaErrorIllegalAddress";
    case cudaErrorStreamCaptureUnsupported:
    case cudaErrorStreamCaptureInvalidated:
    case cudaErrorStreamCaptureWrongThread:
        return "cudaErrorStreamCapture";
    }
    return "unknown";
}

const char *cudaGetErrorString(cudaError_t code)
{
    switch (code) {
    case cudaErrorMemoryAllocation:
        return "out of memory";
    case cudaErrorIllegalAddress:
        return "an illegal memory access was encountered";
    default:
        return "error of the emulated card";
    }
}

cudaError_t cudaGetLastError(void)
{
    ace_emulator_lock();
    cudaError_t code = card.last;
    card.last = cudaSuccess;
    code = card.broken != cudaSuccess ? card.broken : code;
    (void)pthread_mutex_unlock(&mutex);
    return code;
}

cudaError_t cudaGetDeviceCount(int *count)
{
    ace_emulator_lock();
    *count = ace_emulator_cards();
    return ace_emulator_leave(*count > 0 ? cudaSuccess : cudaErrorNoDevice);
}

cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *out, int device)
{
    ace_emulator_lock();
    memset(out, 0, sizeof *out);
    (void)snprintf(out->name, sizeof out->name, ACE_EMULATOR_NAME);
    out->totalGlobalMem = ace_emulator_total();
    out->major = ace_emulator_capability() / 10;
    out->minor = ace_emulator_capability() % 10;
    out->multiProcessorCount = 16;
    return ace_emulator_leave(device < ace_emulator_cards() ? cudaSuccess : cudaErrorInvalidDevice);
}

cudaError_t cudaSetDevice(int device)
{
    ace_emulator_lock();
    bool valid = device >= 0 && device < ace_emulator_cards();
    chosen = valid ? device : chosen;
    return ace_emulator_leave(valid ? cudaSuccess : cudaErrorInvalidDevice);
}

cudaError_t cudaGetDevice(int *device)
{
    ace_emulator_lock();
    *device = chosen;
    return ace_emulator_leave(cudaSuccess);
}

/* ---- memory
 * --------------------------------------------------------------------------------------- */

static void forget(ace_emulator_block *table)
{
    for (int i = 0; i < ACE_EMULATOR_BLOCKS; i++) {
        if (!table[i].is_mapped) {
            free(table[i].memory);
        }
        table[i] = (ace_emulator_block){0};
    }
}

/* Everything of the context goes, memory first. */
cudaError_t cudaDeviceReset(void)
{
    ace_emulator_lock();
    long repairs = ace_emulator_setting("ACE_EMULATOR_REPAIR", 1);
    card.resets++;
    if (card.broken != cudaSuccess && (repairs == 0 || card.resets < repairs)) {
        return ace_emulator_leave(card.broken);
    }
    ace_emulator_unmap_all();
    forget(card.device);
    forget(card.pinned);
    card.held = 0;
    ace_emulator_end_context();
    card.broken = cudaSuccess;
    card.last = cudaSuccess;
    return ace_emulator_leave(cudaSuccess);
}

ace_emulator_block *ace_emulator_empty_place(ace_emulator_block *table)
{
    for (int i = 0; i < ACE_EMULATOR_BLOCKS; i++) {
        if (table[i].memory == NULL) {
            return &table[i];
        }
    }
    return NULL;
}

ace_emulator_block *ace_emulator_find(ace_emulator_block *table, const void *inside)
{
    const unsigned char *p = inside;
    for (int i = 0; i < ACE_EMULATOR_BLOCKS; i++) {
        if (table[i].memory != NULL && p >= table[i].memory &&
            p < table[i].memory + table[i].bytes) {
            return &table[i];
        }
    }
    return NULL;
}

/* New memory holds NaN, as f32 and as bf16. */
static cudaError_t allocate(ace_emulator_block *table, void **out, size_t bytes)
{
    ace_emulator_block *b = ace_emulator_empty_place(table);
    void *memory = NULL;
    if (b == NULL || posix_memalign(&memory, 256, bytes) != 0) {
        return cudaErrorMemoryAllocation;
    }
    memset(memory, 0xff, bytes);
    *b = (ace_emulator_block){.memory = memory, .bytes = bytes};
    *out = memory;
    return cudaSuccess;
}

static cudaError_t give_back(ace_emulator_block *table, void *memory)
{
    ace_emulator_block *b = ace_emulator_find(table, memory);
    if (b == NULL || b->memory != memory || b->is_mapped) {
        return cudaErrorInvalidValue;
    }
    free(memory);
    *b = (ace_emulator_block){0};
    return cudaSuccess;
}

static size_t pages(size_t bytes)
{
    return (bytes + ACE_EMULATOR_PAGE - 1) / ACE_EMULATOR_PAGE * ACE_EMULATOR_PAGE;
}

cudaError_t cudaMalloc(void **out, size_t bytes)
{
    ace_emulator_lock();
    if (ace_emulator_is_forbidden()) {
        return ace_emulator_leave(cudaErrorStreamCaptureUnsupported);
    }
    card.has_context = true;
    if (ace_emulator_taken() + pages(bytes) > ace_emulator_total()) {
        return ace_emulator_leave(cudaErrorMemoryAllocation);
    }
    cudaError_t code = allocate(card.device, out, bytes);
    card.held += code == cudaSuccess ? pages(bytes) : 0;
    (void)ace_emulator_taken(); /* a new peak, maybe */
    return ace_emulator_leave(code);
}

cudaError_t cudaFree(void *memory)
{
    ace_emulator_lock();
    if (ace_emulator_is_forbidden()) {
        return ace_emulator_leave(cudaErrorStreamCaptureUnsupported);
    }
    card.has_context = true;
    if (memory == NULL) {
        return ace_emulator_leave(cudaSuccess);
    }
    ace_emulator_block *b = ace_emulator_find(card.device, memory);
    size_t bytes = b != NULL ? pages(b->bytes) : 0;
    cudaError_t code = give_back(card.device, memory);
    card.held -= code == cudaSuccess ? bytes : 0;
    return ace_emulator_leave(code);
}

cudaError_t cudaHostAlloc(void **out, size_t bytes, unsigned flags)
{
    (void)flags;
    ace_emulator_lock();
    if (ace_emulator_is_forbidden()) {
        return ace_emulator_leave(cudaErrorStreamCaptureUnsupported);
    }
    return ace_emulator_leave(ace_emulator_setting("ACE_EMULATOR_PINNED", 1) != 0
                                  ? allocate(card.pinned, out, bytes)
                                  : cudaErrorMemoryAllocation);
}

cudaError_t cudaFreeHost(void *memory)
{
    ace_emulator_lock();
    return ace_emulator_leave(give_back(card.pinned, memory));
}

cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *total)
{
    ace_emulator_lock();
    *total = ace_emulator_total();
    *free_bytes = *total > ace_emulator_taken() ? *total - ace_emulator_taken() : 0;
    return ace_emulator_leave(cudaSuccess);
}
