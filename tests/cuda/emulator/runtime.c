/* The emulated card's runtime: host memory, and streams whose work is put off until somebody waits
 * for it, which is when a card would have finished at the latest. What the plug-in forgets to wait
 * for is therefore really not there. Freed memory is given back at once, with work in flight or not.
 *
 * Environment, for tests:
 *   ACE_EMULATOR_MB            memory of a card; 8192
 *   ACE_EMULATOR_CARDS         how many; 1
 *   ACE_EMULATOR_CAPABILITY    75 … ; 80
 *   ACE_EMULATOR_PINNED        0: no pinned memory
 *   ACE_EMULATOR_FAIL_KERNEL   the kernel of this number, from 1 on, fails as a bad address does */
#include "runtime.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_BLOCKS = 4096, MOST_PUT_OFF = 512 };

typedef struct task {
    struct task *next;
    ace_emulator_task *run;
    bool is_kernel;
    size_t bytes;
    _Alignas(16) unsigned char context[];
} task;

struct CUstream_st {
    task *first, **last;
    uint64_t issued, done;
};

struct CUevent_st {
    cudaStream_t stream; /* NULL: never recorded */
    uint64_t when;
};

typedef struct block {
    unsigned char *memory;
    size_t bytes;
} block;

static struct {
    pthread_mutex_t lock; /* recursive: work issued by one thread may be done by another */
    block device[MOST_BLOCKS], pinned[MOST_BLOCKS];
    size_t held;
    bool has_context;
    cudaError_t broken; /* sticky */
    cudaError_t last;
    uint64_t kernels;
} card;

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void init(void)
{
    pthread_mutexattr_t recursive;
    (void)pthread_mutexattr_init(&recursive);
    (void)pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE);
    (void)pthread_mutex_init(&card.lock, &recursive);
    (void)pthread_mutexattr_destroy(&recursive);
}

static void lock(void)
{
    (void)pthread_once(&once, init);
    (void)pthread_mutex_lock(&card.lock);
}

static cudaError_t leave(cudaError_t code)
{
    code = card.broken != cudaSuccess ? card.broken : code;
    card.last = code != cudaSuccess ? code : card.last;
    (void)pthread_mutex_unlock(&card.lock);
    return code;
}

static long setting(const char *name, long otherwise)
{
    const char *text = getenv(name);
    return text != NULL && text[0] != '\0' ? strtol(text, NULL, 10) : otherwise;
}

size_t ace_emulator_total(void)
{
    return (size_t)setting("ACE_EMULATOR_MB", 8192) << 20;
}

int ace_emulator_cards(void)
{
    return (int)setting("ACE_EMULATOR_CARDS", 1);
}

int ace_emulator_capability(void)
{
    return (int)setting("ACE_EMULATOR_CAPABILITY", 80);
}

/* ---- errors and cards --------------------------------------------------------------------------- */

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
    lock();
    cudaError_t code = card.last;
    card.last = cudaSuccess;
    code = card.broken != cudaSuccess ? card.broken : code;
    (void)pthread_mutex_unlock(&card.lock);
    return code;
}

cudaError_t cudaGetDeviceCount(int *count)
{
    lock();
    *count = ace_emulator_cards();
    return leave(*count > 0 ? cudaSuccess : cudaErrorNoDevice);
}

cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *out, int device)
{
    lock();
    memset(out, 0, sizeof *out);
    (void)snprintf(out->name, sizeof out->name, ACE_EMULATOR_NAME);
    out->totalGlobalMem = ace_emulator_total();
    out->major = ace_emulator_capability() / 10;
    out->minor = ace_emulator_capability() % 10;
    out->multiProcessorCount = 16;
    return leave(device < ace_emulator_cards() ? cudaSuccess : cudaErrorInvalidDevice);
}

cudaError_t cudaSetDevice(int device)
{
    lock();
    return leave(device >= 0 && device < ace_emulator_cards() ? cudaSuccess
                                                              : cudaErrorInvalidDevice);
}

/* ---- memory --------------------------------------------------------------------------------------- */

/* Room for a block in a table; NULL when it is full. */
static block *empty_place(block *table)
{
    for (int i = 0; i < MOST_BLOCKS; i++) {
        if (table[i].memory == NULL) {
            return &table[i];
        }
    }
    return NULL;
}

