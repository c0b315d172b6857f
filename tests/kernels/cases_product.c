/* Linear layers and convolutions: all types of packed weights. */
#include "cases.h"

#include <math.h>
#include <stdio.h>

static ace_dtype random_matrix_type(trial *t)
{
    static const ace_dtype types[] = {ACE_F32, ACE_BF16, ACE_I8};
    return types[trial_between(t, 0, 2)];
}

/* Error of a sum of n products of numbers below one.
 *   sum     n roundings of partial sums, which stay near √n: n·2^-24 is a wide bound in f32
 *   int8    where w / scale falls on a tie the kernel may pick the other of two steps of 1/127;
 *           a handful of such flips
 *   snake   sine within 1.5e-7, its argument (below 8) within 2^-22, each doubled by the square and
 *           weighed by 1/beta below 2: 2^-19 per input; and rounding such inputs to bf16 flips a
 *           handful of them by a step, 2^-6 below 4
 *   int8    inputs, where they are 8 bits too, are off by half a step of 1/127 at most: a standard
 *           deviation of 2^-8/√3, six of the sum's; Snake of inputs may be rounded to bf16, below 4
 *           by 2^-7 at most */
static double product_error(const ace_matrix *w, bool snake)
{
    double n = (double)w->shape.cols * w->shape.taps;
    double error = (n + 16) * 0x1p-24;
    if (w->shape.dtype == ACE_I8) {
        error += 4.0 / 127.0;
        error += w->shape.int8_inputs ? sqrt(n) * 6 * 0x1p-8 / 1.732 : 0;
    }
    if (snake) {
        error += n * 0x1p-19 + (w->shape.dtype == ACE_BF16 ? 4 * 0x1p-6 : 0);
        error += w->shape.dtype == ACE_I8 ? sqrt(n) * 6 * 0x1p-7 / 1.732 : 0;
    }
    return error;
}

static ace_epilogue random_epilogue(trial *t, bool accumulate, int64_t rows, int64_t cols)
{
    ace_epilogue e = {.accumulate = accumulate};
    if (trial_chance(t, 50)) {
        e.bias = trial_row(t, cols, -1.0f, 1.0f);
    }
    if (accumulate && trial_chance(t, 60)) {
        int64_t groups = trial_between(t, 1, rows);
        while (rows % groups != 0) {
            groups--;
        }
        e.gate = trial_input(t, groups, cols, ACE_F32, -1.0f, 1.0f);
    }
    return e;
}

static ace_tensor product_output(trial *t, int64_t rows, int64_t cols, bool accumulate)
{
    ace_dtype dtype = trial_work_type(t);
    return accumulate ? trial_updated(t, rows, cols, dtype, -1.0f, 1.0f)
                      : trial_output(t, rows, cols, dtype, false);
}

static void describe(trial *t, const ace_matrix *w, ace_tensor x, const ace_epilogue *e,
                     const char *more)
{
    snprintf(t->about, sizeof t->about,
             "%lld rows, %lld -> %lld, %d taps, weights %s, %s -> %s%s%s%s%s%s", (long long)x.rows,
             (long long)w->shape.cols, (long long)w->shape.rows, w->shape.taps,
             w->shape.int8_inputs ? "int8 by int8" : ace_dtype_name(w->shape.dtype),
             ace_dtype_name(x.dtype), ace_dtype_name(t->output.dtype),
             w->shape.swiglu ? ", swiglu" : "", e->accumulate ? ", accumulate" : "",
             e->gate.addr != 0 ? ", gate" : "", e->bias.addr != 0 ? ", bias" : "", more);
}

void case_linear(trial *t)
{
    ace_matrix_shape shape = {.rows = trial_size(t, 150),
                              .cols = trial_size(t, 300),
                              .taps = 1,
                              .dtype = random_matrix_type(t),
                              .swiglu = trial_chance(t, 25)};
    shape.int8_inputs = shape.dtype == ACE_I8 && trial_chance(t, 50);
    int64_t cols = shape.rows;
    bool is_apart = shape.swiglu && trial_chance(t, 30);
    if (shape.swiglu) {
        shape.rows *= 2;
        cols = is_apart ? shape.rows : cols;
    }
    int64_t rows = trial_size(t, 70);
    ace_matrix w = trial_matrix(t, shape);
    ace_tensor x = trial_input(t, rows, shape.cols, trial_work_type(t), -1.0f, 1.0f);
    bool accumulate = !shape.swiglu && trial_chance(t, 40);
    ace_tensor y = product_output(t, rows, cols, accumulate);
    ace_epilogue e = {0};
    if (!shape.swiglu) {
        e = random_epilogue(t, accumulate, rows, cols);
    }
    describe(t, &w, x, &e, is_apart ? " apart" : "");
    double error = product_error(&w, false);
    if (shape.swiglu &&
        !is_apart) { /* silu(gate)·up: either factor, near √n at most, carries the other's error
                      */
        error *= 2.0 * sqrt((double)shape.cols) + 2.0;
    }
    trial_bound(t, error, 4 * 0x1p-23);
    trial_freeze(t);
    if (t->failure[0] == '\0') {
        t->device->ops->linear(t->device, y, x, &w, &e);
    }
}

