/* One run of the card's addresses, reserved when the device is opened. A block takes a part of it
 * and has physical memory mapped there; when it goes, the memory goes back to the driver, and other
 * programs can have it. Blocks that come and go leave gaps among addresses only, of which there are
 * plenty, and never in memory.
 *
 * The driver's virtual-memory functions are declared here, as far as they are used, and looked for
 * at run time: reservation_check.c holds the numbers against the vendor's header where there is
 * one. */
#ifndef ACE_CUDA_RESERVATION_H
#define ACE_CUDA_RESERVATION_H

#include <stddef.h>
#include <stdint.h>

struct ace_cuda;

/* numbers of cuda.h */
enum {
    ACE_CU_SUCCESS = 0,
    ACE_CU_OUT_OF_MEMORY = 2,
    ACE_CU_HAS_VIRTUAL_MEMORY = 102, /* attribute of a card */
    ACE_CU_PINNED = 1,               /* type of an allocation */
    ACE_CU_ON_DEVICE = 1,            /* type of a location */
    ACE_CU_READ_AND_WRITE = 3,
    ACE_CU_RECOMMENDED = 1 /* granularity: the best for speed */
};

typedef struct ace_cu_location {
    int type, id;
} ace_cu_location;

/* CUmemAllocationProp */
typedef struct ace_cu_allocation {
    int type, handle_types;
    ace_cu_location location;
    void *unused;
    unsigned char flags[8];
} ace_cu_allocation;

/* CUmemAccessDesc */
typedef struct ace_cu_access {
    ace_cu_location location;
    int flags;
} ace_cu_access;

typedef struct ace_cu_functions {
    int (*device_get)(int *device, int ordinal);
    int (*attribute)(int *value, int attribute, int device);
    int (*granularity)(size_t *bytes, const ace_cu_allocation *, int option);
    int (*address_reserve)(uint64_t *addr, size_t bytes, size_t alignment, uint64_t wanted,
                           unsigned long long flags);
    int (*address_free)(uint64_t addr, size_t bytes);
    int (*create)(uint64_t *handle, size_t bytes, const ace_cu_allocation *,
                  unsigned long long flags);
    int (*release)(uint64_t handle);
    int (*map)(uint64_t addr, size_t bytes, size_t offset, uint64_t handle,
               unsigned long long flags);
    int (*unmap)(uint64_t addr, size_t bytes);
    int (*set_access)(uint64_t addr, size_t bytes, const ace_cu_access *, size_t count);
} ace_cu_functions;

enum { ACE_CUDA_MAX_BLOCKS = 256 };

typedef struct ace_cuda_block {
    uint64_t addr;
    size_t bytes;
} ace_cuda_block;

typedef struct ace_cuda_reservation {
    ace_cu_functions cu;
    int device;    /* the driver's */
    size_t page;   /* every block is a multiple of it */
    uint64_t base; /* 0: there is none */
    size_t bytes;
    ace_cuda_block block[ACE_CUDA_MAX_BLOCKS]; /* by rising address */
    int n_blocks;
    uint64_t stray; /* a handle that the driver did not take back: closing tries again */
} ace_cuda_reservation;

typedef enum ace_cuda_took {
    ACE_CUDA_TAKEN,
    ACE_CUDA_NO_MEMORY, /* the driver has none */
    ACE_CUDA_NO_PLACE,  /* no gap among the addresses is large enough */
    ACE_CUDA_BROKEN     /* the device is dead */
} ace_cuda_took;

/* Addresses for blocks of `cap` bytes in all. NULL, or what the card or its driver is lacking: then
 * there is no reservation. */
const char *ace_cuda_reservation_open(ace_cuda_reservation *r, int card, size_t cap);
/* A broken context may refuse it: once it is gone, this is called again. */
void ace_cuda_reservation_close(ace_cuda_reservation *r);
/* bytes: whole pages. */
ace_cuda_took ace_cuda_reservation_take(struct ace_cuda *cuda, size_t bytes, uint64_t *addr);
/* Nothing reads or writes the block any more. */
void ace_cuda_reservation_give(struct ace_cuda *cuda, uint64_t addr);

#endif
