/* Norms, elementwise operations, scattered rows, mixed columns. */
#include "cases.h"

#include <math.h>
#include <stdio.h>

/* Sometimes the result goes over the input. */
static ace_tensor input_or_output(trial *t, ace_tensor y, float low, float high)
{
    if (t->output.addr == y.addr && trial_chance(t, 25)) {
        return y;
    }
    return trial_input(t, y.rows, y.cols, trial_work_type(t), low, high);
}

/* The first tensor of a case. In half of them all rows begin where wide loads want them. */
static ace_tensor new_output(trial *t, int64_t rows, int64_t cols, float low, float high)
{
    t->grain = trial_chance(t, 50) ? 8 : 1;
    return trial_updated(t, rows, cols, trial_work_type(t), low, high);
}

static void describe(trial *t, ace_tensor y, ace_tensor x)
{
    snprintf(t->about, sizeof t->about, "[%lld, %lld] %s -> %s%s", (long long)y.rows,
             (long long)y.cols, ace_dtype_name(x.dtype), ace_dtype_name(y.dtype),
             x.addr == y.addr ? " in place" : "");
}

/* A divisor of rows. */
static int64_t random_groups(trial *t, int64_t rows)
{
    int64_t groups = trial_between(t, 1, rows);
    while (rows % groups != 0) {
        groups--;
    }
    return groups;
}

void case_rms_norm(trial *t)
{
    ace_tensor y = new_output(t, trial_size(t, 40), trial_size(t, 600), -2.0f, 2.0f);
    ace_tensor x = input_or_output(t, y, -2.0f, 2.0f);
    ace_norm norm = {.weight = trial_row(t, y.cols, -1.5f, 1.5f), .eps = 1e-6f};
    if (trial_chance(t, 50)) {
        int64_t groups = random_groups(t, y.rows);
        norm.scale = trial_input(t, groups, y.cols, ACE_F32, -1.0f, 1.0f);
        norm.shift = trial_input(t, groups, y.cols, ACE_F32, -1.0f, 1.0f);
    }
    describe(t, y, x);
    /* A sum of at most 600 squares in f32, half its error through the root, then four roundings:
     * below 16·2^-24 of a normalised value, which is about 5 here at most and may cancel the shift.
     */
    trial_bound(t, 80 * 0x1p-24, 16 * 0x1p-24);
    trial_freeze(t);
    t->device->ops->rms_norm(t->device, y, x, &norm);
}

void case_head_norm(trial *t)
{
    int64_t heads = trial_between(t, 1, 5);
    int64_t head_dim = 2 * trial_size(t, 100);
    ace_tensor x = new_output(t, trial_size(t, 30), heads * head_dim, -2.0f, 2.0f);
    ace_head_norm norm = {
        .heads = heads, .weight = trial_row(t, head_dim, -1.5f, 1.5f), .eps = 1e-6f};
    if (trial_chance(t, 75)) {
        norm.rope = trial_input(t, trial_between(t, 1, x.rows), head_dim, ACE_F32, -1.0f, 1.0f);
    }
    describe(t, x, x);
    /* As the RMS norm. In bf16 the reference also rounds between norm and rotation: half a
     * step, 2^-8, on either lane of a pair, each below 4. */
    trial_bound(t, 80 * 0x1p-24 + (x.dtype == ACE_BF16 ? 8 * 0x1p-8 : 0), 16 * 0x1p-24);
    trial_freeze(t);
    t->device->ops->head_norm(t->device, x, &norm);
}

void case_silu(trial *t)
{
    float range = trial_chance(t, 50) ? 5.0f : 120.0f;
    ace_tensor y = new_output(t, trial_size(t, 60), trial_size(t, 600), -range, range);
    ace_tensor x = input_or_output(t, y, -range, range);
    describe(t, y, x);
    /* An exponential within 2 ulp, a sum and a quotient; below e^-87.3 the exponential is constant.
     */
    trial_bound(t, 1e-36, 4 * 0x1p-23);
    trial_freeze(t);
    t->device->ops->silu(t->device, y, x);
}

