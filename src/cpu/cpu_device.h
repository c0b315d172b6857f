/* The CPU as a device: the engine's product kernels on one thread pool.
 *
 * Instruction-set levels: portable C, AVX2+FMA, AVX-512 (with BF16 and VNNI where present), chosen
 * at run time from what the CPU has and never above `max_level`. Results depend on the level, never
 * on the number of threads. */
#ifndef ACE_CPU_CPU_DEVICE_H
#define ACE_CPU_CPU_DEVICE_H

#include "base/thread_pool.h"
#include "device/device.h"

typedef enum ace_cpu_level {
    ACE_CPU_GENERIC,
    ACE_CPU_AVX2,
    ACE_CPU_AVX512, /* F, BW, VL, DQ; BF16 and VNNI are used where present */
    ACE_CPU_BEST = ACE_CPU_AVX512
} ace_cpu_level;

ace_cpu_level ace_cpu_detect(void);
const char *ace_cpu_level_name(ace_cpu_level level);
/* "generic", "avx2", "avx512"; false for another word. */
bool ace_cpu_level_parse(const char *name, ace_cpu_level *out);

/* threads 0: ace_cpu_count(). The level actually used is min(max_level, detected). */
ace_status ace_cpu_device_open(int threads, ace_cpu_level max_level, ace_device **out,
                               ace_error *err);
ace_cpu_level ace_cpu_device_level(const ace_device *device);
/* Devices with the same number compute the same numbers. */
int ace_cpu_device_numerics(const ace_device *device);
/* Whether matrices with int8_inputs get them in 8 bits: by default, where VNNI makes it faster. */
void ace_cpu_device_set_int8_compute(ace_device *device, bool on);
/* What its products reach with all threads, for forecasts (docs/performance.md). matrix: of the
 * weights. FLOP/s. */
double ace_cpu_device_flops(const ace_device *device, ace_dtype matrix);
int ace_cpu_device_threads(const ace_device *device);
/* Its threads, for work beside the operations; the device's own. */
ace_pool *ace_cpu_device_pool(const ace_device *device);
/* Bytes per second that all threads together read from memory, measured: takes half a gigabyte for
 * a moment. */
ace_status ace_cpu_device_bandwidth(ace_device *device, double *bytes_per_second, ace_error *err);

#endif
