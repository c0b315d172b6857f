/* Device memory: every byte that the engine holds on the card is asked for here, and nowhere else,
 * so that the cap holds. A block counts as the pages that the driver takes for it. */
#include "base/checked.h"
#include "cuda_device.h"

static const double GIB = 1024.0 * 1024.0 * 1024.0;
static const size_t MALLOC_PAGE = (size_t)2 << 20; /* what cudaMalloc maps at a time */
static const size_t LARGEST_CONTEXT = (size_t)4 << 30;

static size_t pages_of(const ace_cuda *cuda, size_t bytes)
{
    size_t page = cuda->reservation.base != 0 ? cuda->reservation.page : MALLOC_PAGE;
    return ace_align_up(bytes != 0 ? bytes : 1, page);
}

/* What a block of this size finds under the cap. */
static bool exceeds_cap(const ace_cuda *cuda, size_t bytes)
{
    size_t sum;
    return bytes > SIZE_MAX / 2 ||
           ace_add_overflows(cuda->held + cuda->base.workspace_bytes, pages_of(cuda, bytes),
                             &sum) ||
           sum > cuda->cap;
}

static ace_status refuse(const ace_cuda *cuda, size_t bytes, const char *why, size_t free_bytes,
                         ace_error *err)
{
    return ace_fail(
        err, ACESTEP_MEMORY,
        "cuda: %.3f GB (%zu bytes) asked on card %d, %s: %.3f GB held, %.3f GB of "
        "context and workspace, a cap of %.3f GB, %.3f GB free on the card; close other programs "
        "that use it or choose a smaller configuration",
        (double)bytes / GIB, bytes, cuda->card, why, (double)cuda->held / GIB,
        (double)cuda->base.workspace_bytes / GIB, (double)cuda->cap / GIB,
        (double)free_bytes / GIB);
}

/* Free on the card as the driver sees it; 0 when it does not answer. */
static size_t driver_free(ace_cuda *cuda, size_t *total)
{
    size_t free_bytes = 0;
    *total = 0;
    (void)ace_cuda_check(cuda, cudaMemGetInfo(&free_bytes, total), "asking for free memory");
    return free_bytes;
}

/* ---- blocks
 * -------------------------------------------------------------------------------------- */

/* From cudaMalloc, where a card has no virtual-memory functions. */
static ace_cuda_took allocate(ace_cuda *cuda, size_t bytes, uint64_t *addr)
{
    void *block = NULL;
    cudaError_t code = cudaMalloc(&block, bytes);
    if (code == cudaErrorMemoryAllocation) {
        (void)cudaGetLastError(); /* this one is not sticky, but it is remembered */
        return ACE_CUDA_NO_MEMORY;
    }
    *addr = (uint64_t)(uintptr_t)block;
    return ace_cuda_check(cuda, code, "reserving memory") ? ACE_CUDA_TAKEN : ACE_CUDA_BROKEN;
}

/* Whole pages. */
static ace_cuda_took take(ace_cuda *cuda, size_t bytes, uint64_t *addr)
{
    return cuda->reservation.base != 0 ? ace_cuda_reservation_take(cuda, bytes, addr)
                                       : allocate(cuda, bytes, addr);
}

static void give(ace_cuda *cuda, uint64_t addr)
{
    if (cuda->reservation.base != 0) {
        ace_cuda_reservation_give(cuda, addr);
        return;
    }
    cudaError_t code = cudaFree((void *)(uintptr_t)addr);
    if (ace_cuda_is_alive(cuda)) {
        (void)ace_cuda_check(cuda, code, "giving memory back");
    }
}

ace_status ace_cuda_reserve(ace_device *device, size_t bytes, uint64_t *addr, ace_error *err)
{
    ace_cuda *cuda = ace_cuda_of(device);
    size_t total = 0;
    if (!ace_cuda_may_launch(cuda)) {
        return ace_cuda_dead(cuda, err);
    }
    if (exceeds_cap(cuda, bytes)) {
        return refuse(cuda, bytes, "too much", driver_free(cuda, &total), err);
    }
    switch (take(cuda, pages_of(cuda, bytes), addr)) {
    case ACE_CUDA_TAKEN:
        cuda->held += pages_of(cuda, bytes);
        return ACESTEP_OK;
    case ACE_CUDA_NO_MEMORY:
        return refuse(cuda, bytes, "which the driver does not have", driver_free(cuda, &total),
                      err);
    case ACE_CUDA_NO_PLACE:
        return refuse(cuda, bytes, "for which no run of addresses is left",
                      driver_free(cuda, &total), err);
    case ACE_CUDA_BROKEN:
        break;
    }
    return ace_cuda_dead(cuda, err);
}

