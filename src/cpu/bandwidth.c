/* How fast this machine reads memory: the bound of everything that uses a weight only once. */
#include "base/clock.h"
#include "cpu/cpu.h"

#include <string.h>

enum {
    STREAMS = 4, /* read side by side by a thread, as the panels of a product are */
    STREAM_BYTES = 16 << 10,
    TASK_BYTES = 4 << 20,
    LINE_WORDS = 8, /* of a line of cache */
    ROUNDS = 10
};

typedef struct reading {
    const uint64_t *words;
    _Atomic uint64_t sum; /* keeps the reads from being dropped */
} reading;

static void read_task(void *context, int64_t task, int thread)
{
    (void)thread;
    reading *r = context;
    const int64_t per_stream = STREAM_BYTES / (int64_t)sizeof(uint64_t);
    const uint64_t *at = r->words + task * (TASK_BYTES / (int64_t)sizeof(uint64_t));
    const uint64_t *end = at + TASK_BYTES / sizeof(uint64_t);
    uint64_t sum[STREAMS] = {0};
    for (; at < end; at += STREAMS * per_stream) {
        for (int64_t i = 0; i < per_stream; i += LINE_WORDS) { /* a word brings in its line */
            for (int s = 0; s < STREAMS; s++) {
                sum[s] ^= at[s * per_stream + i];
            }
        }
    }
    for (int s = 1; s < STREAMS; s++) {
        sum[0] ^= sum[s];
    }
    r->sum ^= sum[0];
}

ace_status ace_cpu_device_bandwidth(ace_device *device, double *bytes_per_second, ace_error *err)
{
    const size_t bytes = (size_t)512 << 20; /* far more than any cache */
    const ace_cpu *cpu = ace_cpu_of(device);
    uint64_t addr = 0;
    *bytes_per_second = 0;
    ace_status status = device->ops->reserve(device, bytes, &addr, err);
    if (status != ACESTEP_OK) {
        return status;
    }
    memset((void *)(uintptr_t)addr, 1, bytes); /* pages that were never written are all the same */
    reading r = {.words = (const uint64_t *)(uintptr_t)addr};
    for (int i = 0; i < ROUNDS; i++) {
        double start = ace_clock_seconds();
        ace_pool_run(cpu->pool, (int64_t)(bytes / TASK_BYTES), read_task, &r);
        double rate = (double)bytes / (ace_clock_seconds() - start);
        *bytes_per_second = rate > *bytes_per_second ? rate : *bytes_per_second;
    }
    device->ops->release(device, addr, bytes);
    return ACESTEP_OK;
}
