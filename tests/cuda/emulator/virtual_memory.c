/* The driver's virtual-memory functions: addresses are ones of this process, memory behind them is
 * there only while it is mapped. What touches memory before it has access or after it was unmapped
 * ends the program, as a card's fault would. Wrong sizes and places are errors. */
#define _DEFAULT_SOURCE /* mmap's flags */
#include "runtime.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define card ace_emulator_state

enum { SUCCESS = 0, INVALID = 1, NO_MEMORY = 2, UNKNOWN = 999, MOST = 512 };

/* CUmemAllocationProp and CUmemAccessDesc as far as they are looked at. */
typedef struct allocation_wish {
    int type, handle_types, where, device;
} allocation_wish;

typedef struct access_wish {
    int where, device, flags;
} access_wish;

typedef struct range {
    uint64_t addr; /* 0: an empty place */
    size_t bytes;
} range;

/* Physical memory: gone when neither handle nor mapping is left. */
typedef struct memory {
    size_t bytes; /* 0: an empty place */
    bool has_handle;
    uint64_t addr; /* where it is mapped; 0: nowhere */
    bool has_access;
} memory;

static range reserved[MOST];
static memory physical[MOST];
static long calls;

int cuMemGetAllocationGranularity(size_t *bytes, const allocation_wish *wish, int option);
int cuMemAddressReserve(uint64_t *addr, size_t bytes, size_t alignment, uint64_t wanted,
                        unsigned long long flags);
int cuMemAddressFree(uint64_t addr, size_t bytes);
int cuMemCreate(uint64_t *handle, size_t bytes, const allocation_wish *wish,
                unsigned long long flags);
int cuMemRelease(uint64_t handle);
int cuMemMap(uint64_t addr, size_t bytes, size_t offset, uint64_t handle, unsigned long long flags);
int cuMemUnmap(uint64_t addr, size_t bytes);
int cuMemSetAccess(uint64_t addr, size_t bytes, const access_wish *wish, size_t count);
/* The tests' own: ranges and physical memory that are still there; calls made so far are forgotten.
 */
int ace_emulator_leftovers(void);
void ace_emulator_count_calls_anew(void);

/* ---- common
 * -------------------------------------------------------------------------------------- */

/* Begins a call; what is not 0 is what it fails with. */
static int enter(void)
{
    ace_emulator_lock();
    calls++;
    return calls == ace_emulator_setting("ACE_EMULATOR_FAIL_CALL", 0)
               ? (int)ace_emulator_setting("ACE_EMULATOR_FAIL_CODE", UNKNOWN)
           : card.broken != cudaSuccess ? (int)card.broken
                                        : SUCCESS;
}

static int leave(int code)
{
    ace_emulator_unlock();
    return code;
}

static bool is_pages(uint64_t n)
{
    return n != 0 && n % ACE_EMULATOR_PAGE == 0;
}

static void *pointer(uint64_t addr)
{
    return (void *)(uintptr_t)addr;
}

static bool overlap(uint64_t a, size_t a_bytes, uint64_t b, size_t b_bytes)
{
    return a < b + b_bytes && b < a + a_bytes;
}

static range *range_around(uint64_t addr, size_t bytes)
{
    for (int i = 0; i < MOST; i++) {
        range *r = &reserved[i];
        if (r->addr != 0 && addr >= r->addr && addr + bytes <= r->addr + r->bytes) {
            return r;
        }
    }
    return NULL;
}

/* The memory that is mapped somewhere in these addresses. */
static memory *memory_in(uint64_t addr, size_t bytes)
{
    for (int i = 0; i < MOST; i++) {
        memory *m = &physical[i];
        if (m->addr != 0 && overlap(addr, bytes, m->addr, m->bytes)) {
            return m;
        }
    }
    return NULL;
}

static memory *memory_of(uint64_t handle)
{
    memory *m = handle >= 1 && handle <= MOST ? &physical[handle - 1] : NULL;
    return m != NULL && m->has_handle ? m : NULL;
}

