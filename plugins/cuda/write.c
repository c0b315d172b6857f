/* Weights that another thread brings, over the second stream: what they replace is read by
 * operations issued before, and what is issued afterwards reads them. */
#include "cuda_device.h"

#include <string.h>

/* An event that is recorded anew before its ticket was used stands for later work, which includes
 * the earlier: then somebody waits too long, never too short. Nobody waits for what is not issued
 * yet, so that no two wait for each other. */
static cudaEvent_t event_of(const ace_cuda_tickets *tickets, uint64_t ticket)
{
    return tickets->event[ticket % ACE_CUDA_TICKETS];
}

static uint64_t record(ace_cuda *cuda, ace_cuda_tickets *tickets, cudaStream_t stream)
{
    uint64_t ticket = ++tickets->last;
    (void)ace_cuda_check(cuda, cudaEventRecord(event_of(tickets, ticket), stream),
                         "marking a place among the operations");
    return ticket;
}

bool ace_cuda_tickets_open(ace_cuda *cuda, ace_cuda_tickets *tickets)
{
    bool well = true;
    for (int i = 0; i < ACE_CUDA_TICKETS && well; i++) {
        well = ace_cuda_check(cuda,
                              cudaEventCreateWithFlags(&tickets->event[i], cudaEventDisableTiming),
                              "making an event");
    }
    return well;
}

void ace_cuda_tickets_close(ace_cuda_tickets *tickets)
{
    for (int i = 0; i < ACE_CUDA_TICKETS; i++) {
        if (tickets->event[i] != NULL) {
            (void)cudaEventDestroy(tickets->event[i]);
        }
    }
}

/* Behind `after`, in the order of the second stream. */
static bool issue_copies(ace_cuda *cuda, cudaEvent_t after, uint64_t addr,
                         const unsigned char *from, size_t bytes)
{
    bool well = ace_cuda_may_launch(cuda) &&
                ace_cuda_check(cuda, cudaStreamWaitEvent(cuda->copy, after, 0), "copying weights");
    for (size_t done = 0; well && done < bytes;) {
        size_t n = bytes - done < ACE_CUDA_SLOT_BYTES ? bytes - done : ACE_CUDA_SLOT_BYTES;
        unsigned char *slot = ace_cuda_ring_take(cuda, &cuda->side);
        if (slot == NULL) {
            return false;
        }
        memcpy(slot, from + done, n);
        well = ace_cuda_check(cuda,
                              cudaMemcpyAsync((void *)(uintptr_t)(addr + done), slot, n,
                                              cudaMemcpyHostToDevice, cuda->copy),
                              "copying weights to the card");
        ace_cuda_ring_done(cuda, &cuda->side);
        done += n;
    }
    return well;
}

/* Waits for all operations so far, and the caller for the copies. */
ace_status ace_cuda_write(ace_device *device, uint64_t addr, const void *from, size_t bytes,
                          ace_error *err)
{
    ace_cuda *cuda = ace_cuda_of(device);
    (void)pthread_mutex_lock(&cuda->writing);
    bool well = ace_cuda_may_launch(cuda) && ace_cuda_mark_issued(cuda) &&
                issue_copies(cuda, cuda->issued, addr, from, bytes) &&
                ace_cuda_check(cuda, cudaStreamSynchronize(cuda->copy), "copying weights");
    (void)pthread_mutex_unlock(&cuda->writing);
    return well ? ACESTEP_OK : ace_cuda_dead(cuda, err);
}

uint64_t ace_cuda_mark(ace_device *device)
{
    ace_cuda *cuda = ace_cuda_of(device);
    return ace_cuda_may_launch(cuda) ? record(cuda, &cuda->marks, cuda->compute) : 0;
}

ace_status ace_cuda_write_after(ace_device *device, uint64_t mark, uint64_t addr, const void *from,
                                size_t bytes, uint64_t *written, ace_error *err)
{
    ace_cuda *cuda = ace_cuda_of(device);
    (void)pthread_mutex_lock(&cuda->writing);
    bool well = issue_copies(cuda, event_of(&cuda->marks, mark), addr, from, bytes);
    *written = well ? record(cuda, &cuda->written, cuda->copy) : 0;
    (void)pthread_mutex_unlock(&cuda->writing);
    return well && ace_cuda_is_alive(cuda) ? ACESTEP_OK : ace_cuda_dead(cuda, err);
}

void ace_cuda_await(ace_device *device, uint64_t written)
{
    ace_cuda *cuda = ace_cuda_of(device);
    if (ace_cuda_may_launch(cuda)) {
        (void)ace_cuda_check(
            cuda, cudaStreamWaitEvent(cuda->compute, event_of(&cuda->written, written), 0),
            "waiting for weights");
    }
}
