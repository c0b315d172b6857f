#define _GNU_SOURCE /* madvise */
#include "cpu/cpu_device.h"

#include "base/checked.h"
#include "base/host_memory.h"
#include "base/memory.h"
#include "cpu/cpu.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { LINE = 64, HUGE_PAGE = 2 << 20 };

/* ---- instruction sets ------------------------------------------------------------------------ */

static const char *const level_names[] = {"generic", "avx2", "avx512"};

/* The compiler's checks cover the operating system's support for the registers too. */
ace_cpu_level ace_cpu_detect(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) {
        return ACE_CPU_GENERIC;
    }
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq")) {
        return ACE_CPU_AVX512;
    }
    return ACE_CPU_AVX2;
#else
    return ACE_CPU_GENERIC;
#endif
}

static void detect_dot_products(ace_cpu *cpu)
{
#if defined(__x86_64__)
    cpu->has_bf16 = cpu->level == ACE_CPU_AVX512 && __builtin_cpu_supports("avx512bf16");
    cpu->has_vnni = cpu->level == ACE_CPU_AVX512 && __builtin_cpu_supports("avx512vnni");
#endif
    cpu->int8_compute = true;
}

const char *ace_cpu_level_name(ace_cpu_level level)
{
    return level_names[level];
}

bool ace_cpu_level_parse(const char *name, ace_cpu_level *out)
{
    for (int i = 0; i <= ACE_CPU_BEST; i++) {
        if (strcmp(name, level_names[i]) == 0) {
            *out = (ace_cpu_level)i;
            return true;
        }
    }
    return false;
}

/* ---- memory ---------------------------------------------------------------------------------- */

/* A block aligned to cache lines; the line before it remembers what to free. */
static unsigned char *allocate_lines(size_t bytes)
{
    size_t padded;
    if (ace_add_overflows(bytes, 2 * LINE, &padded)) {
        return NULL;
    }
    unsigned char *block = ace_malloc_array(padded, 1);
    if (block == NULL) {
        return NULL;
    }
    size_t skip = LINE + (LINE - (uintptr_t)block % LINE) % LINE;
    memcpy(block + skip - LINE, &block, sizeof block);
    return block + skip;
}

static void free_lines(unsigned char *lines)
{
    if (lines != NULL) {
        unsigned char *block;
        memcpy(&block, lines - LINE, sizeof block);
        ace_free(block);
    }
}

/* Weights are read in long runs: huge pages save most of the address translation. Advice only. */
static void advise_huge_pages(unsigned char *block, size_t bytes)
{
#if defined(MADV_HUGEPAGE)
    if (bytes >= 2 * (size_t)HUGE_PAGE) {
        size_t skip = (HUGE_PAGE - (uintptr_t)block % HUGE_PAGE) % HUGE_PAGE;
        size_t whole = (bytes - skip) / HUGE_PAGE * HUGE_PAGE;
        (void)madvise(block + skip, whole, MADV_HUGEPAGE);
    }
#else
    (void)block;
    (void)bytes;
#endif
}

static ace_status reserve(ace_device *device, size_t bytes, uint64_t *addr, ace_error *err)
{
    unsigned char *block = allocate_lines(bytes);
    if (block == NULL) {
        return ace_fail(err, ACESTEP_MEMORY,
                        "cpu: no host memory for a block of %zu bytes; free memory or choose a "
                        "smaller configuration",
                        bytes);
    }
    advise_huge_pages(block, bytes);
    ace_cpu_of(device)->held += bytes;
    *addr = (uint64_t)(uintptr_t)block;
    return ACESTEP_OK;
}

static void release(ace_device *device, uint64_t addr, size_t bytes)
{
    ace_cpu_of(device)->held -= bytes;
    free_lines((unsigned char *)(uintptr_t)addr);
}

static void memory(ace_device *device, ace_device_memory *out)
{
    ace_host_memory host = ace_host_memory_now();
    *out = (ace_device_memory){.total = (size_t)host.total,
                               .free = (size_t)host.available,
                               .held = ace_cpu_of(device)->held};
}

/* Host values as a tensor: on this device both live in the same memory. */
static ace_tensor host_tensor(const float *values, ace_tensor like)
{
    return (ace_tensor){.addr = (uint64_t)(uintptr_t)values,
                        .dtype = ACE_F32,
                        .rows = like.rows,
                        .cols = like.cols,
                        .row_stride = like.cols};
}

static ace_status upload(ace_device *device, ace_tensor to, const float *from, ace_error *err)
{
    (void)err;
    ace_cpu_copy(device, to, host_tensor(from, to));
    return ACESTEP_OK;
}

static ace_status download(ace_device *device, float *to, ace_tensor from, ace_error *err)
{
    (void)err;
    ace_cpu_copy(device, host_tensor(to, from), from);
    return ACESTEP_OK;
}

