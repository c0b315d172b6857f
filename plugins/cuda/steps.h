/* Steps that come again (device.h), kept as CUDA graphs: part of cuda_device.h. */
#ifndef ACE_CUDA_STEPS_H
#define ACE_CUDA_STEPS_H

#include "device/device.h"

#include <cuda_runtime_api.h>
#include <pthread.h>
#include <stdatomic.h>

enum {
    ACE_CUDA_STEPS = 8, /* known at once; the one that was asked for longest ago gives way */
    /* of the card, for all graphs together: no plan knows of them, and the planner leaves 256 MB
     * free for what is like them */
    ACE_CUDA_GRAPH_BYTES = 64 << 20
};

/* Host memory that a recording reads anew before each run. */
typedef struct ace_cuda_source {
    const void *from;
    size_t numbers;  /* f32 numbers of an upload, … */
    ace_dtype dtype; /* … and what they become; */
    size_t bytes;    /* or a table as it is: numbers 0 */
    size_t at;       /* of the staging memory */
    const void *to;  /* on the card: of a table, which is copied once however often it is used */
} ace_cuda_source;

typedef struct ace_cuda_step {
    uint64_t key; /* 0: none */
    uint64_t asked, replays;
    bool surveyed; /* a first pass has been issued, and its copies were counted */
    bool hopeless; /* cannot be recorded */
    int n, most;   /* sources; counted by the first pass */
    size_t staged, staging_bytes;
    size_t tables; /* bytes of the workspace's area */
    ace_cuda_source *source;
    unsigned char *staging; /* pinned, what the graph copies from */
    cudaGraphExec_t graph;  /* NULL: not recorded */
    size_t graph_bytes;     /* that it takes of the card, by the driver's figures */
    cudaEvent_t done;       /* behind the last run: it has read the staging memory */
} ace_cuda_step;

typedef struct ace_cuda_steps {
    ace_cuda_step step[ACE_CUDA_STEPS];
    ace_cuda_step *surveying, *recording; /* between begin and end */
    uint64_t clock;
    pthread_mutex_t lock; /* of the compute stream's way into a capture and out of it */
    pthread_t recorder;   /* the thread that captures */
    atomic_bool capturing;
    atomic_bool broken; /* the recording at hand is not one */
} ace_cuda_steps;

#endif
