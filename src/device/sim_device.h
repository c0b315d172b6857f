/* The simulated card: memory of its own behind a hard cap, the operations of another device.
 *
 * Its addresses lie in a range of the process that has no access rights, so a host that reads
 * device memory faults; only the operations know where the bytes really are. Every byte that
 * crosses between host and device is counted by stage and tag. Allocations can be told to fail, and
 * the cap can shrink while a job runs, as when another program takes memory.
 *
 * Over a device that does not compute (the measure device) it enforces the cap without holding any
 * memory: whole schedules of published size run in milliseconds. */
#ifndef ACE_DEVICE_SIM_DEVICE_H
#define ACE_DEVICE_SIM_DEVICE_H

#include "device/device.h"

typedef struct ace_sim_options {
    size_t cap_bytes;       /* of everything held at once, the inner device's workspace included */
    const char *fail_alloc; /* "vae:1,diffusion:*": these allocations of these stages fail; NULL */
    const char *shrink;     /* "diffusion:2.5": from that stage on others hold so many GB; NULL */
    double used_gb;         /* what others hold from the start */
} ace_sim_options;

enum { ACE_SIM_MAX_COPIES = 96 };

typedef struct ace_sim_copies {
    const char *stage, *tag;   /* as the device's labels were */
    double to_device, to_host; /* bytes */
    uint64_t count;
} ace_sim_copies;

/* inner is borrowed and must outlive it. ARGUMENT for hooks that cannot be read. */
ace_status ace_sim_device_open(ace_device *inner, const ace_sim_options *options, ace_device **out,
                               ace_error *err);
bool ace_is_sim_device(const ace_device *device);

/* Bytes another program holds from now on. */
void ace_sim_device_set_used(ace_device *device, size_t bytes);
size_t ace_sim_device_held(const ace_device *device);
size_t ace_sim_device_peak(const ace_device *device); /* since opening or the last reset */
void ace_sim_device_reset_peak(ace_device *device);
/* The ledger of copies so far: rows, in order of first use. Not while a copy is under way. When it
 * is full its last row, "other", takes what is new. */
int ace_sim_device_copies(const ace_device *device, const ace_sim_copies **rows);

#endif