static ace_status matrix_image(ace_device *device, const ace_matrix_shape *shape,
                               const ace_matrix_part *parts, int n_parts, void *to, ace_error *err)
{
    ace_matrix m = {.shape = *shape,
                    .addr = (uint64_t)(uintptr_t)to,
                    .bytes = ace_cpu_matrix_bytes(device, shape)};
    return ace_cpu_matrix_pack(device, &m, parts, n_parts, err);
}

static ace_status write_bytes(ace_device *device, uint64_t addr, const void *from, size_t bytes,
                              ace_error *err)
{
    (void)device;
    (void)err;
    memcpy((void *)(uintptr_t)addr, from, bytes);
    return ACESTEP_OK;
}

/* ---- the device ------------------------------------------------------------------------------ */

static void close_device(ace_device *device)
{
    ace_cpu *cpu = ace_cpu_of(device);
    ace_pool_free(cpu->pool);
    free_lines(cpu->scratch);
    ace_free(cpu);
}

static const ace_device_ops cpu_ops = {
    .reserve = reserve,
    .release = release,
    .memory = memory,
    .upload = upload,
    .download = download,
    .matrix_bytes = ace_cpu_matrix_bytes,
    .matrix_pack = ace_cpu_matrix_pack,
    .matrix_image = matrix_image,
    .write = write_bytes,
    .linear = ace_cpu_linear,
    .conv = ace_cpu_conv,
    .conv_transpose = ace_cpu_conv_transpose,
    .rms_norm = ace_cpu_rms_norm,
    .head_norm = ace_cpu_head_norm,
    .attention = ace_cpu_attention,
    .silu = ace_cpu_silu,
    .silu_mul = ace_cpu_silu_mul,
    .add = ace_cpu_add,
    .copy = ace_cpu_copy,
    .fill = ace_cpu_fill,
    .scatter = ace_cpu_scatter,
    .mix = ace_cpu_mix,
    .close = close_device,
};

ace_status ace_cpu_device_open(int threads, ace_cpu_level max_level, ace_device **out,
                               ace_error *err)
{
    *out = NULL;
    ace_cpu *cpu = ace_calloc(1, sizeof *cpu);
    if (cpu == NULL) {
        return ace_fail(err, ACESTEP_MEMORY, "cpu: no host memory for the device");
    }
    ace_cpu_level detected = ace_cpu_detect();
    cpu->level = max_level < detected ? max_level : detected;
    detect_dot_products(cpu);
    cpu->base = (ace_device){
        .name = "cpu", .ops = &cpu_ops, .alignment = LINE, .computes = true, .addressable = true};
    ace_status status = ace_pool_create(threads, &cpu->pool, err);
    if (status != ACESTEP_OK) {
        close_device(&cpu->base);
        return status;
    }
    size_t scratch = (size_t)ace_pool_threads(cpu->pool) * ACE_CPU_SCRATCH_BYTES;
    cpu->scratch = allocate_lines(scratch);
    if (cpu->scratch == NULL) {
        close_device(&cpu->base);
        return ace_fail(err, ACESTEP_MEMORY, "cpu: no host memory for %zu bytes of work space",
                        scratch);
    }
    advise_huge_pages(cpu->scratch, scratch);
    cpu->base.workspace_bytes = scratch;
    *out = &cpu->base;
    return ACESTEP_OK;
}

ace_cpu_level ace_cpu_device_level(const ace_device *device)
{
    return ((const ace_cpu *)device)->level;
}

int ace_cpu_device_numerics(const ace_device *device)
{
    const ace_cpu *cpu = (const ace_cpu *)device;
    return (int)cpu->level << 3 | (cpu->int8_compute ? 4 : 0) | (cpu->has_bf16 ? 2 : 0) |
           (cpu->has_vnni ? 1 : 0);
}

double ace_cpu_device_flops(const ace_device *device, ace_dtype matrix)
{
    const ace_cpu *cpu = (const ace_cpu *)device;
    /* GFLOP/s of one thread in the diffusion stage */
    double one = cpu->level == ACE_CPU_GENERIC                            ? 35
                 : cpu->level == ACE_CPU_AVX2                             ? 85
                 : cpu->has_vnni && cpu->int8_compute && matrix == ACE_I8 ? 300
                 : cpu->has_bf16 && matrix != ACE_F32                     ? 200
                                                                          : 100;
    return one * 1e9 * ace_pool_threads(cpu->pool);
}

void ace_cpu_device_set_int8_compute(ace_device *device, bool on)
{
    ace_cpu_of(device)->int8_compute = on;
}

ace_pool *ace_cpu_device_pool(const ace_device *device)
{
    return ((const ace_cpu *)device)->pool;
}

int ace_cpu_device_threads(const ace_device *device)
{
    return ace_pool_threads(((const ace_cpu *)device)->pool);
}
