/* Inside of the emulated card. */
#ifndef ACE_EMULATOR_RUNTIME_H
#define ACE_EMULATOR_RUNTIME_H

#include "cuda_runtime_api.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ACE_EMULATOR_NAME "emulated card (no GPU)"
#define ACE_EMULATOR_PAGE ((size_t)2 << 20)

/* Of one card, from the environment. */
size_t ace_emulator_total(void);
int ace_emulator_cards(void);
int ace_emulator_capability(void);
long ace_emulator_setting(const char *name, long otherwise);

enum { ACE_EMULATOR_BLOCKS = 4096 };

typedef struct ace_emulator_block {
    unsigned char *memory;
    size_t bytes;
    bool is_mapped; /* by virtual_memory.c, and not cudaFree's */
} ace_emulator_block;

typedef struct ace_emulator_card {
    ace_emulator_block device[ACE_EMULATOR_BLOCKS], pinned[ACE_EMULATOR_BLOCKS];
    size_t held;
    bool has_context;
    cudaError_t broken; /* sticky */
    cudaError_t last;
    uint64_t kernels;
    long resets;
} ace_emulator_card;

/* Between lock and unlock, or leave, which gives back what the call is to return. */
extern ace_emulator_card ace_emulator_state;
void ace_emulator_lock(void);
void ace_emulator_unlock(void);
cudaError_t ace_emulator_leave(cudaError_t code);

/* Kernels that have run so far: for tests. */
uint64_t ace_emulator_kernels(void);

/* Mapped memory goes, with or without a handle; reserved addresses stay (virtual_memory.c). */
void ace_emulator_unmap_all(void);

/* context.c: held and what the context takes; a kernel runs; the context goes; modules loaded in
 * advance. */
size_t ace_emulator_taken(void);
void ace_emulator_note_kernel(void);
void ace_emulator_end_context(void);
int ace_emulator_modules(void);

/* Room for a block in a table; NULL when it is full. */
ace_emulator_block *ace_emulator_empty_place(ace_emulator_block *table);

/* graphs.c */
/* True when the stream is being captured, and the task is in its graph in place of the stream. */
bool ace_emulator_capture(cudaStream_t stream, ace_emulator_task *task, const void *context,
                          size_t bytes, bool is_kernel);
bool ace_emulator_is_captured(cudaStream_t stream);
/* True for a call that may not be made while this thread captures: the capture is lost. */
bool ace_emulator_is_forbidden(void);
void ace_emulator_lose_capture(void);

/* The block that holds this address; NULL: none. */
ace_emulator_block *ace_emulator_find(ace_emulator_block *table, const void *inside);

#endif
