#include "trial.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GUARD_BYTES = 256, GUARD = 0xa5 };

static uint64_t next_random(trial *t)
{
    /* SplitMix64, Steele, Lea and Flood 2014 */
    t->state += 0x9e3779b97f4a7c15u;
    uint64_t z = t->state;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static void *checked_malloc(size_t bytes)
{
    void *memory = NULL;
    if (posix_memalign(&memory, 64, bytes != 0 ? bytes : 1) != 0) {
        fprintf(stderr, "kernel_check: no memory\n");
        exit(2);
    }
    return memory;
}

void trial_begin(trial *t, ace_device *device, uint64_t seed)
{
    memset(t, 0, sizeof *t);
    t->device = device;
    t->state = seed;
    t->grain = 1;
}

void trial_end(trial *t)
{
    for (int i = 0; i < t->n_blocks; i++) {
        trial_block *b = &t->blocks[i];
        if (b->addr != 0) {
            t->device->ops->release(t->device, b->addr, b->bytes);
        }
        free(b->memory);
        free(b->before);
        *b = (trial_block){0};
    }
    t->n_blocks = 0;
}

void trial_fail(trial *t, const char *format, ...)
{
    if (t->failure[0] != '\0') {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(t->failure, sizeof t->failure, format, arguments);
    va_end(arguments);
}

int64_t trial_between(trial *t, int64_t low, int64_t high)
{
    return low + (int64_t)(next_random(t) % (uint64_t)(high - low + 1));
}

bool trial_chance(trial *t, int percent)
{
    return trial_between(t, 0, 99) < percent;
}

float trial_real(trial *t, float low, float high)
{
    return low + (high - low) * (float)(next_random(t) >> 40) * 0x1p-24f;
}

int64_t trial_size(trial *t, int64_t max)
{
    int64_t n = trial_between(t, 1, max);
    switch (trial_between(t, 0, 5)) {
    case 0:
        n = 1;
        break;
    case 1:
        n = (n + 15) / 16 * 16;
        break;
    case 2:
        n = (n + 15) / 16 * 16 + trial_between(t, -1, 1);
        break;
    default:
        break;
    }
    return n < 1 ? 1 : n > max ? max : n;
}

ace_dtype trial_work_type(trial *t)
{
    return trial_chance(t, 50) ? ACE_BF16 : ACE_F32;
}

static trial_block *new_block(trial *t)
{
    if (t->n_blocks == TRIAL_BLOCKS) {
        fprintf(stderr, "kernel_check: a case uses more than %d blocks\n", (int)TRIAL_BLOCKS);
        exit(2);
    }
    return &t->blocks[t->n_blocks++];
}

void *trial_bytes(trial *t, size_t bytes)
{
    trial_block *b = new_block(t);
    b->memory = checked_malloc(bytes);
    b->bytes = bytes;
    memset(b->memory, 0, bytes);
    return b->memory;
}

float trial_element(ace_tensor t, int64_t row, int64_t col)
{
    int64_t i = row * t.row_stride + col;
    if (t.dtype == ACE_BF16) {
        return ace_bf16_to_f32(((const uint16_t *)(uintptr_t)t.addr)[i]);
    }
    if (t.dtype == ACE_I8) {
        return (float)((const int8_t *)(uintptr_t)t.addr)[i];
    }
    return ((const float *)(uintptr_t)t.addr)[i];
}

void trial_set_element(ace_tensor t, int64_t row, int64_t col, float value)
{
    int64_t i = row * t.row_stride + col;
    if (t.dtype == ACE_BF16) {
        ((uint16_t *)(uintptr_t)t.addr)[i] = ace_f32_to_bf16(value);
    } else if (t.dtype == ACE_I8) { /* nothing rounds to -128, which stands for NaN */
        ((int8_t *)(uintptr_t)t.addr)[i] = (int8_t)(isnan(value) ? -128 : lrintf(value));
    } else {
        ((float *)(uintptr_t)t.addr)[i] = value;
    }
}

static ace_tensor new_view(trial *t, int64_t rows, int64_t cols, ace_dtype dtype, size_t guard,
                           bool gapless)
{
    int64_t before = !gapless && trial_chance(t, 40) ? trial_between(t, 0, 20) : 0;
    int64_t after = !gapless && trial_chance(t, 40) ? trial_between(t, 0, 20) : 0;
    before -= before % t->grain;
    after -= after % t->grain;
    int64_t stride = before + cols + after;
    size_t size = ace_dtype_bytes(dtype);
    size_t bytes = (size_t)((rows - 1) * stride + before + cols) * size + 2 * guard;
    unsigned char *memory = trial_bytes(t, bytes);
    memset(memory, GUARD, bytes);
    return (ace_tensor){
        .addr = (uint64_t)(uintptr_t)(memory + guard + (size_t)before * size),
        .dtype = dtype,
        .rows = rows,
        .cols = cols,
        .row_stride = stride,
    };
}

static void fill_random(trial *t, ace_tensor view, float low, float high)
{
    for (int64_t r = 0; r < view.rows; r++) {
        for (int64_t c = 0; c < view.cols; c++) {
            trial_set_element(view, r, c, trial_real(t, low, high));
        }
    }
}

ace_tensor trial_input(trial *t, int64_t rows, int64_t cols, ace_dtype dtype, float low, float high)
{
    ace_tensor view = new_view(t, rows, cols, dtype, 0, false);
    fill_random(t, view, low, high);
    return view;
}

ace_tensor trial_row(trial *t, int64_t cols, float low, float high)
{
    return trial_input(t, 1, cols, ACE_F32, low, high);
}

ace_tensor trial_output(trial *t, int64_t rows, int64_t cols, ace_dtype dtype, bool gapless)
{
    ace_tensor view = new_view(t, rows, cols, dtype, GUARD_BYTES, gapless);
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t c = 0; c < cols; c++) {
            trial_set_element(view, r, c, NAN);
        }
    }
    t->blocks[t->n_blocks - 1].written = view;
    t->output = view;
    return view;
}

