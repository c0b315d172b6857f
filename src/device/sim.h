/* Inside of the simulated card, shared by its files and by nobody else. */
#ifndef ACE_DEVICE_SIM_H
#define ACE_DEVICE_SIM_H

#include "device/sim_device.h"

#include <pthread.h>

enum { ACE_SIM_MAX_HOOKS = 16, ACE_SIM_LABEL = 32 };

/* One reservation: where the card says it is, and where its bytes really are. */
typedef struct ace_sim_block {
    uint64_t zone;  /* first address handed out; a range without access rights */
    size_t mapped;  /* bytes of that range: whole pages */
    size_t bytes;   /* as asked for */
    uint64_t inner; /* address on the inner device */
} ace_sim_block;

/* What shall happen when a stage reserves memory. */
typedef struct ace_sim_hook {
    char stage[ACE_SIM_LABEL];
    uint64_t nth; /* fail_alloc: which reservation of the stage fails; 0: every one */
    size_t bytes; /* shrink: what others hold from the stage on */
} ace_sim_hook;

typedef struct ace_sim_hooks {
    ace_sim_hook fail[ACE_SIM_MAX_HOOKS], shrink[ACE_SIM_MAX_HOOKS];
    int n_fail, n_shrink;
    char stage[ACE_SIM_LABEL]; /* the label at the last reservation */
    uint64_t reservations;     /* under that label */
} ace_sim_hooks;

typedef struct ace_sim {
    ace_device base;
    ace_device *inner;
    size_t cap, used, held, peak; /* bytes; used: by other programs */
    ace_sim_hooks hooks;
    uint64_t trap; /* a page without access rights: where an address outside every block leads */

    pthread_mutex_t lock; /* of what follows: `write` may run beside the operations */
    ace_sim_block *blocks;
    int n_blocks, max_blocks;
    ace_sim_copies copies[ACE_SIM_MAX_COPIES];
    int n_copies;
} ace_sim;

static inline ace_sim *ace_sim_of(ace_device *device)
{
    return (ace_sim *)device;
}

/* sim_hooks.c */
ace_status ace_sim_hooks_read(ace_sim_hooks *hooks, const ace_sim_options *options, ace_error *err);
/* Counts a reservation of this stage (NULL: none is named). True: it shall fail. *used is set where
 * the stage lets another program take memory. */
bool ace_sim_hooks_fail(ace_sim_hooks *hooks, const char *stage, size_t *used);

/* sim_memory.c */
ace_status ace_sim_reserve(ace_device *, size_t bytes, uint64_t *addr, ace_error *);
void ace_sim_release(ace_device *, uint64_t addr, size_t bytes);
void ace_sim_memory(ace_device *, ace_device_memory *);
/* The inner device's address. To be called by the thread that reserves, or with the lock held. */
uint64_t ace_sim_inner(const ace_sim *sim, uint64_t addr);
/* Addresses without access rights behind them; 0 when the address space is exhausted. */
uint64_t ace_sim_map(size_t bytes);
void ace_sim_unmap(uint64_t addr, size_t bytes);

/* sim_copies.c: what crosses between host and device */
ace_status ace_sim_upload(ace_device *, ace_tensor to, const float *from, ace_error *);
ace_status ace_sim_download(ace_device *, float *to, ace_tensor from, ace_error *);
size_t ace_sim_matrix_bytes(const ace_device *, const ace_matrix_shape *);
ace_status ace_sim_matrix_pack(ace_device *, const ace_matrix *, const ace_matrix_part *,
                               int n_parts, ace_error *);
ace_status ace_sim_matrix_image(ace_device *, const ace_matrix_shape *, const ace_matrix_part *,
                                int n_parts, void *to, ace_error *);
ace_status ace_sim_write(ace_device *, uint64_t addr, const void *from, size_t bytes, ace_error *);

/* sim_operations.c */
void ace_sim_linear(ace_device *, ace_tensor y, ace_tensor x, const ace_matrix *,
                    const ace_epilogue *);
void ace_sim_conv(ace_device *, ace_tensor y, ace_tensor x, const ace_matrix *, const ace_conv *,
                  const ace_epilogue *);
void ace_sim_conv_transpose(ace_device *, ace_tensor y, ace_tensor x, const ace_matrix *,
                            const ace_conv_transpose *);
void ace_sim_rms_norm(ace_device *, ace_tensor y, ace_tensor x, const ace_norm *);
void ace_sim_head_norm(ace_device *, ace_tensor x, const ace_head_norm *);
void ace_sim_attention(ace_device *, ace_tensor y, ace_tensor q, ace_tensor k, ace_tensor v,
                       const ace_attention *);
void ace_sim_silu(ace_device *, ace_tensor y, ace_tensor x);
void ace_sim_silu_mul(ace_device *, ace_tensor y, ace_tensor gate, ace_tensor up);
void ace_sim_add(ace_device *, ace_tensor y, ace_tensor a, ace_tensor b);
void ace_sim_copy(ace_device *, ace_tensor y, ace_tensor x);
void ace_sim_fill(ace_device *, ace_tensor y, float value);
void ace_sim_scatter(ace_device *, ace_tensor y, ace_tensor x, const ace_scatter *);
void ace_sim_mix(ace_device *, ace_tensor y, ace_tensor x, const ace_mix *);

#endif