static block *find_block(block *table, const void *inside)
{
    const unsigned char *p = inside;
    for (int i = 0; i < MOST_BLOCKS; i++) {
        if (table[i].memory != NULL && p >= table[i].memory && p < table[i].memory + table[i].bytes) {
            return &table[i];
        }
    }
    return NULL;
}

/* New memory holds NaN, as f32 and as bf16. */
static cudaError_t allocate(block *table, void **out, size_t bytes)
{
    block *b = empty_place(table);
    void *memory = NULL;
    if (b == NULL || posix_memalign(&memory, 256, bytes) != 0) {
        return cudaErrorMemoryAllocation;
    }
    memset(memory, 0xff, bytes);
    *b = (block){memory, bytes};
    *out = memory;
    return cudaSuccess;
}

static cudaError_t give_back(block *table, void *memory)
{
    block *b = find_block(table, memory);
    if (b == NULL || b->memory != memory) {
        return cudaErrorInvalidValue;
    }
    free(memory);
    *b = (block){0};
    return cudaSuccess;
}

static size_t pages(size_t bytes)
{
    return (bytes + ACE_EMULATOR_PAGE - 1) / ACE_EMULATOR_PAGE * ACE_EMULATOR_PAGE;
}

static size_t taken(void)
{
    return card.held + (card.has_context ? ACE_EMULATOR_CONTEXT : 0);
}

cudaError_t cudaMalloc(void **out, size_t bytes)
{
    lock();
    card.has_context = true;
    if (taken() + pages(bytes) > ace_emulator_total()) {
        return leave(cudaErrorMemoryAllocation);
    }
    cudaError_t code = allocate(card.device, out, bytes);
    card.held += code == cudaSuccess ? pages(bytes) : 0;
    return leave(code);
}

cudaError_t cudaFree(void *memory)
{
    lock();
    card.has_context = true;
    if (memory == NULL) {
        return leave(cudaSuccess);
    }
    block *b = find_block(card.device, memory);
    size_t bytes = b != NULL ? pages(b->bytes) : 0;
    cudaError_t code = give_back(card.device, memory);
    card.held -= code == cudaSuccess ? bytes : 0;
    return leave(code);
}

cudaError_t cudaHostAlloc(void **out, size_t bytes, unsigned flags)
{
    (void)flags;
    lock();
    return leave(setting("ACE_EMULATOR_PINNED", 1) != 0 ? allocate(card.pinned, out, bytes)
                                                        : cudaErrorMemoryAllocation);
}

cudaError_t cudaFreeHost(void *memory)
{
    lock();
    return leave(give_back(card.pinned, memory));
}

cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *total)
{
    lock();
    *total = ace_emulator_total();
    *free_bytes = *total > taken() ? *total - taken() : 0;
    return leave(cudaSuccess);
}

/* ---- streams --------------------------------------------------------------------------------------- */

static void run_first(cudaStream_t s)
{
    task *t = s->first;
    s->first = t->next;
    s->last = s->first != NULL ? s->last : &s->first;
    card.kernels += t->is_kernel;
    if (t->is_kernel && (long)card.kernels == setting("ACE_EMULATOR_FAIL_KERNEL", 0)) {
        card.broken = cudaErrorIllegalAddress;
    }
    if (card.broken == cudaSuccess) {
        t->run(t->context);
    }
    free(t);
    s->done++;
}

static void run_until(cudaStream_t s, uint64_t when)
{
    while (s->done < when) {
        run_first(s);
    }
}

static void put_off(cudaStream_t s, ace_emulator_task *run, const void *context, size_t bytes,
                    bool is_kernel)
{
    lock();
    task *t = malloc(sizeof *t + bytes);
    if (t == NULL) {
        fprintf(stderr, "emulator: no memory for a task\n");
        abort();
    }
    *t = (task){.run = run, .is_kernel = is_kernel, .bytes = bytes};
    memcpy(t->context, context, bytes);
    *s->last = t;
    s->last = &t->next;
    s->issued++;
    if (s->issued - s->done > MOST_PUT_OFF) {
        run_until(s, s->issued - MOST_PUT_OFF);
    }
    (void)pthread_mutex_unlock(&card.lock);
}

