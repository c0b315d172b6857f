/* Inside of the CPU device, shared by its operation files and by nobody else. */
#ifndef ACE_CPU_CPU_H
#define ACE_CPU_CPU_H

#include "cpu/cpu_device.h"

enum { ACE_CPU_SCRATCH_BYTES = 4 << 20 }; /* per thread: packed input tiles, score blocks */

typedef struct ace_cpu {
    ace_device base;
    ace_pool *pool;
    ace_cpu_level level;
    bool has_bf16;          /* AVX512-BF16 dot products, level AVX512 only */
    bool has_vnni;          /* AVX512-VNNI */
    bool int8_compute;      /* 8-bit inputs where a matrix allows them */
    size_t held;            /* bytes reserved */
    unsigned char *scratch; /* threads · ACE_CPU_SCRATCH_BYTES, 64-byte aligned; counted as
                               base.workspace_bytes */
} ace_cpu;

static inline ace_cpu *ace_cpu_of(ace_device *device)
{
    return (ace_cpu *)device;
}

static inline void *ace_cpu_scratch(const ace_cpu *cpu, int thread)
{
    return cpu->scratch + (size_t)thread * ACE_CPU_SCRATCH_BYTES;
}

static inline float *ace_cpu_f32(ace_tensor t, int64_t row)
{
    return (float *)(uintptr_t)t.addr + row * t.row_stride;
}

static inline int8_t *ace_cpu_i8(ace_tensor t, int64_t row)
{
    return (int8_t *)(uintptr_t)t.addr + row * t.row_stride;
}

static inline uint16_t *ace_cpu_bf16(ace_tensor t, int64_t row)
{
    return (uint16_t *)(uintptr_t)t.addr + row * t.row_stride;
}

/* matrix.c, linear.c, conv.c: products */
size_t ace_cpu_matrix_bytes(const ace_device *, const ace_matrix_shape *);
ace_status ace_cpu_matrix_pack(ace_device *, const ace_matrix *, const ace_matrix_part *,
                               int n_parts, ace_error *);
void ace_cpu_linear(ace_device *, ace_tensor y, ace_tensor x, const ace_matrix *,
                    const ace_epilogue *);
void ace_cpu_conv(ace_device *, ace_tensor y, ace_tensor x, const ace_matrix *, const ace_conv *,
                  const ace_epilogue *);
void ace_cpu_conv_transpose(ace_device *, ace_tensor y, ace_tensor x, const ace_matrix *,
                            const ace_conv_transpose *);

/* attention.c, norm.c, elementwise.c */
void ace_cpu_attention(ace_device *, ace_tensor y, ace_tensor q, ace_tensor k, ace_tensor v,
                       const ace_attention *);
void ace_cpu_rms_norm(ace_device *, ace_tensor y, ace_tensor x, const ace_norm *);
void ace_cpu_head_norm(ace_device *, ace_tensor x, const ace_head_norm *);
void ace_cpu_silu(ace_device *, ace_tensor y, ace_tensor x);
void ace_cpu_silu_mul(ace_device *, ace_tensor y, ace_tensor gate, ace_tensor up);
void ace_cpu_mix(ace_device *, ace_tensor y, ace_tensor x, const ace_mix *);
void ace_cpu_add(ace_device *, ace_tensor y, ace_tensor a, ace_tensor b);
void ace_cpu_copy(ace_device *, ace_tensor y, ace_tensor x);
void ace_cpu_fill(ace_device *, ace_tensor y, float value);
void ace_cpu_scatter(ace_device *, ace_tensor y, ace_tensor x, const ace_scatter *);

#endif
