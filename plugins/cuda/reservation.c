#include "reservation.h"

#include "base/checked.h"
#include "cuda_device.h"

#include <dlfcn.h>
#include <string.h>

enum { HEAD_ROOM = 2 }; /* times the cap: addresses cost nothing, and blocks leave gaps */

/* ---- the driver
 * ---------------------------------------------------------------------------------- */

/* A function of the library; POSIX gives data pointers. */
static bool find(void *library, const char *name, void *function)
{
    void *symbol = dlsym(library, name);
    memcpy(function, &symbol, sizeof symbol);
    return symbol != NULL;
}

/* The library is there already, the runtime has loaded it; it stays. */
static bool find_all(ace_cu_functions *cu)
{
    const struct {
        const char *name;
        void *function;
    } wanted[] = {{"cuDeviceGet", &cu->device_get},
                  {"cuDeviceGetAttribute", &cu->attribute},
                  {"cuMemGetAllocationGranularity", &cu->granularity},
                  {"cuMemAddressReserve", &cu->address_reserve},
                  {"cuMemAddressFree", &cu->address_free},
                  {"cuMemCreate", &cu->create},
                  {"cuMemRelease", &cu->release},
                  {"cuMemMap", &cu->map},
                  {"cuMemUnmap", &cu->unmap},
                  {"cuMemSetAccess", &cu->set_access}};
    void *library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    bool complete = library != NULL;
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted && complete; i++) {
        complete = find(library, wanted[i].name, wanted[i].function);
    }
    return complete;
}

static ace_cu_location place_of(const ace_cuda_reservation *r)
{
    return (ace_cu_location){.type = ACE_CU_ON_DEVICE, .id = r->device};
}

static ace_cu_allocation allocation_of(const ace_cuda_reservation *r)
{
    return (ace_cu_allocation){.type = ACE_CU_PINNED, .location = place_of(r)};
}

/* ---- opening
 * ------------------------------------------------------------------------------------- */

const char *ace_cuda_reservation_open(ace_cuda_reservation *r, int card, size_t cap)
{
    int supported = 0;
    if (!find_all(&r->cu)) {
        return "the driver has no functions for it";
    }
    if (r->cu.device_get(&r->device, card) != ACE_CU_SUCCESS ||
        r->cu.attribute(&supported, ACE_CU_HAS_VIRTUAL_MEMORY, r->device) != ACE_CU_SUCCESS ||
        supported == 0) {
        return "the card does not offer it";
    }
    const ace_cu_allocation allocation = allocation_of(r);
    if (r->cu.granularity(&r->page, &allocation, ACE_CU_RECOMMENDED) != ACE_CU_SUCCESS ||
        r->page == 0 || (r->page & (r->page - 1)) != 0) {
        return "the driver names no size of its pages";
    }
    r->bytes = HEAD_ROOM * ace_align_up(cap, r->page);
    uint64_t base = 0;
    if (r->cu.address_reserve(&base, r->bytes, r->page, 0, 0) != ACE_CU_SUCCESS) {
        return "the driver has not enough addresses";
    }
    r->base = base;
    return NULL;
}

void ace_cuda_reservation_close(ace_cuda_reservation *r)
{
    if (r->base == 0) {
        return;
    }
    for (int i = 0; i < r->n_blocks; i++) {
        (void)r->cu.unmap(r->block[i].addr, r->block[i].bytes);
    }
    if (r->stray != 0) {
        (void)r->cu.release(r->stray);
    }
    if (r->cu.address_free(r->base, r->bytes) == ACE_CU_SUCCESS) {
        r->base = 0;
    }
}

/* ---- blocks
 * -------------------------------------------------------------------------------------- */

/* The first gap that is large enough: the number of the block behind it, and where it starts.
 * -1: none. */
static int find_gap(const ace_cuda_reservation *r, size_t bytes, uint64_t *addr)
{
    *addr = r->base;
    for (int i = 0; i < r->n_blocks; i++) {
        if (r->block[i].addr - *addr >= bytes) {
            return i;
        }
        *addr = r->block[i].addr + r->block[i].bytes;
    }
    bool fits = bytes <= r->bytes && *addr - r->base <= r->bytes - bytes;
    return fits ? r->n_blocks : -1;
}

/* Physical memory behind addresses. The mapping keeps it, the handle can go at once. */
static int map_memory(ace_cuda_reservation *r, uint64_t addr, size_t bytes)
{
    const ace_cu_allocation allocation = allocation_of(r);
    const ace_cu_access access = {.location = place_of(r), .flags = ACE_CU_READ_AND_WRITE};
    uint64_t handle = 0;
    int code = r->cu.create(&handle, bytes, &allocation, 0);
    if (code != ACE_CU_SUCCESS) {
        return code;
    }
    code = r->cu.map(addr, bytes, 0, handle, 0);
    bool is_mapped = code == ACE_CU_SUCCESS;
    int released = r->cu.release(handle);
    r->stray = released != ACE_CU_SUCCESS ? handle : r->stray;
    code = is_mapped ? released : code;
    if (code == ACE_CU_SUCCESS) {
        code = r->cu.set_access(addr, bytes, &access, 1);
    }
    if (is_mapped && code != ACE_CU_SUCCESS) {
        (void)r->cu.unmap(addr, bytes);
    }
    return code;
}

ace_cuda_took ace_cuda_reservation_take(ace_cuda *cuda, size_t bytes, uint64_t *addr)
{
    ace_cuda_reservation *r = &cuda->reservation;
    uint64_t start = 0;
    int at = r->n_blocks < ACE_CUDA_MAX_BLOCKS ? find_gap(r, bytes, &start) : -1;
    if (at < 0) {
        return ACE_CUDA_NO_PLACE;
    }
    int code = map_memory(r, start, bytes);
    if (code == ACE_CU_OUT_OF_MEMORY) {
        return ACE_CUDA_NO_MEMORY;
    }
    if (code != ACE_CU_SUCCESS) {
        ace_cuda_give_up(cuda, "error %d of the driver while mapping memory", code);
        return ACE_CUDA_BROKEN;
    }
    memmove(&r->block[at + 1], &r->block[at], (size_t)(r->n_blocks - at) * sizeof *r->block);
    r->block[at] = (ace_cuda_block){start, bytes};
    r->n_blocks++;
    *addr = start;
    return ACE_CUDA_TAKEN;
}

void ace_cuda_reservation_give(ace_cuda *cuda, uint64_t addr)
{
    ace_cuda_reservation *r = &cuda->reservation;
    int at = 0;
    while (at < r->n_blocks && r->block[at].addr != addr) {
        at++;
    }
    if (at == r->n_blocks) {
        return;
    }
    int code = r->cu.unmap(addr, r->block[at].bytes);
    if (code != ACE_CU_SUCCESS) { /* closing tries again */
        ace_cuda_give_up(cuda, "error %d of the driver while giving memory back", code);
        return;
    }
    r->n_blocks--;
    memmove(&r->block[at], &r->block[at + 1], (size_t)(r->n_blocks - at) * sizeof *r->block);
}
