#include "cpu/peak.h"

#include "base/clock.h"
#include "cpu/cpu.h"
#include "cpu/peak_kernels.h"

enum {
    TRIES = 5,
    TASKS_PER_THREAD = 16, /* short ones: a thread that starts late or loses its core does fewer */
    TASK_ROUNDS = 1 << 18  /* about a millisecond */
};

typedef struct peak_try {
    ace_peak_loop *loop;
    _Atomic unsigned kept; /* takes the results, so that the loops are not dropped */
} peak_try;

const char *ace_peak_name(ace_peak peak)
{
    static const char *const names[ACE_PEAKS] = {"f32", "bf16", "int8", "int16"};
    return names[peak];
}

ace_peak ace_peak_of(ace_dtype matrix)
{
    return matrix == ACE_BF16 ? ACE_PEAK_BF16 : matrix == ACE_I8 ? ACE_PEAK_I8 : ACE_PEAK_F32;
}

static const ace_peak_kernels *kernels_of(ace_cpu_level level)
{
    switch (level) {
    case ACE_CPU_AVX512:
        return &ace_peak_kernels_avx512;
    case ACE_CPU_AVX2:
        return &ace_peak_kernels_avx2;
    case ACE_CPU_GENERIC:
        break;
    }
    return &ace_peak_kernels_generic;
}

static bool has_instruction(const ace_cpu *cpu, ace_peak peak)
{
    switch (peak) {
    case ACE_PEAK_BF16:
        return cpu->has_bf16;
    case ACE_PEAK_I8:
    case ACE_PEAK_I16:
        return cpu->has_vnni;
    case ACE_PEAK_F32:
    case ACE_PEAKS:
        break;
    }
    return true;
}

static void run_task(void *context, int64_t task, int thread)
{
    (void)task;
    (void)thread;
    peak_try *p = context;
    p->kept += p->loop(TASK_ROUNDS) > 0;
}

static double measure(const ace_cpu *cpu, ace_peak_loop *loop, double flops_per_round)
{
    double best = 0;
    int64_t tasks = (int64_t)TASKS_PER_THREAD * ace_pool_threads(cpu->pool);
    for (int i = 0; i < TRIES; i++) {
        peak_try p = {.loop = loop};
        double start = ace_clock_seconds();
        ace_pool_run(cpu->pool, tasks, run_task, &p);
        double seconds = ace_clock_seconds() - start;
        double rate = (double)tasks * TASK_ROUNDS * flops_per_round / seconds;
        best = rate > best ? rate : best;
    }
    return best;
}

void ace_cpu_device_peaks(ace_device *device, ace_cpu_peaks *best)
{
    const ace_cpu *cpu = ace_cpu_of(device);
    const ace_peak_kernels *k = kernels_of(cpu->level);
    for (int i = 0; i < ACE_PEAKS; i++) {
        best->own[i] = k->loop[i] != NULL && has_instruction(cpu, (ace_peak)i);
        double rate =
            best->own[i] ? measure(cpu, k->loop[i], k->flops[i]) : best->flops[ACE_PEAK_F32];
        best->flops[i] = rate > best->flops[i] ? rate : best->flops[i];
    }
}
