/* The machine: cards, their memory, the host's memory, and what MAX_CUDA_VRAM makes of them. */
#ifndef ACE_HARDWARE_HARDWARE_H
#define ACE_HARDWARE_HARDWARE_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ACE_MAX_GPUS = 16, ACE_MAX_DIAGNOSES = 6 };

typedef enum ace_device_kind { ACE_DEVICE_CPU, ACE_DEVICE_SIM, ACE_DEVICE_CUDA } ace_device_kind;

const char *ace_device_kind_name(ace_device_kind kind); /* "cpu", "sim", "cuda" */

typedef struct ace_gpu {
    char name[96];
    int index; /* the driver's */
    uint64_t total_bytes, free_bytes;
    int capability_major, capability_minor;
} ace_gpu;

/* What the caller says; borrowed texts, NULL or "" where nothing. */
typedef struct ace_hardware_wishes {
    const char *device;        /* "auto", "cpu", "sim", "cuda", "cuda:N", "mps", "xpu" */
    int gpu;                   /* -1: the card with the most memory */
    const char *max_cuda_vram; /* GB, as text: not a number is warned of and ignored */
    const char *max_mps_vram;
    const char *max_xpu_vram;
    bool cuda_plugin;           /* the device plug-in can be loaded */
    int cuda_capability;        /* of the oldest card it has code for: 10 · major + minor */
    const char *plugin_problem; /* why it cannot be loaded, or has failed; NULL or "": unknown */
} ace_hardware_wishes;

typedef struct ace_hardware {
    ace_gpu gpu[ACE_MAX_GPUS];
    int n_gpus;
    int chosen; /* index into gpu, -1: none */

    ace_device_kind device; /* where to compute */
    char device_name[96];   /* of the card, "simulated 8 GB card", or of the CPU */
    char wanted[32];        /* the device asked for, when it is not there (W14); else empty */

    double gb;      /* decides the tier: simulated, or the card's rounded up to nominal; 0: none */
    bool simulated; /* by one of the variables */
    char variable[16];    /* its name */
    uint64_t total_bytes; /* of the card, real or simulated; the host's on the CPU */
    uint64_t cap_bytes;   /* device bytes this program may hold */

    uint64_t host_total_bytes, host_available_bytes;
    int cpus;

    bool driver; /* an NVIDIA driver answers */
    char diagnosis[ACE_MAX_DIAGNOSES][640];
    int n_diagnoses;   /* why there is no card to compute on, and what to do */
    char warning[200]; /* about a variable that could not be used; empty: none */
} ace_hardware;

/* Bytes of a simulated card that its context would take: gpu.md 2.2, CTX_RESERVE_GB. */
#define ACE_CONTEXT_GB 0.5

/* Asks the driver (by loading its library at run time, if there is one) and /proc. Never fails and
 * never crashes: what cannot be known is 0. */
void ace_hardware_detect(const ace_hardware_wishes *wishes, ace_hardware *out);

/* The chosen card has tensor cores for bf16: compute capability 8.0 and newer. */
bool ace_hardware_has_flash_attention(const ace_hardware *h);

/* max(0.5, gb - 0.5) in bytes: what a program may hold of a simulated card. */
uint64_t ace_simulated_cap(double gb);

#endif
