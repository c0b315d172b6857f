#include "cpu/attention.h"

typedef struct attention_run {
    const ace_cpu *cpu;
    ace_attention_job job;
    ace_attention_kernel *kernel;
} attention_run;

static void attention_task(void *context, int64_t task, int thread)
{
    const attention_run *run = context;
    run->kernel(&run->job, task, ace_cpu_scratch(run->cpu, thread));
}

static ace_attention_kernel *kernel_of(ace_cpu_level level)
{
    switch (level) {
    case ACE_CPU_AVX512:
        return ace_attention_avx512;
    case ACE_CPU_AVX2:
        return ace_attention_avx2;
    case ACE_CPU_GENERIC:
        break;
    }
    return ace_attention_generic;
}

/* Pairs of bf16 are read as words, so they must lie like words. */
static bool has_aligned_pairs(ace_tensor t)
{
    return t.dtype == ACE_BF16 && t.addr % 4 == 0 && t.row_stride % 2 == 0;
}

static bool uses_bf16_dots(const ace_cpu *cpu, ace_tensor q, ace_tensor k, const ace_attention *a)
{
    return cpu->has_bf16 && a->head_dim % 2 == 0 && has_aligned_pairs(q) &&
           (k.dtype == ACE_I8 || has_aligned_pairs(k));
}

/* The kernel of AVX-512 has VNNI for int8. */
static ace_cpu_level level_for(const ace_cpu *cpu, ace_tensor k)
{
    bool lacks = k.dtype == ACE_I8 && cpu->level == ACE_CPU_AVX512 && !cpu->has_vnni;
    return lacks ? ACE_CPU_AVX2 : cpu->level;
}

void ace_cpu_attention(ace_device *device, ace_tensor y, ace_tensor q, ace_tensor k, ace_tensor v,
                       const ace_attention *a)
{
    const ace_cpu *cpu = ace_cpu_of(device);
    int64_t group = a->heads / a->kv_heads;
    ace_cpu_level level = level_for(cpu, k);
    attention_run run = {
        .cpu = cpu,
        .kernel = kernel_of(level),
        .job = {.y = y,
                .q = q,
                .k = k,
                .v = v,
                .options = a,
                .group = group,
                .row_blocks = (a->q_len * group + ACE_ATTENTION_ROWS - 1) / ACE_ATTENTION_ROWS,
                .bf16_dots = level == ACE_CPU_AVX512 && uses_bf16_dots(cpu, q, k, a),
                .int8 = k.dtype == ACE_I8},
    };
    ace_pool_run(cpu->pool, a->batch * a->kv_heads * run.job.row_blocks, attention_task, &run);
}
