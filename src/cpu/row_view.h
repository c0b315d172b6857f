/* One row of a tensor, read and written in vectors of floats whatever its element type. */
#ifndef ACE_CPU_ROW_VIEW_H
#define ACE_CPU_ROW_VIEW_H

#include "cpu/cpu.h"
#include "cpu/vector.h"

#include <stdbool.h>

typedef struct ace_row {
    void *data; /* float or bf16 */
    bool bf16;
} ace_row;

static inline ace_row ace_row_of(ace_tensor t, int64_t row)
{
    bool bf16 = t.dtype == ACE_BF16;
    return (ace_row){bf16 ? (void *)ace_cpu_bf16(t, row) : (void *)ace_cpu_f32(t, row), bf16};
}

/* Columns col … of a row that ends at `end`: a whole vector or what is left, zero-filled. */
static inline ace_vf ace_row_get(ace_row r, int64_t col, int64_t end)
{
    int64_t n = end - col;
    if (r.bf16) {
        const uint16_t *p = (const uint16_t *)r.data + col;
        return n >= ACE_VF ? ace_vf_load_bf16(p) : ace_vf_load_bf16_first(p, n);
    }
    const float *p = (const float *)r.data + col;
    return n >= ACE_VF ? ace_vf_load(p) : ace_vf_load_first(p, n);
}

static inline void ace_row_put(ace_row r, int64_t col, int64_t end, ace_vf v)
{
    int64_t n = end - col;
    if (r.bf16) {
        uint16_t *p = (uint16_t *)r.data + col;
        if (n >= ACE_VF) {
            ace_vf_store_bf16(p, v);
        } else {
            ace_vf_store_bf16_first(p, n, v);
        }
        return;
    }
    float *p = (float *)r.data + col;
    if (n >= ACE_VF) {
        ace_vf_store(p, v);
    } else {
        ace_vf_store_first(p, n, v);
    }
}

/* Columns col … of a row of bytes that ends at `end`: v rounded, which lies within ±127. */
static inline void ace_row_round(int8_t *to, int64_t col, int64_t end, ace_vf v)
{
    if (end - col >= ACE_VF) {
        ace_vf_store_i8(to + col, v);
    } else {
        ace_vf_store_i8_first(to + col, end - col, v);
    }
}

/* The largest magnitude of a row; NaN if a NaN or an infinity is among its numbers. */
static inline float ace_row_peak(ace_row x, int64_t cols)
{
    ace_vf zero = ace_vf_set(0.0f);
    ace_vf peak = zero;
    ace_vf flaw = zero; /* 0 times what is no number is NaN */
    for (int64_t c = 0; c < cols; c += ACE_VF) {
        ace_vf v = ace_row_get(x, c, cols);
        peak = ace_vf_max(peak, ace_vf_max(v, ace_vf_sub(zero, v)));
        flaw = ace_vf_fma(v, zero, flaw);
    }
    return ace_vf_peak(peak) + ace_vf_sum(flaw);
}

#endif
