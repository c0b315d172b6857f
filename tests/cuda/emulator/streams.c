/* Streams, whose work is put off until somebody waits for it, which is when a card would have
 * finished at the latest: what the plug-in forgets to wait for is really not there. */
#include "runtime.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_PUT_OFF = 512 };

#define card ace_emulator_state

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
    bool is_captured; /* it stands for a place in a graph, and nobody can wait for it */
};

/* ---- streams
 * --------------------------------------------------------------------------------------- */

static void run_first(cudaStream_t s)
{
    task *t = s->first;
    s->first = t->next;
    s->last = s->first != NULL ? s->last : &s->first;
    card.kernels += t->is_kernel;
    if (t->is_kernel) {
        ace_emulator_note_kernel();
    }
    if (t->is_kernel && (long)card.kernels == ace_emulator_setting("ACE_EMULATOR_FAIL_KERNEL", 0)) {
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
    ace_emulator_lock();
    if (ace_emulator_capture(s, run, context, bytes, is_kernel)) {
        ace_emulator_unlock();
        return;
    }
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
    ace_emulator_unlock();
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
    ace_emulator_lock();
    cudaStream_t s = calloc(1, sizeof *s);
    if (s != NULL) {
        s->last = &s->first;
    }
    *out = s;
    return ace_emulator_leave(s != NULL ? cudaSuccess : cudaErrorMemoryAllocation);
}

cudaError_t cudaStreamSynchronize(cudaStream_t s)
{
    ace_emulator_lock();
    if (ace_emulator_is_captured(s) || ace_emulator_is_forbidden()) {
        ace_emulator_lose_capture();
        return ace_emulator_leave(cudaErrorStreamCaptureUnsupported);
    }
    run_until(s, s->issued);
    return ace_emulator_leave(cudaSuccess);
}

cudaError_t cudaStreamDestroy(cudaStream_t s)
{
    ace_emulator_lock();
    run_until(s, s->issued);
    free(s);
    return ace_emulator_leave(cudaSuccess);
}

/* Streams are known by their events only; what is left runs when they are destroyed. */
cudaError_t cudaDeviceSynchronize(void)
{
    ace_emulator_lock();
    return ace_emulator_leave(cudaSuccess);
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *out, unsigned flags)
{
    (void)flags;
    ace_emulator_lock();
    *out = calloc(1, sizeof **out);
    return ace_emulator_leave(*out != NULL ? cudaSuccess : cudaErrorMemoryAllocation);
}

cudaError_t cudaEventDestroy(cudaEvent_t e)
{
    ace_emulator_lock();
    free(e);
    return ace_emulator_leave(cudaSuccess);
}

cudaError_t cudaEventRecord(cudaEvent_t e, cudaStream_t s)
{
    ace_emulator_lock();
    e->stream = s;
    e->when = s->issued;
    e->is_captured = ace_emulator_is_captured(s);
    return ace_emulator_leave(cudaSuccess);
}

static void wait_for(void *context)
{
    const struct CUevent_st *e = context;
    run_until(e->stream, e->when);
}

cudaError_t cudaEventSynchronize(cudaEvent_t e)
{
    ace_emulator_lock();
    if (e->is_captured || ace_emulator_is_forbidden()) {
        ace_emulator_lose_capture();
        return ace_emulator_leave(cudaErrorStreamCaptureUnsupported);
    }
    if (e->stream != NULL) {
        run_until(e->stream, e->when);
    }
    return ace_emulator_leave(cudaSuccess);
}

cudaError_t cudaStreamWaitEvent(cudaStream_t s, cudaEvent_t e, unsigned flags)
{
    (void)flags;
    ace_emulator_lock();
    if (e->is_captured) { /* a card would capture the waiting stream as well */
        ace_emulator_lose_capture();
        return ace_emulator_leave(cudaErrorStreamCaptureUnsupported);
    }
    if (e->stream != NULL) {
        put_off(s, wait_for, e, sizeof *e, false);
    }
    return ace_emulator_leave(cudaSuccess);
}

/* ---- copies
 * ---------------------------------------------------------------------------------------- */

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
    const ace_emulator_block *b = ace_emulator_find(card.device, start);
    const unsigned char *p = start;
    return b != NULL && p + (height - 1) * pitch + width <= b->memory + b->bytes;
}

/* From and to ordinary memory the driver goes through memory of its own, and has done so with the
 * host's side when it returns. */
cudaError_t cudaMemcpy2DAsync(void *to, size_t to_pitch, const void *from, size_t from_pitch,
                              size_t width, size_t height, enum cudaMemcpyKind kind, cudaStream_t s)
{
    ace_emulator_lock();
    bool up = kind == cudaMemcpyHostToDevice;
    copy c = {to, from, to_pitch, from_pitch, width, height};
    bool valid = up ? is_in_one_block(to, to_pitch, width, height)
                    : is_in_one_block(from, from_pitch, width, height);
    if (!valid) {
        return ace_emulator_leave(cudaErrorInvalidValue);
    }
    bool is_pinned = ace_emulator_find(card.pinned, up ? from : to) != NULL;
    if (!is_pinned && ace_emulator_is_captured(s)) { /* stricter than a card */
        ace_emulator_lose_capture();
        return ace_emulator_leave(cudaErrorStreamCaptureUnsupported);
    }
    ace_emulator_enqueue(s, run_copy, &c, sizeof c);
    if (!is_pinned || ace_emulator_setting("ACE_EMULATOR_EAGER", 0) != 0) {
        run_until(s, s->issued);
    }
    return ace_emulator_leave(cudaSuccess);
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind,
                            cudaStream_t s)
{
    return cudaMemcpy2DAsync(to, bytes, from, bytes, bytes, 1, kind, s);
}
