#include "run/device_peaks.h"

#include "base/checked.h"
#include "base/clock.h"
#include "base/memory.h"

#include <math.h>

enum {
    FIRST_SIDE = 256,   /* of a product, … */
    LAST_SIDE = 8192,   /* … 1.1 TFLOP: a millisecond or two of today's fastest cards */
    FIRST_COLS = 4096,  /* of a copy's bf16 rows */
    FIRST_ROWS = 128,   /* 1 MiB … */
    LAST_ROWS = 131072, /* … to 1 GiB, far more than any cache */
    VARIED = 64,        /* rows that differ */
    MOST_ROUNDS = 50
};

static const double ENOUGH_SECONDS = 0.02; /* for a try: nothing is learned from a larger one */
static const double ROUND_SECONDS = 0.05;  /* for the tries of one size together */

typedef struct trial {
    ace_device *device;
    uint64_t base;
    size_t bytes;
    ace_tensor x, y;
    ace_matrix matrix; /* rows 0: a copy */
    ace_error *err;
} trial;

/* ---- time ------------------------------------------------------------------------------------ */

static void issue(const trial *t)
{
    const ace_epilogue plain = {.accumulate = false};
    if (t->matrix.shape.rows > 0) {
        t->device->ops->linear(t->device, t->y, t->x, &t->matrix, &plain);
    } else {
        t->device->ops->copy(t->device, t->y, t->x);
    }
}

/* A number that comes down has waited for everything before it. */
static ace_status wait_for_all(const trial *t)
{
    float value = 0;
    ace_tensor first = {t->y.addr, t->y.dtype, 1, 1, 1};
    return t->device->ops->download(t->device, &value, first, t->err);
}

static ace_status time_rounds(const trial *t, int rounds, double *seconds)
{
    double start = ace_clock_seconds();
    for (int i = 0; i < rounds; i++) {
        issue(t);
    }
    ace_status status = wait_for_all(t);
    *seconds = (ace_clock_seconds() - start) / rounds;
    return status;
}

/* Once to warm up, once to know how often, then often. */
static ace_status time_trial(const trial *t, double *seconds)
{
    ace_status status = time_rounds(t, 1, seconds);
    if (status == ACESTEP_OK) {
        status = time_rounds(t, 1, seconds);
    }
    int rounds = (int)fmin(ROUND_SECONDS / fmax(*seconds, 1e-9), MOST_ROUNDS);
    return status == ACESTEP_OK && rounds > 1 ? time_rounds(t, rounds, seconds) : status;
}

/* ---- memory ---------------------------------------------------------------------------------- */

static size_t aligned(const trial *t, size_t bytes)
{
    return ace_align_up(bytes, t->device->alignment);
}

static size_t bytes_of(const ace_tensor *x)
{
    return (size_t)x->rows * (size_t)x->cols * ace_dtype_bytes(x->dtype);
}

static bool fits(const trial *t, size_t bytes)
{
    ace_device_memory memory;
    t->device->ops->memory(t->device, &memory);
    return bytes <= memory.free / 2;
}

/* x, y and the matrix one behind the other. */
static ace_status reserve(trial *t, size_t bytes)
{
    t->bytes = bytes;
    ace_status status = t->device->ops->reserve(t->device, bytes, &t->base, t->err);
    t->x.addr = t->base;
    t->y.addr = t->x.addr + aligned(t, bytes_of(&t->x));
    t->matrix.addr = t->y.addr + aligned(t, bytes_of(&t->y));
    return status;
}

static void release(trial *t)
{
    t->device->ops->release(t->device, t->base, t->bytes);
}

/* Numbers within ±0.5. */
static void vary(float *values, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        values[i] = (float)((uint32_t)i * 2654435761u >> 16) * 0x1p-16f - 0.5f;
    }
}

/* x: some rows that differ, again and again. y lends them their place. */
static ace_status fill_input(const trial *t, const float *values)
{
    ace_tensor rows = {t->y.addr, t->x.dtype, VARIED, t->x.cols, t->x.cols};
    ace_tensor zero = {t->y.addr + bytes_of(&rows), t->x.dtype, 1, t->x.cols, t->x.cols};
    ace_status status = t->device->ops->upload(t->device, rows, values, t->err);
    t->device->ops->fill(t->device, zero, 0);
    t->device->ops->add(t->device, t->x, zero, rows);
    return status;
}

/* ---- arithmetic
 * ---------------------------------------------------------------------------------- */

