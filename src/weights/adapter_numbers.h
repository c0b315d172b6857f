/* The numbers of an adapter's matrices on the host, in f32. `row` is scratch of as many numbers as
 * the matrix has columns. */
#ifndef ACE_WEIGHTS_ADAPTER_NUMBERS_H
#define ACE_WEIGHTS_ADAPTER_NUMBERS_H

#include "weights/adapter.h"

/* One number, and one row, of a tensor [rows, cols]. */
float ace_adapter_number(const ace_weight *t, int64_t row, int64_t col);
void ace_adapter_tensor_row(const ace_weight *t, int64_t row, float *to);
/* to ⊙= that row. */
void ace_adapter_tensor_row_times(const ace_weight *t, int64_t row, float *to);

/* Rows first … first + n - 1 of a factor, [n, cols]. */
void ace_adapter_factor_read(const ace_adapter_factor *f, int64_t first, int64_t n, float *to,
                             float *row);

/* Numbers of scratch that the next needs for n rows. */
int64_t ace_adapter_delta_scratch(const ace_adapter_module *m, int64_t n);
/* The same rows of scale · Δ, [n, m->cols]. */
void ace_adapter_delta_read(const ace_adapter_module *m, int64_t first, int64_t n, float *to,
                            float *scratch);

#endif
