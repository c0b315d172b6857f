/* Inside of the CUDA device, shared by the plug-in's host files and by nobody else.
 *
 * One stream computes: operations, uploads, downloads and the tables of attention go through it in
 * the order of their calls. A second stream takes the weights that another thread brings (write.c):
 * each stream waits for the other by events, where it has to.
 *
 * Every byte on the card comes from memory.c and counts against the cap. After an error that the
 * driver calls sticky the device is dead: its operations do nothing, and whatever can report says
 * why. */
#ifndef ACE_CUDA_DEVICE_H
#define ACE_CUDA_DEVICE_H

#include "context.h"
#include "device/plugin.h"
#include "kernels.h"
#include "library.h"
#include "reservation.h"
#include "steps.h"

#include <cuda_runtime_api.h>
#include <pthread.h>
#include <stdatomic.h>

/* ring slots, and the areas of the workspace */
enum {
    ACE_CUDA_SLOTS = 4, /* of a ring of pinned memory */
    ACE_CUDA_SLOT_BYTES = 4 << 20,
    ACE_CUDA_TABLE_BYTES = 1 << 20,    /* attention's host tables of one launch */
    ACE_CUDA_SPLIT_BYTES = 8 << 20,    /* partial results of attention with few queries */
    ACE_CUDA_LIBRARY_BYTES = 16 << 20, /* each of four: for the library, inputs, weights, results */
    ACE_CUDA_ALIGNMENT = 256
};

/* Host memory that the card reads and writes by itself, used in turn. */
typedef struct ace_cuda_ring {
    unsigned char *slot[ACE_CUDA_SLOTS];
    cudaEvent_t free[ACE_CUDA_SLOTS]; /* recorded behind the last copy of a slot */
    cudaStream_t stream;
    bool pinned; /* false: ordinary memory, where none could be pinned */
    int next;
} ace_cuda_ring;

/* Places in a stream that the other one can wait for, by number. */
enum { ACE_CUDA_TICKETS = 8 };
typedef struct ace_cuda_tickets {
    cudaEvent_t event[ACE_CUDA_TICKETS];
    uint64_t last;
} ace_cuda_tickets;

typedef struct ace_cuda {
    ace_device base;
    struct ace_cuda *next; /* of the open devices: cards.c */
    bool has_context;
    const ace_plugin_services *host;
    ace_pool *pool; /* borrowed; NULL: one thread packs */
    int card;
    char card_name[96];
    int capability;       /* 10 · major + minor */
    int processors;       /* multiprocessors */
    bool flash_attention; /* other kernels of attention than the general one */

    ace_cuda_reservation reservation;
    size_t cap, held, context; /* bytes; context: as measured, part of base.workspace_bytes */
    unsigned char *workspace;  /* on the card */
    struct {
        unsigned char *tables, *split, *library, *inputs, *weights, *results;
    } area; /* of the workspace */

    cudaStream_t compute;
    cudaStream_t copy;
    cudaEvent_t issued;       /* what `write` waits for */
    ace_cuda_ring up;         /* of compute */
    ace_cuda_ring side;       /* of copy */
    ace_cuda_tickets marks;   /* in compute */
    ace_cuda_tickets written; /* in copy, with `writing` */
    pthread_mutex_t writing;
    ace_cuda_steps steps;

    atomic_bool dead;
    pthread_mutex_t telling;
    char cause[512]; /* why it is dead */

    ace_cuda_library library;
} ace_cuda;

static inline ace_cuda *ace_cuda_of(ace_device *device)
{
    return (ace_cuda *)device;
}