static void drop_unless_used(memory *m)
{
    if (!m->has_handle && m->addr == 0) {
        card.held -= m->bytes;
        *m = (memory){0};
    }
}

int ace_emulator_leftovers(void)
{
    int n = 0;
    for (int i = 0; i < MOST; i++) {
        n += (reserved[i].addr != 0) + (physical[i].bytes != 0);
    }
    return n;
}

void ace_emulator_count_calls_anew(void)
{
    calls = 0;
}

/* ---- faults
 * -------------------------------------------------------------------------------------- */

static struct sigaction former;

/* Addresses of the card that no memory is behind; what else goes wrong is not ours. */
static void fault(int signal, siginfo_t *where, void *context)
{
    static const char message[] = "emulator: memory is touched that is not mapped\n";
    (void)context;
    if (range_around((uint64_t)(uintptr_t)where->si_addr, 1) != NULL) {
        (void)!write(STDERR_FILENO, message, sizeof message - 1);
        abort();
    }
    (void)sigaction(signal, &former, NULL); /* and it happens again */
}

static void watch_for_faults(void)
{
    struct sigaction ours = {.sa_flags = SA_SIGINFO, .sa_sigaction = fault};
    struct sigaction now;
    (void)sigemptyset(&ours.sa_mask);
    if (sigaction(SIGSEGV, &ours, &now) == 0 &&
        ((now.sa_flags & SA_SIGINFO) == 0 || now.sa_sigaction != fault)) {
        former = now;
    }
}

/* ---- addresses
 * ----------------------------------------------------------------------------------- */

int cuMemGetAllocationGranularity(size_t *bytes, const allocation_wish *wish, int option)
{
    int failed = enter();
    if (failed != SUCCESS || wish->type != 1 || wish->where != 1 || (option & ~1) != 0) {
        return leave(failed != SUCCESS ? failed : INVALID);
    }
    *bytes = ACE_EMULATOR_PAGE;
    return leave(SUCCESS);
}