void ace_emulator_enqueue(cudaStream_t s, ace_emulator_task *run, const void *context, size_t bytes)
{
    put_off(s, run, context, bytes, false);
}

void ace_emulator_enqueue_kernel(cudaStream_t s, ace_emulator_task *run, const void *context,
                                 size_t bytes)
{
    put_off(s, run, context, bytes, true);
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *out, unsigned flags)
{
    (void)flags;
    lock();
    cudaStream_t s = calloc(1, sizeof *s);
    if (s != NULL) {
        s->last = &s->first;
    }
    *out = s;
    return leave(s != NULL ? cudaSuccess : cudaErrorMemoryAllocation);
}

cudaError_t cudaStreamSynchronize(cudaStream_t s)
{
    lock();
    run_until(s, s->issued);
    return leave(cudaSuccess);
}

cudaError_t cudaStreamDestroy(cudaStream_t s)
{
    lock();
    run_until(s, s->issued);
    free(s);
    return leave(cudaSuccess);
}

/* Streams are known by their events only; what is left runs when they are destroyed. */
cudaError_t cudaDeviceSynchronize(void)
{
    lock();
    return leave(cudaSuccess);
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *out, unsigned flags)
{
    (void)flags;
    lock();
    *out = calloc(1, sizeof **out);
    return leave(*out != NULL ? cudaSuccess : cudaErrorMemoryAllocation);
}

cudaError_t cudaEventDestroy(cudaEvent_t e)
{
    lock();
    free(e);
    return leave(cudaSuccess);
}

cudaError_t cudaEventRecord(cudaEvent_t e, cudaStream_t s)
{
    lock();
    e->stream = s;
    e->when = s->issued;
    return leave(cudaSuccess);
}

static void wait_for(void *context)
{
    const struct CUevent_st *e = context;
    run_until(e->stream, e->when);
}

cudaError_t cudaEventSynchronize(cudaEvent_t e)
{
    lock();
    if (e->stream != NULL) {
        run_until(e->stream, e->when);
    }
    return leave(cudaSuccess);
}

cudaError_t cudaStreamWaitEvent(cudaStream_t s, cudaEvent_t e, unsigned flags)
{
    (void)flags;
    lock();
    if (e->stream != NULL) {
        put_off(s, wait_for, e, sizeof *e, false);
    }
    return leave(cudaSuccess);
}

/* ---- copies ---------------------------------------------------------------------------------------- */

typedef struct copy {
    unsigned char *to;
    const unsigned char *from;
    size_t to_pitch, from_pitch, width, height;
} copy;

static void run_copy(void *context)
{
    const copy *c = context;
    for (size_t r = 0; r < c->height; r++) {
        memcpy(c->to + r * c->to_pitch, c->from + r * c->from_pitch, c->width);
    }
}

static bool is_in_one_block(const void *start, size_t pitch, size_t width, size_t height)
{
    const block *b = find_block(card.device, start);
    const unsigned char *p = start;
    return b != NULL && p + (height - 1) * pitch + width <= b->memory + b->bytes;
}

/* From and to ordinary memory the driver goes through memory of its own, and has done so with the
 * host's side when it returns. */
cudaError_t cudaMemcpy2DAsync(void *to, size_t to_pitch, const void *from, size_t from_pitch,
                              size_t width, size_t height, enum cudaMemcpyKind kind, cudaStream_t s)
{
    lock();
    bool up = kind == cudaMemcpyHostToDevice;
    copy c = {to, from, to_pitch, from_pitch, width, height};
    bool valid = up ? is_in_one_block(to, to_pitch, width, height)
                    : is_in_one_block(from, from_pitch, width, height);
    if (!valid) {
        return leave(cudaErrorInvalidValue);
    }
    ace_emulator_enqueue(s, run_copy, &c, sizeof c);
    if (find_block(card.pinned, up ? from : to) == NULL) {
        run_until(s, s->issued);
    }
    return leave(cudaSuccess);
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind,
                            cudaStream_t s)
{
    return cudaMemcpy2DAsync(to, bytes, from, bytes, bytes, 1, kind, s);
}
