/* Operations that work row by row: one table of kernels per instruction-set level. Each kernel does
 * rows first … first + count - 1 on one thread; norm.c and elementwise.c spread rows over the pool.
 */
#ifndef ACE_CPU_ROW_KERNELS_H
#define ACE_CPU_ROW_KERNELS_H

#include "cpu/cpu.h"

typedef struct ace_row_kernels {
    void (*rms_norm)(ace_tensor y, ace_tensor x, const ace_norm *, int64_t first, int64_t count);
    void (*head_norm)(ace_tensor x, const ace_head_norm *, int64_t first, int64_t count);
    void (*silu)(ace_tensor y, ace_tensor x, int64_t first, int64_t count);
    void (*silu_mul)(ace_tensor y, ace_tensor gate, ace_tensor up, int64_t first, int64_t count);
    void (*add)(ace_tensor y, ace_tensor a, ace_tensor b, int64_t first, int64_t count);
    void (*copy)(ace_tensor y, ace_tensor x, int64_t first, int64_t count);
    /* rows as int8, each with its scale: as ace_scatter says */
    void (*round_rows)(ace_tensor y, ace_tensor scale, ace_tensor x, int64_t first, int64_t count);
    void (*fill)(ace_tensor y, float value, int64_t first, int64_t count);
    void (*mix)(ace_tensor y, ace_tensor x, const ace_mix *, int64_t first, int64_t count);
} ace_row_kernels;

extern const ace_row_kernels ace_row_kernels_generic, ace_row_kernels_avx2, ace_row_kernels_avx512;

static inline const ace_row_kernels *ace_row_kernels_of(ace_cpu_level level)
{
    switch (level) {
    case ACE_CPU_AVX512:
        return &ace_row_kernels_avx512;
    case ACE_CPU_AVX2:
        return &ace_row_kernels_avx2;
    case ACE_CPU_GENERIC:
        break;
    }
    return &ace_row_kernels_generic;
}

/* Elements of one task: large enough to pay for its start, small enough to balance, and a constant,
 * so that the split depends on the shape alone. */
enum { ACE_ROW_TASK_ELEMENTS = 16384 };

static inline int64_t ace_rows_per_task(int64_t cols)
{
    return cols < ACE_ROW_TASK_ELEMENTS ? ACE_ROW_TASK_ELEMENTS / cols : 1;
}

#endif