/* errors.c */
/* True when the call went well. Else the device is dead; `doing` is said in the message. */
bool ace_cuda_check(ace_cuda *cuda, cudaError_t code, const char *doing);
/* The same for the launch of a kernel just made. */
void ace_cuda_check_launch(ace_cuda *cuda, const char *operation);
/* Something the device cannot do, which only an operation without a result has found out. */
void ace_cuda_give_up(ace_cuda *cuda, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
bool ace_cuda_is_alive(ace_cuda *cuda);
/* Before any call of the driver: chooses the card, which is a matter of each thread. False on a
 * dead device. */
bool ace_cuda_may_launch(ace_cuda *cuda);
/* The error of a dead device. */
ace_status ace_cuda_dead(ace_cuda *cuda, ace_error *err);

/* cards.c */
/* Before anything else is asked of the card: fails while its context is broken. */
ace_status ace_cuda_card_enter(ace_cuda *cuda, ace_error *err);
/* After everything: the last device on a card with a broken context resets it. */
void ace_cuda_card_leave(ace_cuda *cuda);
/* A sticky error: all devices on the card are dead. */
void ace_cuda_card_fails(int card, const char *cause);

/* memory.c */
ace_status ace_cuda_open_memory(ace_cuda *cuda, const ace_plugin_options *options, ace_error *err);
void ace_cuda_close_memory(ace_cuda *cuda);
ace_status ace_cuda_reserve(ace_device *, size_t bytes, uint64_t *addr, ace_error *);
void ace_cuda_release(ace_device *, uint64_t addr, size_t bytes);
void ace_cuda_memory(ace_device *, ace_device_memory *);

/* ring.c */
bool ace_cuda_ring_open(ace_cuda *cuda, ace_cuda_ring *ring, cudaStream_t stream);
void ace_cuda_ring_close(ace_cuda *cuda, ace_cuda_ring *ring);
/* The next slot, when the card is done with it; NULL on a dead device. */
unsigned char *ace_cuda_ring_take(ace_cuda *cuda, ace_cuda_ring *ring);
/* Copies of the slot taken last have been issued. */
void ace_cuda_ring_done(ace_cuda *cuda, ace_cuda_ring *ring);

/* copies.c */
ace_status ace_cuda_upload(ace_device *, ace_tensor to, const float *from, ace_error *);
ace_status ace_cuda_download(ace_device *, float *to, ace_tensor from, ace_error *);
/* Bytes as they are, in the order of the stream. False on a dead device. */
bool ace_cuda_send(ace_cuda *cuda, void *to, const void *from, size_t bytes);
/* n numbers as a type of the card's. */
void ace_cuda_narrow(void *to, const float *from, size_t n, ace_dtype dtype);

/* steps.c */
ace_step_state ace_cuda_begin_step(ace_device *, uint64_t key);
bool ace_cuda_end_step(ace_device *);
void ace_cuda_forget_step(ace_device *, uint64_t key);
/* Lets cuda->issued stand behind what has been issued so far. From any thread. */
bool ace_cuda_mark_issued(ace_cuda *cuda);

/* staging.c */
/* A small host table that the next operation reads: to *at of the workspace, which moves on, or to
 * where a recording keeps it. Where it is; NULL when it is nowhere: on a dead device. */
const void *ace_cuda_send_table(ace_cuda *cuda, unsigned char **at, const void *from, size_t bytes);
/* True when the upload has been recorded: it is not to be made. */
bool ace_cuda_record_upload(ace_cuda *cuda, ace_tensor to, const float *from);
/* Of the size that the first pass has found. */
bool ace_cuda_allocate_staging(ace_cuda *cuda, ace_cuda_step *step);
void ace_cuda_free_staging(ace_cuda *cuda, ace_cuda_step *step);
void ace_cuda_fill_staging(ace_cuda_step *step);

/* write.c */
bool ace_cuda_tickets_open(ace_cuda *cuda, ace_cuda_tickets *tickets);
void ace_cuda_tickets_close(ace_cuda_tickets *tickets);
ace_status ace_cuda_write(ace_device *, uint64_t addr, const void *from, size_t bytes, ace_error *);
uint64_t ace_cuda_mark(ace_device *);
ace_status ace_cuda_write_after(ace_device *, uint64_t mark, uint64_t addr, const void *from,
                                size_t bytes, uint64_t *written, ace_error *);
void ace_cuda_await(ace_device *, uint64_t written);

/* pack.c */
size_t ace_cuda_matrix_bytes(const ace_device *, const ace_matrix_shape *);
ace_status ace_cuda_matrix_pack(ace_device *, const ace_matrix *, const ace_matrix_part *,
                                int n_parts, ace_error *);
ace_status ace_cuda_matrix_image(ace_device *, const ace_matrix_shape *, const ace_matrix_part *,
                                 int n_parts, void *to, ace_error *);

/* products.c, attention.c, rows.c */
void ace_cuda_linear(ace_device *, ace_tensor y, ace_tensor x, const ace_matrix *,
                     const ace_epilogue *);
void ace_cuda_conv(ace_device *, ace_tensor y, ace_tensor x, const ace_matrix *, const ace_conv *,
                   const ace_epilogue *);
void ace_cuda_conv_transpose(ace_device *, ace_tensor y, ace_tensor x, const ace_matrix *,
                             const ace_conv_transpose *);
void ace_cuda_attention_op(ace_device *, ace_tensor y, ace_tensor q, ace_tensor k, ace_tensor v,
                           const ace_attention *);
void ace_cuda_rms_norm(ace_device *, ace_tensor y, ace_tensor x, const ace_norm *);
void ace_cuda_head_norm(ace_device *, ace_tensor x, const ace_head_norm *);
void ace_cuda_silu(ace_device *, ace_tensor y, ace_tensor x);
void ace_cuda_silu_mul(ace_device *, ace_tensor y, ace_tensor gate, ace_tensor up);
void ace_cuda_mix(ace_device *, ace_tensor y, ace_tensor x, const ace_mix *);
void ace_cuda_add(ace_device *, ace_tensor y, ace_tensor a, ace_tensor b);
void ace_cuda_copy(ace_device *, ace_tensor y, ace_tensor x);
void ace_cuda_fill(ace_device *, ace_tensor y, float value);
void ace_cuda_scatter(ace_device *, ace_tensor y, ace_tensor x, const ace_scatter *);
/* choose.c */
ace_status ace_cuda_choose(ace_device *, ace_tensor logits, const ace_choice *, int n,
                           int32_t *chosen, ace_error *);
/* After it: finds a refused launch, and waits where somebody watches the times. */
void ace_cuda_launched(ace_cuda *cuda, const char *operation);

#endif
