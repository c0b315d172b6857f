/* Memory of the machine, from /proc/meminfo. */
#ifndef ACE_BASE_HOST_MEMORY_H
#define ACE_BASE_HOST_MEMORY_H

#include <stdint.h>

typedef struct ace_host_memory {
    uint64_t total, available; /* bytes; available: without pushing others out; 0: unknown */
} ace_host_memory;

ace_host_memory ace_host_memory_now(void);

#endif