void case_silu_mul(trial *t)
{
    float range = trial_chance(t, 50) ? 5.0f : 120.0f;
    ace_tensor y = new_output(t, trial_size(t, 60), trial_size(t, 600), -range, range);
    ace_tensor gate = input_or_output(t, y, -range, range);
    ace_tensor up = trial_input(t, y.rows, y.cols, trial_work_type(t), -range, range);
    describe(t, y, gate);
    trial_bound(t, 1e-34, 5 * 0x1p-23); /* as SiLU, and a product by at most 120 */
    trial_freeze(t);
    t->device->ops->silu_mul(t->device, y, gate, up);
}

void case_add(trial *t)
{
    ace_tensor y = new_output(t, trial_size(t, 60), trial_size(t, 600), -2.0f, 2.0f);
    ace_tensor a = input_or_output(t, y, -2.0f, 2.0f);
    if (a.addr != y.addr && trial_chance(t, 30)) {
        a = trial_input(t, random_groups(t, y.rows), y.cols, a.dtype, -2.0f, 2.0f);
    }
    ace_tensor b = trial_input(t, trial_chance(t, 50) ? y.rows : random_groups(t, y.rows), y.cols,
                               trial_work_type(t), -2.0f, 2.0f);
    describe(t, y, a);
    /* One f32 sum and one conversion: no choice. */
    t->absolute = 0;
    t->relative = 0;
    trial_freeze(t);
    t->device->ops->add(t->device, y, a, b);
}

void case_copy(trial *t)
{
    ace_tensor y =
        trial_output(t, trial_size(t, 60), trial_size(t, 600), trial_work_type(t), false);
    ace_tensor x = trial_input(t, y.rows, y.cols, trial_work_type(t), -2.0f, 2.0f);
    describe(t, y, x);
    trial_freeze(t);
    t->device->ops->copy(t->device, y, x); /* exact */
}

void case_fill(trial *t)
{
    ace_tensor y =
        trial_output(t, trial_size(t, 60), trial_size(t, 600), trial_work_type(t), false);
    describe(t, y, y);
    trial_freeze(t);
    t->device->ops->fill(t->device, y, trial_real(t, -3.0f, 3.0f)); /* exact */
}

/* The first n of `size` rows in random order. */
static const int64_t *random_rows(trial *t, int64_t size, int64_t n)
{
    int64_t *rows = trial_bytes(t, (size_t)size * sizeof *rows);
    for (int64_t i = 0; i < size; i++) {
        rows[i] = i;
    }
    for (int64_t i = 0; i < n; i++) {
        int64_t other = trial_between(t, i, size - 1);
        int64_t row = rows[other];
        rows[other] = rows[i];
        rows[i] = row;
    }
    return rows;
}

/* n rows by a table, or one after another. */
static ace_scatter random_places(trial *t, int64_t head_rows, int64_t n)
{
    ace_scatter to = {.head_rows = head_rows};
    if (trial_chance(t, 30)) {
        to.first = trial_between(t, 0, head_rows - n);
    } else {
        to.rows = random_rows(t, head_rows, n);
    }
    return to;
}

void case_scatter(trial *t)
{
    int64_t heads = trial_between(t, 1, 8);
    int64_t head_rows = trial_size(t, 60);
    int64_t n = trial_between(t, 1, head_rows);
    ace_tensor y = new_output(t, heads * head_rows, trial_size(t, 140), -2.0f, 2.0f);
    ace_tensor x = trial_input(t, n, heads * y.cols, trial_work_type(t), -2.0f, 2.0f);
    ace_scatter to = random_places(t, head_rows, n);
    describe(t, y, x);
    trial_freeze(t);
    t->device->ops->scatter(t->device, y, x, &to); /* exact */
}

/* One row x as y and its scale: no number is further away than half a step. */
static void check_rounded(trial *t, ace_tensor y, ace_tensor scale, ace_tensor x)
{
    double peak = 0;
    bool is_finite = true;
    for (int64_t c = 0; c < x.cols; c++) {
        peak = fmax(peak, fabs((double)trial_element(x, 0, c)));
        is_finite = is_finite && isfinite(trial_element(x, 0, c));
    }
    double step = (double)trial_element(scale, 0, 0);
    if (!is_finite && !isnan(step)) {
        trial_fail(t, "a row with what is no number has scale %g", step);
    }
    if (is_finite && !(fabs(step - peak / 127) <= peak * 0x1p-28)) {
        trial_fail(t, "scale %.9g, %.9g expected", step, peak / 127);
    }
    for (int64_t c = 0; is_finite && c < x.cols; c++) {
        double number = (double)trial_element(y, 0, c);
        double error = fabs(number * step - (double)trial_element(x, 0, c));
        /* x · (127 / peak) is at most 127, rounded twice, by 2^-24 each, before it becomes whole */
        if (!(error <= step * (0.5 + 127 * 0x1p-22)) || fabs(number) > 127) {
            trial_fail(t, "column %lld: %g of %.9g for %.9g", (long long)c, number, step,
                       (double)trial_element(x, 0, c));
        }
    }
}

