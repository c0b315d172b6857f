/* How many threads are worth starting: one for each core this process may use. */
#ifndef ACE_BASE_CPU_COUNT_H
#define ACE_BASE_CPU_COUNT_H

#include <stdbool.h>

enum { ACE_CPUS_MOST = 4096 };

/* The CPUs the scheduler may put this process on, by the kernel's numbers. */
typedef struct ace_cpu_mask {
    bool allowed[ACE_CPUS_MOST];
} ace_cpu_mask;

/* Cores within the affinity mask, cut by the CPU quota of the cgroup and of every one above it; at
 * least 1. Of CPUs that share a core only one counts: its arithmetic units are busy with one thread
 * already, and a second one takes half of the caches. A fraction of a CPU rounds up. */
int ace_cpu_count(void);

/* The same for the files below `root` (proc, sys), "" for those of this machine. */
int ace_cpu_count_at(const char *root, const ace_cpu_mask *mask);

#endif
