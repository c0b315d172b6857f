/* A ring of pinned slots: the host fills one while the card copies from another. */
#include "cuda_device.h"

static bool allocate_slot(ace_cuda *cuda, ace_cuda_ring *ring, int i)
{
    void *slot = NULL;
    if (ring->pinned &&
        cudaHostAlloc(&slot, ACE_CUDA_SLOT_BYTES, cudaHostAllocDefault) != cudaSuccess) {
        (void)cudaGetLastError();
        return false;
    }
    if (!ring->pinned) {
        slot = cuda->host->allocate(ACE_CUDA_SLOT_BYTES, 1);
    }
    ring->slot[i] = slot;
    return slot != NULL;
}

static void free_slots(ace_cuda *cuda, ace_cuda_ring *ring)
{
    for (int i = 0; i < ACE_CUDA_SLOTS; i++) {
        if (ring->slot[i] != NULL && ring->pinned) {
            (void)cudaFreeHost(ring->slot[i]);
        } else {
            cuda->host->release(ring->slot[i]);
        }
        ring->slot[i] = NULL;
    }
}

static bool allocate_slots(ace_cuda *cuda, ace_cuda_ring *ring)
{
    bool complete = true;
    for (int i = 0; i < ACE_CUDA_SLOTS && complete; i++) {
        complete = allocate_slot(cuda, ring, i);
    }
    if (!complete) {
        free_slots(cuda, ring);
    }
    return complete;
}

/* Where nothing can be pinned (a limit of the system), copies from ordinary memory are slower. */
bool ace_cuda_ring_open(ace_cuda *cuda, ace_cuda_ring *ring, cudaStream_t stream)
{
    ring->stream = stream;
    ring->pinned = true;
    if (!allocate_slots(cuda, ring)) {
        ring->pinned = false;
        cuda->host->log(ACE_LOG_INFO, "cuda", "no pinned memory: copies will be slower");
        if (!allocate_slots(cuda, ring)) {
            return false;
        }
    }
    for (int i = 0; i < ACE_CUDA_SLOTS; i++) {
        if (!ace_cuda_check(cuda, cudaEventCreateWithFlags(&ring->free[i], cudaEventDisableTiming),
                            "making an event")) {
            return false;
        }
    }
    return true;
}

void ace_cuda_ring_close(ace_cuda *cuda, ace_cuda_ring *ring)
{
    for (int i = 0; i < ACE_CUDA_SLOTS; i++) {
        if (ring->free[i] != NULL) {
            (void)cudaEventDestroy(ring->free[i]);
        }
    }
    free_slots(cuda, ring);
}

unsigned char *ace_cuda_ring_take(ace_cuda *cuda, ace_cuda_ring *ring)
{
    if (!ace_cuda_may_launch(cuda) ||
        !ace_cuda_check(cuda, cudaEventSynchronize(ring->free[ring->next]), "copying")) {
        return NULL;
    }
    return ring->slot[ring->next];
}

void ace_cuda_ring_done(ace_cuda *cuda, ace_cuda_ring *ring)
{
    (void)ace_cuda_check(cuda, cudaEventRecord(ring->free[ring->next], ring->stream), "copying");
    ring->next = (ring->next + 1) % ACE_CUDA_SLOTS;
}