/* Aligned to a page of the card, which is larger than one of the host. */
static uint64_t aligned_addresses(size_t bytes)
{
    size_t room = bytes + ACE_EMULATOR_PAGE;
    unsigned char *all =
        mmap(NULL, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (all == MAP_FAILED) {
        return 0;
    }
    size_t before = (ACE_EMULATOR_PAGE - (uintptr_t)all % ACE_EMULATOR_PAGE) % ACE_EMULATOR_PAGE;
    if (before != 0) {
        (void)munmap(all, before);
    }
    (void)munmap(all + before + bytes, ACE_EMULATOR_PAGE - before);
    return (uint64_t)(uintptr_t)(all + before);
}

int cuMemAddressReserve(uint64_t *addr, size_t bytes, size_t alignment, uint64_t wanted,
                        unsigned long long flags)
{
    int code = enter();
    int i = 0;
    while (i < MOST && reserved[i].addr != 0) {
        i++;
    }
    if (code == SUCCESS &&
        (!is_pages(bytes) || alignment > ACE_EMULATOR_PAGE || wanted != 0 || flags != 0)) {
        code = INVALID;
    }
    uint64_t found = code == SUCCESS && i < MOST ? aligned_addresses(bytes) : 0;
    if (found == 0) {
        return leave(code != SUCCESS ? code : NO_MEMORY);
    }
    watch_for_faults();
    reserved[i] = (range){found, bytes};
    *addr = found;
    return leave(SUCCESS);
}

int cuMemAddressFree(uint64_t addr, size_t bytes)
{
    int failed = enter();
    range *r = range_around(addr, bytes);
    if (failed != SUCCESS || r == NULL || r->addr != addr || r->bytes != bytes ||
        memory_in(addr, bytes) != NULL) {
        return leave(failed != SUCCESS ? failed : INVALID);
    }
    (void)munmap(pointer(addr), bytes);
    *r = (range){0};
    return leave(SUCCESS);
}

/* ---- memory
 * -------------------------------------------------------------------------------------- */

int cuMemCreate(uint64_t *handle, size_t bytes, const allocation_wish *wish,
                unsigned long long flags)
{
    int failed = enter();
    int i = 0;
    while (i < MOST && physical[i].bytes != 0) {
        i++;
    }
    if (failed != SUCCESS || !is_pages(bytes) || wish->type != 1 || wish->where != 1 ||
        wish->device >= ace_emulator_cards() || flags != 0) {
        return leave(failed != SUCCESS ? failed : INVALID);
    }
    card.has_context = true;
    if (i == MOST || bytes > ace_emulator_total() ||
        ace_emulator_taken() + bytes > ace_emulator_total()) {
        return leave(NO_MEMORY);
    }
    physical[i] = (memory){.bytes = bytes, .has_handle = true};
    card.held += bytes;
    (void)ace_emulator_taken(); /* a new peak, maybe */
    *handle = (uint64_t)i + 1;
    return leave(SUCCESS);
}

int cuMemRelease(uint64_t handle)
{
    int failed = enter();
    memory *m = memory_of(handle);
    if (failed != SUCCESS || m == NULL) {
        return leave(failed != SUCCESS ? failed : INVALID);
    }
    m->has_handle = false;
    drop_unless_used(m);
    return leave(SUCCESS);
}

int cuMemMap(uint64_t addr, size_t bytes, size_t offset, uint64_t handle, unsigned long long flags)
{
    int failed = enter();
    memory *m = memory_of(handle);
    if (failed != SUCCESS || m == NULL || m->addr != 0 || m->bytes != bytes || offset != 0 ||
        flags != 0 || addr % ACE_EMULATOR_PAGE != 0 || range_around(addr, bytes) == NULL ||
        memory_in(addr, bytes) != NULL) {
        return leave(failed != SUCCESS ? failed : INVALID);
    }
    m->addr = addr;
    return leave(SUCCESS);
}

/* New memory holds NaN, as f32 and as bf16. */
int cuMemSetAccess(uint64_t addr, size_t bytes, const access_wish *wish, size_t count)
{
    int failed = enter();
    memory *m = memory_in(addr, bytes);
    ace_emulator_block *b = ace_emulator_empty_place(card.device);
    if (failed != SUCCESS || m == NULL || m->addr != addr || m->bytes != bytes || count != 1 ||
        wish->where != 1 || wish->flags != 3 || m->has_access || b == NULL) {
        return leave(failed != SUCCESS ? failed : INVALID);
    }
    if (mprotect(pointer(addr), bytes, PROT_READ | PROT_WRITE) != 0) {
        return leave(NO_MEMORY);
    }
    memset(pointer(addr), 0xff, bytes);
    m->has_access = true;
    *b = (ace_emulator_block){.memory = pointer(addr), .bytes = bytes, .is_mapped = true};
    return leave(SUCCESS);
}

static void unmap(memory *m)
{
    if (m->has_access) {
        (void)mmap(pointer(m->addr), m->bytes, PROT_NONE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
        *ace_emulator_find(card.device, pointer(m->addr)) = (ace_emulator_block){0};
    }
    m->addr = 0;
    m->has_access = false;
    drop_unless_used(m);
}

/* Waits for nothing: work put off that needs the memory finds none. */
int cuMemUnmap(uint64_t addr, size_t bytes)
{
    int failed = enter();
    memory *m = memory_in(addr, bytes);
    if (failed != SUCCESS || m == NULL || m->addr != addr || m->bytes != bytes) {
        return leave(failed != SUCCESS ? failed : INVALID);
    }
    unmap(m);
    return leave(SUCCESS);
}

void ace_emulator_unmap_all(void)
{
    for (int i = 0; i < MOST; i++) {
        physical[i].has_handle = false;
        if (physical[i].addr != 0) {
            unmap(&physical[i]);
        }
        physical[i] = (memory){0};
    }
}