/* Operations and copies may still be at work in the block: it goes when they are done. */
void ace_cuda_release(ace_device *device, uint64_t addr, size_t bytes)
{
    ace_cuda *cuda = ace_cuda_of(device);
    cuda->held -= pages_of(cuda, bytes);
    if (ace_cuda_may_launch(cuda)) {
        (void)ace_cuda_check(cuda, cudaStreamSynchronize(cuda->compute), "finishing operations");
        (void)ace_cuda_check(cuda, cudaStreamSynchronize(cuda->copy), "finishing copies");
    }
    give(cuda, addr);
}

/* While others hold memory too, what is free is what both cap and driver still have. */
void ace_cuda_memory(ace_device *device, ace_device_memory *out)
{
    ace_cuda *cuda = ace_cuda_of(device);
    size_t total = 0;
    size_t free_bytes = ace_cuda_may_launch(cuda) ? driver_free(cuda, &total) : 0;
    size_t taken = cuda->held + cuda->base.workspace_bytes;
    size_t under_cap = taken < cuda->cap ? cuda->cap - taken : 0;
    *out = (ace_device_memory){.total = total,
                               .free = free_bytes < under_cap ? free_bytes : under_cap,
                               .held = cuda->held};
}

/* ---- the device's own
 * ---------------------------------------------------------------------------- */

static void place_areas(ace_cuda *cuda)
{
    unsigned char *at = cuda->workspace;
    cuda->area.tables = at;
    at += ACE_CUDA_TABLE_BYTES;
    cuda->area.split = at;
    at += ACE_CUDA_SPLIT_BYTES;
    cuda->area.library = at;
    at += ACE_CUDA_LIBRARY_BYTES;
    cuda->area.inputs = at;
    at += ACE_CUDA_LIBRARY_BYTES;
    cuda->area.weights = at;
    at += ACE_CUDA_LIBRARY_BYTES;
    cuda->area.results = at;
}

/* What the context took: the driver's figures before and after. Other programs may come and go in
 * between, so it is believed within reason only. */
static void measure_context(ace_cuda *cuda, size_t before, size_t after)
{
    size_t taken = before > after ? before - after : 0;
    cuda->context = taken < LARGEST_CONTEXT ? taken : 0;
}

static void open_reservation(ace_cuda *cuda)
{
    const char *missing = ace_cuda_reservation_open(&cuda->reservation, cuda->card, cuda->cap);
    if (missing != NULL) {
        cuda->host->log(ACE_LOG_INFO, "cuda", "card %d: no virtual memory, %s; cudaMalloc is used",
                        cuda->card, missing);
    }
}

ace_status ace_cuda_open_memory(ace_cuda *cuda, const ace_plugin_options *options, ace_error *err)
{
    uint64_t addr = 0;
    size_t total = 0;
    size_t free_bytes = driver_free(cuda, &total);
    if (!ace_cuda_is_alive(cuda)) {
        return ace_cuda_dead(cuda, err);
    }
    measure_context(cuda, options->free_bytes, free_bytes);
    cuda->base.workspace_bytes = cuda->context;
    cuda->cap = options->cap_bytes < total ? options->cap_bytes : total;
    open_reservation(cuda);
    size_t bytes = pages_of(cuda, (size_t)ACE_CUDA_TABLE_BYTES + ACE_CUDA_SPLIT_BYTES +
                                      (size_t)4 * ACE_CUDA_LIBRARY_BYTES);
    if (exceeds_cap(cuda, bytes)) {
        return refuse(cuda, bytes, "the workspace alone is too much", free_bytes, err);
    }
    ace_cuda_took took = take(cuda, bytes, &addr);
    if (took == ACE_CUDA_BROKEN) {
        return ace_cuda_dead(cuda, err);
    }
    if (took != ACE_CUDA_TAKEN) {
        return refuse(cuda, bytes, "for the workspace, which the driver does not have", free_bytes,
                      err);
    }
    cuda->workspace = (unsigned char *)(uintptr_t)addr;
    cuda->base.workspace_bytes += bytes;
    place_areas(cuda);
    return ACESTEP_OK;
}

/* Of a dead device too: the host's records go. */
void ace_cuda_close_memory(ace_cuda *cuda)
{
    if (cuda->workspace != NULL) {
        give(cuda, (uint64_t)(uintptr_t)cuda->workspace);
    }
    ace_cuda_reservation_close(&cuda->reservation);
}
