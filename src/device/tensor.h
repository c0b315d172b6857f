/* A view of numbers in a device's memory. A value: no heap, no owner, no reference count; it is good
 * as long as the arena it was cut from is not reset below it.
 *
 * The last dimension is contiguous. All other dimensions together count "rows", which lie row_stride
 * elements apart, so that a column slice of a fused product is a view as well. */
#ifndef ACE_DEVICE_TENSOR_H
#define ACE_DEVICE_TENSOR_H

#include "base/dtype.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct ace_tensor {
    uint64_t addr; /* in the device's address space; host code never dereferences it */
    ace_dtype dtype;
    int64_t rows;
    int64_t cols;
    int64_t row_stride; /* elements, ≥ cols */
} ace_tensor;

static inline bool ace_tensor_is_empty(ace_tensor t)
{
    return t.addr == 0 || t.rows == 0 || t.cols == 0;
}

static inline bool ace_tensor_is_contiguous(ace_tensor t)
{
    return t.row_stride == t.cols || t.rows <= 1;
}

/* Rows first … first + n - 1. */
static inline ace_tensor ace_rows(ace_tensor t, int64_t first, int64_t n)
{
    t.addr += (uint64_t)(first * t.row_stride) * ace_dtype_bytes(t.dtype);
    t.rows = n;
    return t;
}

/* Columns first … first + n - 1. */
static inline ace_tensor ace_cols(ace_tensor t, int64_t first, int64_t n)
{
    t.addr += (uint64_t)first * ace_dtype_bytes(t.dtype);
    t.cols = n;
    return t;
}

/* The same numbers of a contiguous tensor as [rows, cols]; the product must stay the same. */
static inline ace_tensor ace_reshape(ace_tensor t, int64_t rows, int64_t cols)
{
    t.rows = rows;
    t.cols = cols;
    t.row_stride = cols;
    return t;
}

#endif