void case_scatter_int8(trial *t)
{
    static const float flaws[] = {NAN, INFINITY, -INFINITY};
    int64_t heads = trial_between(t, 1, 8);
    int64_t head_rows = trial_size(t, 60);
    int64_t n = trial_between(t, 1, head_rows);
    int64_t cols = trial_size(t, 140);
    float size = exp2f((float)trial_between(t, -90, 90));
    ace_scatter to = random_places(t, head_rows, n);
    to.scale = trial_output(t, heads * head_rows, 1, ACE_F32, true);
    ace_tensor y = trial_output(t, heads * head_rows, cols, ACE_I8, false);
    ace_tensor x = trial_input(t, n, heads * cols, trial_work_type(t), -size, size);
    describe(t, y, x);
    if (trial_chance(t, 20)) {
        trial_set_element(x, trial_between(t, 0, n - 1), trial_between(t, 0, x.cols - 1),
                          flaws[trial_between(t, 0, 2)]);
    }
    for (int64_t c = 0; c < cols && trial_chance(t, 99); c++) { /* mostly a row of zeros */
        trial_set_element(x, 0, c, 0);
    }
    trial_bound(t, 1, 0); /* between two whole numbers either may be chosen */
    trial_freeze(t);
    t->device->ops->scatter(t->device, y, x, &to);
    for (int64_t i = 0; i < n; i++) {
        int64_t row = to.rows != NULL ? to.rows[i] : to.first + i;
        for (int64_t h = 0; h < heads; h++) {
            check_rounded(t, ace_rows(y, h * head_rows + row, 1),
                          ace_rows(to.scale, h * head_rows + row, 1),
                          ace_cols(ace_rows(x, i, 1), h * cols, cols));
        }
    }
}

void case_mix(trial *t)
{
    bool is_scaling = trial_chance(t, 25);
    int64_t blocks = is_scaling ? 1 : trial_between(t, 1, 9);
    int64_t terms = is_scaling ? 1 : trial_between(t, 1, 9);
    int64_t width = trial_size(t, is_scaling ? 600 : 100);
    width = trial_chance(t, 50) ? (width + 7) / 8 * 8 : width;
    ace_tensor y = new_output(t, trial_size(t, 40), blocks * width, -2.0f, 2.0f);
    ace_tensor x = is_scaling
                       ? input_or_output(t, y, -2.0f, 2.0f)
                       : trial_input(t, y.rows, terms * width, trial_work_type(t), -2.0f, 2.0f);
    ace_mix mix = {.accumulate = trial_chance(t, 50)};
    if (!is_scaling) {
        mix.weight = trial_input(t, blocks, terms, ACE_F32, -1.0f, 1.0f);
    }
    if (trial_chance(t, 60)) {
        mix.gate = trial_input(t, random_groups(t, y.rows), y.cols, ACE_F32, -1.5f, 1.5f);
    }
    snprintf(t->about, sizeof t->about, "[%lld, %lld] by [%lld, %lld], %s -> %s%s%s%s",
             (long long)y.rows, (long long)y.cols, (long long)blocks, (long long)terms,
             ace_dtype_name(x.dtype), ace_dtype_name(y.dtype), mix.accumulate ? ", added" : "",
             mix.gate.addr != 0 ? ", gated" : "", x.addr == y.addr ? ", in place" : "");
    /* At most 9 products below 2, each partial sum below 18 rounded; then two roundings of at most
     * 29. */
    trial_bound(t, (9 * 18 * 1.5 + 2 * 29) * 0x1p-24, 0x1p-23);
    trial_freeze(t);
    t->device->ops->mix(t->device, y, x, &mix);
}