/* Element (row, col) is values[row + col]. */
static ace_status fill_matrix(const trial *t, const float *values)
{
    const ace_matrix_part part = {.name = "peak",
                                  .data = values,
                                  .dtype = ACE_F32,
                                  .rows = t->matrix.shape.rows,
                                  .row_stride = 1,
                                  .col_stride = 1,
                                  .tap_stride = 1};
    return t->device->ops->matrix_pack(t->device, &t->matrix, &part, 1, t->err);
}

/* values: room for VARIED + 2 rows of LAST_SIDE. */
static ace_status time_product(trial *t, const float *values, double *seconds)
{
    ace_status status = fill_input(t, values);
    if (status == ACESTEP_OK) {
        status = fill_matrix(t, values);
    }
    return status == ACESTEP_OK ? time_trial(t, seconds) : status;
}

static void shape_product(trial *t, ace_dtype dtype, int64_t side)
{
    ace_dtype activation = dtype == ACE_F32 ? ACE_F32 : ACE_BF16;
    t->x = (ace_tensor){0, activation, side, side, side};
    t->y = t->x;
    t->matrix.shape = (ace_matrix_shape){
        .rows = side, .cols = side, .taps = 1, .dtype = dtype, .int8_inputs = true};
    t->matrix.bytes = t->device->ops->matrix_bytes(t->device, &t->matrix.shape);
}

static ace_status find_flops(ace_device *device, ace_dtype dtype, const float *values,
                             double *flops, ace_error *err)
{
    trial t = {.device = device, .err = err};
    ace_status status = ACESTEP_OK;
    double seconds = 0;
    for (int64_t side = FIRST_SIDE;
         side <= LAST_SIDE && seconds < ENOUGH_SECONDS && status == ACESTEP_OK; side *= 2) {
        shape_product(&t, dtype, side);
        size_t bytes = 2 * aligned(&t, bytes_of(&t.x)) + t.matrix.bytes;
        if (side > FIRST_SIDE && !fits(&t, bytes)) {
            break;
        }
        status = reserve(&t, bytes);
        if (status == ACESTEP_OK) {
            status = time_product(&t, values, &seconds);
            release(&t);
        }
        double cube = (double)side * (double)side * (double)side;
        *flops = status == ACESTEP_OK ? fmax(*flops, 2 * cube / seconds) : *flops;
    }
    return status;
}

/* ---- copies
 * -------------------------------------------------------------------------------------- */

/* The largest copy counts: smaller ones may stay in a cache. */
static ace_status find_bandwidth(ace_device *device, double *bandwidth, ace_error *err)
{
    trial t = {.device = device, .err = err};
    ace_status status = ACESTEP_OK;
    double seconds = 0;
    for (int64_t rows = FIRST_ROWS;
         rows <= LAST_ROWS && seconds < ENOUGH_SECONDS && status == ACESTEP_OK; rows *= 2) {
        t.x = (ace_tensor){0, ACE_BF16, rows, FIRST_COLS, FIRST_COLS};
        t.y = t.x;
        size_t bytes = 2 * aligned(&t, bytes_of(&t.x));
        if (rows > FIRST_ROWS && !fits(&t, bytes)) {
            break;
        }
        status = reserve(&t, bytes);
        if (status == ACESTEP_OK) {
            device->ops->fill(device, t.x, 1);
            status = time_trial(&t, &seconds);
            release(&t);
        }
        *bandwidth = status == ACESTEP_OK ? 2 * (double)bytes_of(&t.x) / seconds : *bandwidth;
    }
    return status;
}

ace_status ace_device_peaks(ace_device *device, ace_roofline *out, ace_error *err)
{
    static const ace_dtype types[] = {ACE_F32, ACE_BF16, ACE_I8};
    float *values = ace_malloc_array((VARIED + 2) * LAST_SIDE, sizeof *values);
    if (values == NULL) {
        return ace_fail(err, ACESTEP_MEMORY, "bench: no host memory");
    }
    vary(values, (int64_t)(VARIED + 2) * LAST_SIDE);
    *out = (ace_roofline){.bandwidth = 0};
    ace_status status = ACESTEP_OK;
    for (size_t i = 0; i < sizeof types / sizeof *types && status == ACESTEP_OK; i++) {
        ace_peak unit = ace_peak_of(types[i]);
        status = find_flops(device, types[i], values, &out->peaks.flops[unit], err);
        out->peaks.own[unit] = true;
    }
    /* int8 weights meet the same inputs everywhere */
    out->peaks.flops[ACE_PEAK_I16] = out->peaks.flops[ACE_PEAK_I8];
    if (status == ACESTEP_OK) {
        status = find_bandwidth(device, &out->bandwidth, err);
    }
    ace_free(values);
    return status;
}
