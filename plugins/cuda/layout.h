/* How a packed matrix lies in memory: rows one after another, each taps · depth numbers, where
 * depth is the number of columns filled up with zeros to 16 bytes; behind them, from a multiple of
 * 256 bytes on, the f32 scales of int8 rows. */
#ifndef ACE_CUDA_LAYOUT_H
#define ACE_CUDA_LAYOUT_H

#include "base/checked.h"
#include "device/device.h"

typedef struct ace_cuda_layout {
    int64_t depth;    /* numbers of a row's tap */
    size_t row_bytes; /* of all taps */
    size_t scales;    /* where they begin; of I8 */
    size_t bytes;     /* of all */
} ace_cuda_layout;

static inline ace_cuda_layout ace_cuda_layout_of(const ace_matrix_shape *s)
{
    size_t size = ace_dtype_bytes(s->dtype);
    ace_cuda_layout l = {0};
    l.depth = (int64_t)(ace_align_up((size_t)s->cols * size, 16) / size);
    l.row_bytes = (size_t)l.depth * size * (size_t)s->taps;
    l.scales = ace_align_up(l.row_bytes * (size_t)s->rows, 256);
    l.bytes = s->dtype == ACE_I8 ? l.scales + (size_t)s->rows * sizeof(float)
                                 : l.row_bytes * (size_t)s->rows;
    return l;
}

#endif