ace_tensor trial_updated(trial *t, int64_t rows, int64_t cols, ace_dtype dtype, float low,
                         float high)
{
    ace_tensor view = trial_output(t, rows, cols, dtype, false);
    fill_random(t, view, low, high);
    return view;
}

/* ---- matrices -------------------------------------------------------------------------------- */

/* Q8_0: blocks of a half-precision scale and 32 signed bytes. */
static void make_q8_0(trial *t, ace_matrix_part *p, int64_t cols)
{
    int64_t blocks = p->rows * cols / 32;
    unsigned char *data = trial_bytes(t, (size_t)blocks * 34);
    for (int64_t i = 0; i < blocks; i++) {
        unsigned char *block = data + i * 34;
        uint16_t scale = (uint16_t)trial_between(t, 0x1800, 0x2000); /* about 0.002 to 0.008 */
        memcpy(block, &scale, sizeof scale);
        for (int j = 0; j < 32; j++) {
            block[2 + j] = (unsigned char)trial_between(t, 0, 255);
        }
    }
    p->dtype = ACE_Q8_0;
    p->data = data;
}

static void make_plain(trial *t, ace_matrix_part *p, const ace_matrix_shape *s)
{
    static const ace_dtype types[] = {ACE_F32, ACE_BF16, ACE_F16, ACE_I8};
    p->dtype = types[trial_between(t, 0, 3)];
    int64_t n = p->rows * s->cols * s->taps;
    void *data = trial_bytes(t, (size_t)n * ace_dtype_bytes(p->dtype));
    for (int64_t i = 0; i < n; i++) {
        float value = trial_real(t, -1.0f, 1.0f);
        if (p->dtype == ACE_F32) {
            ((float *)data)[i] = value;
        } else if (p->dtype == ACE_BF16) {
            ((uint16_t *)data)[i] = ace_f32_to_bf16(value);
        } else if (p->dtype == ACE_I8) {
            ((int8_t *)data)[i] = (int8_t)trial_between(t, -127, 127);
        } else { /* any half of exponent 2^-8 … 2^-1, either sign: below one */
            ((uint16_t *)data)[i] =
                (uint16_t)(trial_between(t, 0x1c00, 0x3bff) | (trial_chance(t, 50) ? 0x8000 : 0));
        }
    }
    p->data = data;
    switch (trial_between(t, 0, 2)) {
    case 0: /* [rows][cols][taps], a convolution's file layout */
        p->row_stride = s->cols * s->taps;
        p->col_stride = s->taps;
        p->tap_stride = 1;
        break;
    case 1: /* [rows][taps][cols] */
        p->row_stride = s->cols * s->taps;
        p->col_stride = 1;
        p->tap_stride = s->cols;
        break;
    default: /* [cols][rows][taps], a transposed convolution's */
        p->row_stride = s->taps;
        p->col_stride = p->rows * s->taps;
        p->tap_stride = 1;
        break;
    }
}