/* alpha up to 8, 1/beta up to 2 */
static bool random_snake(trial *t, int64_t channels, ace_tensor *alpha, ace_tensor *inv_beta)
{
    if (trial_chance(t, 50)) {
        return false;
    }
    *alpha = trial_row(t, channels, 0.1f, 8.0f);
    *inv_beta = trial_row(t, channels, 0.1f, 2.0f);
    return true;
}

void case_conv(trial *t)
{
    ace_matrix_shape shape = {.rows = trial_size(t, 100),
                              .cols = trial_size(t, 80),
                              .taps = (int)trial_between(t, 1, 8),
                              .dtype = random_matrix_type(t)};
    ace_conv c = {.stride = trial_between(t, 1, 5),
                  .dilation = trial_between(t, 1, 9),
                  .pad = trial_between(t, 0, 12)};
    int64_t n_in = trial_size(t, 80);
    int64_t span = c.dilation * (shape.taps - 1) + 1;
    int64_t n_out = (n_in + 2 * c.pad - span) / c.stride + 1;
    n_out = n_in + 2 * c.pad < span ? trial_between(t, 1, 4) : n_out;
    ace_matrix w = trial_matrix(t, shape);
    ace_tensor x = trial_input(t, n_in, shape.cols, trial_work_type(t), -1.0f, 1.0f);
    bool snake = random_snake(t, shape.cols, &c.snake_alpha, &c.snake_inv_beta);
    bool accumulate = trial_chance(t, 40);
    ace_tensor y = product_output(t, n_out, shape.rows, accumulate);
    ace_epilogue e = random_epilogue(t, accumulate, n_out, shape.rows);
    char more[96];
    snprintf(more, sizeof more, ", stride %lld, dilation %lld, pad %lld%s", (long long)c.stride,
             (long long)c.dilation, (long long)c.pad, snake ? ", snake" : "");
    describe(t, &w, x, &e, more);
    trial_bound(t, product_error(&w, snake), 4 * 0x1p-23);
    trial_freeze(t);
    if (t->failure[0] == '\0') {
        t->device->ops->conv(t->device, y, x, &w, &c, &e);
    }
}

void case_conv_transpose(trial *t)
{
    int64_t stride = trial_between(t, 1, 10);
    int64_t channels = trial_size(t, 40);
    ace_matrix_shape shape = {.rows = stride * channels,
                              .cols = trial_size(t, 80),
                              .taps = 2,
                              .dtype = random_matrix_type(t)};
    ace_conv_transpose c = {.stride = stride, .crop = trial_between(t, (stride + 1) / 2, stride)};
    int64_t n_in = trial_size(t, 40);
    ace_matrix w = trial_matrix(t, shape);
    ace_tensor x = trial_input(t, n_in, shape.cols, trial_work_type(t), -1.0f, 1.0f);
    bool snake = random_snake(t, shape.cols, &c.snake_alpha, &c.snake_inv_beta);
    if (trial_chance(t, 50)) {
        c.bias = trial_row(t, channels, -1.0f, 1.0f);
    }
    ace_tensor y = trial_output(t, n_in * stride, channels, trial_work_type(t), true);
    ace_epilogue shown = {.bias = c.bias};
    char more[96];
    snprintf(more, sizeof more, ", stride %lld, crop %lld%s", (long long)stride, (long long)c.crop,
             snake ? ", snake" : "");
    describe(t, &w, x, &shown, more);
    trial_bound(t, product_error(&w, snake), 4 * 0x1p-23);
    trial_freeze(t);
    if (t->failure[0] == '\0') {
        t->device->ops->conv_transpose(t->device, y, x, &w, &c);
    }
}
