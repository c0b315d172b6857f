/* Dynamic time warping: the cheapest way through a matrix from its first cell to its last, by steps
 * of one row, one column, or both at once. */
#ifndef ACE_SAMPLE_DTW_H
#define ACE_SAMPLE_DTW_H

#include "base/status.h"

#include <stdint.h>

typedef struct ace_path_cell {
    int32_t row, col;
} ace_path_cell;

typedef struct ace_path {
    ace_path_cell *cell; /* [n], owned; ace_path_free releases it */
    int64_t n;
} ace_path;

/* cost: [rows, cols], finite. Equal ways are told apart as in the original (acestep/core/scoring/
 * _dtw.py): the diagonal is taken only if it is strictly cheaper than both others, then the step
 * from the row above only if it is, else the step from the column before, even where the other two
 * tie below it. Costs add up in f32, as there. Takes a byte per cell. ARGUMENT when rows or cols is
 * not positive. */
ace_status ace_dtw(const float *cost, int64_t rows, int64_t cols, ace_path *out, ace_error *err);

void ace_path_free(ace_path *path); /* a zeroed one is fine */

#endif