/* Of int8 rows: numbers below one. */
static const float *int8_scales(trial *t, int64_t n)
{
    float *values = trial_bytes(t, (size_t)n * sizeof *values);
    for (int64_t i = 0; i < n; i++) {
        values[i] = trial_real(t, 0.1f, 1.0f) / 127.0f;
    }
    return values;
}

static const float *scales(trial *t, int64_t n)
{
    if (trial_chance(t, 70)) {
        return NULL;
    }
    float *scale = trial_bytes(t, (size_t)n * sizeof *scale);
    for (int64_t i = 0; i < n; i++) {
        scale[i] = trial_real(t, 0.25f, 1.0f);
    }
    return scale;
}

static ace_matrix_part make_part(trial *t, const ace_matrix_shape *s, int64_t rows)
{
    ace_matrix_part p = {.name = "weight", .rows = rows};
    if (s->taps == 1 && s->cols % 32 == 0 && trial_chance(t, 30)) {
        make_q8_0(t, &p, s->cols);
    } else {
        make_plain(t, &p, s);
    }
    p.row_scale = p.dtype == ACE_I8 ? int8_scales(t, rows) : scales(t, rows);
    p.col_scale = scales(t, s->cols);
    return p;
}

ace_matrix trial_matrix(trial *t, ace_matrix_shape shape)
{
    ace_matrix_part parts[3];
    int n_parts = 0;
    for (int64_t left = shape.rows; left > 0; n_parts++) {
        int64_t rows = n_parts == 2 || trial_chance(t, 60) ? left : trial_between(t, 1, left);
        parts[n_parts] = make_part(t, &shape, rows);
        left -= rows;
    }
    const ace_device_ops *ops = t->device->ops;
    ace_error err = {0};
    ace_matrix m = {.shape = shape, .bytes = ops->matrix_bytes(t->device, &shape)};
    if (ops->reserve(t->device, m.bytes, &m.addr, &err) != ACESTEP_OK) {
        trial_fail(t, "reserve: %s", err.message);
        return m;
    }
    trial_block *b = new_block(t);
    b->addr = m.addr;
    b->bytes = m.bytes;
    if (ops->matrix_pack(t->device, &m, parts, n_parts, &err) != ACESTEP_OK) {
        trial_fail(t, "pack: %s", err.message);
    }
    return m;
}

/* ---- verdict --------------------------------------------------------------------------------- */

void trial_bound(trial *t, double absolute, double relative)
{
    t->absolute = absolute;
    t->relative = relative;
    if (t->output.dtype == ACE_BF16) {
        /* Results on either side of a rounding boundary land one step apart: 2^-7 at most. */
        t->relative += 0x1p-7;
    }
}

void trial_freeze(trial *t)
{
    for (int i = 0; i < t->n_blocks; i++) {
        trial_block *b = &t->blocks[i];
        if (b->memory != NULL) {
            b->before = checked_malloc(b->bytes);
            memcpy(b->before, b->memory, b->bytes);
        }
    }
}

void trial_check_guards(trial *t)
{
    for (int i = 0; i < t->n_blocks; i++) {
        trial_block *b = &t->blocks[i];
        if (b->memory == NULL) {
            continue;
        }
        ace_tensor w = b->written;
        size_t size = ace_dtype_bytes(w.dtype);
        for (int64_t r = 0; r < w.rows; r++) { /* what may change counts as unchanged */
            size_t at = (size_t)(w.addr - (uintptr_t)b->memory) + (size_t)(r * w.row_stride) * size;
            memcpy(b->before + at, (unsigned char *)b->memory + at, (size_t)w.cols * size);
        }
        if (memcmp(b->before, b->memory, b->bytes) != 0) {
            trial_fail(t, "memory outside the result was written (block %d)", i);
        }
    }
}

double trial_compare(trial *t, const trial *reference)
{
    double worst = 0;
    for (int64_t r = 0; r < t->output.rows; r++) {
        for (int64_t c = 0; c < t->output.cols; c++) {
            double got = (double)trial_element(t->output, r, c);
            double expected = (double)trial_element(reference->output, r, c);
            double bound = reference->absolute + reference->relative * fabs(expected);
            double error = fabs(got - expected);
            if (!(error <= bound)) { /* NaN fails as well */
                trial_fail(t, "row %lld, column %lld: %.9g, reference %.9g, bound %.3g",
                           (long long)r, (long long)c, got, expected, bound);
            }
            if (bound > 0) {
                worst = error / bound > worst ? error / bound : worst;
            }
        }
    }
    return worst;
}
