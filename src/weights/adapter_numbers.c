#include "weights/adapter_numbers.h"

#include "base/block_formats.h"

#include <string.h>

float ace_adapter_number(const ace_weight *t, int64_t row, int64_t col)
{
    float value = 0;
    const unsigned char *data = t->data;
    size_t at = (size_t)(row * t->dim[1] + col) * ace_dtype_bytes(t->dtype);
    ace_decode_row(t->dtype, data + at, 1, &value);
    return value;
}

void ace_adapter_tensor_row(const ace_weight *t, int64_t row, float *to)
{
    const unsigned char *data = t->data;
    size_t bytes = (size_t)t->dim[1] * ace_dtype_bytes(t->dtype);
    ace_decode_row(t->dtype, data + (size_t)row * bytes, t->dim[1], to);
}

void ace_adapter_tensor_row_times(const ace_weight *t, int64_t row, float *to)
{
    enum { RUN = 256 };
    float run[RUN];
    const unsigned char *data = t->data;
    size_t size = ace_dtype_bytes(t->dtype);
    for (int64_t first = 0; first < t->dim[1]; first += RUN) {
        int64_t n = t->dim[1] - first < RUN ? t->dim[1] - first : RUN;
        ace_decode_row(t->dtype, data + (size_t)(row * t->dim[1] + first) * size, n, run);
        for (int64_t i = 0; i < n; i++) {
            to[first + i] *= run[i];
        }
    }
}

/* to[i] += weight[i] · row for four rows at once: each number of `row` that is read serves them
 * all. */
static void add_scaled_rows(float *to, int64_t cols, const float weight[4], const float *row)
{
    float *a = to;
    float *b = to + cols;
    float *c = to + 2 * cols;
    float *d = to + 3 * cols;
    for (int64_t i = 0; i < cols; i++) {
        a[i] += weight[0] * row[i];
        b[i] += weight[1] * row[i];
        c[i] += weight[2] * row[i];
        d[i] += weight[3] * row[i];
    }
}

static void add_scaled_row(float *to, int64_t cols, float weight, const float *row)
{
    for (int64_t i = 0; i < cols; i++) {
        to[i] += weight * row[i];
    }
}

/* Row by row of b, each decoded once for all rows of a. */
static void read_product(const ace_adapter_factor *f, int64_t first, int64_t n, float *to,
                         float *row)
{
    int64_t cols = f->b->dim[1];
    memset(to, 0, (size_t)(n * cols) * sizeof *to);
    for (int64_t k = 0; k < f->b->dim[0]; k++) {
        ace_adapter_tensor_row(f->b, k, row);
        int64_t i = 0;
        for (; i + 4 <= n; i += 4) {
            float weight[4];
            for (int64_t j = 0; j < 4; j++) {
                weight[j] = ace_adapter_number(f->a, first + i + j, k);
            }
            add_scaled_rows(to + i * cols, cols, weight, row);
        }
        for (; i < n; i++) {
            add_scaled_row(to + i * cols, cols, ace_adapter_number(f->a, first + i, k), row);
        }
    }
}

void ace_adapter_factor_read(const ace_adapter_factor *f, int64_t first, int64_t n, float *to,
                             float *row)
{
    if (f->whole == NULL) {
        read_product(f, first, n, to, row);
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        ace_adapter_tensor_row(f->whole, first + i, to + i * f->whole->dim[1]);
    }
}

/* Row i·c + j of W1 ⊗ W2 is row i of W1 ⊗ row j of W2. */
static void read_kronecker_row(const ace_adapter_module *m, int64_t at, float *to, float *scratch)
{
    const ace_adapter_factor *outer = &m->factor[0];
    const ace_adapter_factor *inner = &m->factor[1];
    int64_t outer_cols = ace_adapter_factor_cols(outer);
    int64_t inner_cols = ace_adapter_factor_cols(inner);
    int64_t inner_rows = ace_adapter_factor_rows(inner);
    float *u = scratch;
    float *v = u + outer_cols;
    float *row = v + inner_cols;
    ace_adapter_factor_read(outer, at / inner_rows, 1, u, row);
    ace_adapter_factor_read(inner, at % inner_rows, 1, v, row);
    for (int64_t i = 0; i < outer_cols; i++) {
        for (int64_t j = 0; j < inner_cols; j++) {
            to[i * inner_cols + j] = u[i] * v[j];
        }
    }
}

int64_t ace_adapter_delta_scratch(const ace_adapter_module *m, int64_t n)
{
    int64_t outer = ace_adapter_factor_cols(&m->factor[0]);
    switch (m->kind) {
    case ACE_ADAPTER_LOHA:
        return (n + 1) * m->cols;
    case ACE_ADAPTER_LOKR: {
        int64_t inner = ace_adapter_factor_cols(&m->factor[1]);
        return outer + inner + (outer > inner ? outer : inner);
    }
    default:
        return m->cols;
    }
}

void ace_adapter_delta_read(const ace_adapter_module *m, int64_t first, int64_t n, float *to,
                            float *scratch)
{
    int64_t numbers = n * m->cols;
    if (m->kind == ACE_ADAPTER_LOKR) {
        for (int64_t i = 0; i < n; i++) {
            read_kronecker_row(m, first + i, to + i * m->cols, scratch);
        }
    } else {
        ace_adapter_factor_read(&m->factor[0], first, n, to, scratch);
    }
    if (m->kind == ACE_ADAPTER_LOHA) {
        ace_adapter_factor_read(&m->factor[1], first, n, scratch, scratch + numbers);
        for (int64_t i = 0; i < numbers; i++) {
            to[i] *= scratch[i];
        }
    }
    for (int64_t i = 0; i < numbers; i++) {
        to[i] *= m->scale;
    }
}
