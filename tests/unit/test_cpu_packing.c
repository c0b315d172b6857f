/* Packed matrices to the byte, at every level this machine has, against a packer of plain loops:
 * how numbers are rounded and where they go. What a cache has kept must be what would be packed
 * anew. */
#include "base/block_formats.h"
#include "base/thread_pool.h"
#include "cpu/cpu_device.h"
#include "cpu/product.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CASES = 300, MOST_PARTS = 3, THREADS = 2 };

typedef struct rng {
    uint64_t state;
} rng;

static uint32_t next(rng *r)
{
    r->state = r->state * 6364136223846793005u + 1442695040888963407u; /* Knuth, MMIX */
    return (uint32_t)(r->state >> 33);
}

static int64_t between(rng *r, int64_t low, int64_t high)
{
    return low + (int64_t)(next(r) % (uint64_t)(high - low + 1));
}

static bool one_in(rng *r, int64_t n)
{
    return between(r, 1, n) == 1;
}

/* ---- cases ----------------------------------------------------------------------------------- */

typedef struct packing_case {
    ace_matrix_shape shape;
    ace_dtype stored;
    bool turned; /* [tap][col][row] in place of [row][col][tap] */
    void *numbers;
    float *row_scale, *col_scale; /* or NULL */
    ace_matrix_part parts[MOST_PARTS];
    int n_parts;
} packing_case;

static void *room(int64_t n, size_t bytes)
{
    void *p = calloc((size_t)n, bytes);
    assert_non_null(p);
    return p;
}

/* A magnitude for a whole row: mostly that of trained weights, sometimes none, subnormal or huge.
 */
static float choose_magnitude(rng *r)
{
    static const float rare[] = {0.0f, 0x1p-140f, 0x1p-126f, 0x1p-120f, 0x1p120f};
    return one_in(r, 8) ? rare[between(r, 0, 4)] : 0.02f;
}

/* Quotients of whole numbers and of halves: ties have to be broken. */
static float choose_number(rng *r, float magnitude)
{
    float number = one_in(r, 3) ? (float)between(r, -254, 254) / 254.0f
                                : (float)between(r, -(1 << 20), 1 << 20) * 0x1p-20f;
    return number * magnitude;
}

static void store(const packing_case *c, int64_t at, float number)
{
    uint16_t half = ace_f32_to_bf16(number);
    int8_t byte = (int8_t)between(&(rng){(uint64_t)at}, -128, 127);
    size_t bytes = ace_dtype_bytes(c->stored);
    const void *from = c->stored == ACE_F32    ? (const void *)&number
                       : c->stored == ACE_BF16 ? (const void *)&half
                                               : (const void *)&byte;
    memcpy((char *)c->numbers + (size_t)at * bytes, from, bytes);
}

static int64_t place(const packing_case *c, int64_t row, int64_t col, int64_t tap)
{
    const ace_matrix_shape *s = &c->shape;
    return c->turned ? (tap * s->cols + col) * s->rows + row
                     : (row * s->cols + col) * s->taps + tap;
}

static float *make_scales(rng *r, int64_t n)
{
    float *scales = room(n, sizeof *scales);
    for (int64_t i = 0; i < n; i++) {
        scales[i] = (float)between(r, 1, 4000) * 0x1p-12f;
    }
    return scales;
}

static void split_rows(rng *r, packing_case *c)
{
    const ace_matrix_shape *s = &c->shape;
    int64_t row = 0;
    c->n_parts = (int)between(r, 1, s->rows < MOST_PARTS ? s->rows : MOST_PARTS);
    for (int i = 0; i < c->n_parts; i++) {
        int64_t left = c->n_parts - 1 - i;
        int64_t rows = left == 0 ? s->rows - row : between(r, 1, s->rows - row - left);
        const char *data = c->numbers;
        c->parts[i] = (ace_matrix_part){
            .name = "weights",
            .data = data + (size_t)place(c, row, 0, 0) * ace_dtype_bytes(c->stored),
            .dtype = c->stored,
            .rows = rows,
            .row_stride = place(c, 1, 0, 0),
            .col_stride = place(c, 0, 1, 0),
            .tap_stride = place(c, 0, 0, 1),
            .row_scale = c->row_scale != NULL ? c->row_scale + row : NULL,
            .col_scale = c->col_scale};
        row += rows;
    }
}

static packing_case make_case(rng *r)
{
    static const ace_dtype packed[] = {ACE_I8, ACE_I8, ACE_BF16, ACE_F32};
    static const ace_dtype stored[] = {ACE_BF16, ACE_BF16, ACE_F32, ACE_I8};
    packing_case c = {
        .shape = {.rows = between(r, 1, 70),
                  .cols = one_in(r, 3) ? between(r, 500, 1600) : between(r, 1, 140),
                  .taps = one_in(r, 4) ? (int)between(r, 2, 5) : 1,
                  .dtype = packed[between(r, 0, 3)]},
        .stored = stored[between(r, 0, 3)],
        .turned = one_in(r, 4),
    };
    ace_matrix_shape *s = &c.shape;
    s->swiglu = s->taps == 1 && s->rows % 2 == 0 && one_in(r, 2);
    c.numbers = room(s->rows * s->cols * s->taps, sizeof(float));
    for (int64_t row = 0; row < s->rows; row++) {
        float magnitude = choose_magnitude(r);
        for (int64_t i = 0; i < s->cols * s->taps; i++) {
            store(&c, place(&c, row, i / s->taps, i % s->taps), choose_number(r, magnitude));
        }
    }
    c.row_scale = c.stored == ACE_I8 || one_in(r, 4) ? make_scales(r, s->rows) : NULL;
    c.col_scale = one_in(r, 6) ? make_scales(r, s->cols) : NULL;
    split_rows(r, &c);
    return c;
}

static void free_case(packing_case *c)
{
    free(c->numbers);
    free(c->row_scale);
    free(c->col_scale);
}

/* ---- a packer of plain loops ----------------------------------------------------------------- */

/* The device computes without subnormal numbers, and so must this. */
static float flushed(float v)
{
    return fabsf(v) < 0x1p-126f ? copysignf(0.0f, v) : v;
}

static float number_at(const packing_case *c, int64_t row, int64_t col, int64_t tap)
{
    float number = 0;
    size_t bytes = ace_dtype_bytes(c->stored);
    ace_decode_row(c->stored, (const char *)c->numbers + (size_t)place(c, row, col, tap) * bytes, 1,
                   &number);
    if (c->row_scale == NULL && c->col_scale == NULL) {
        return number;
    }
    number = flushed(flushed(number) * (c->row_scale != NULL ? c->row_scale[row] : 1.0f));
    return flushed(number * (c->col_scale != NULL ? c->col_scale[col] : 1.0f));
}

static int8_t stored_byte(const packing_case *c, int64_t row, int64_t col, int64_t tap)
{
    return ((const int8_t *)c->numbers)[place(c, row, col, tap)];
}

static bool keeps_bytes(const packing_case *c)
{
    return c->stored == ACE_I8 && c->col_scale == NULL;
}

static float scale_of(const packing_case *c, int64_t row)
{
    float peak = 0;
    if (keeps_bytes(c)) {
        return c->row_scale[row];
    }
    for (int64_t i = 0; i < c->shape.cols * c->shape.taps; i++) {
        peak = fmaxf(peak, fabsf(number_at(c, row, i / c->shape.taps, i % c->shape.taps)));
    }
    return flushed(flushed(peak) / 127.0f);
}

static int8_t quantised(float number, float scale)
{
    float q = scale > 0 ? flushed(number) / scale : 0.0f;
    return (int8_t)rint(fmin(127.0, fmax(-127.0, (double)q)));
}

/* Row `row` of the matrix, or none with -1, into lane `lane` of its panel. */
static void put_row(const packing_case *c, const ace_packed *to, int64_t panel, int lane,
                    int64_t row)
{
    int64_t together = ace_packed_together(to->dtype);
    float scale = row >= 0 && to->dtype == ACE_I8 ? scale_of(c, row) : 0.0f;
    for (int tap = 0; tap < to->taps; tap++) {
        for (int64_t k = 0; k < to->depth; k++) {
            bool exists = row >= 0 && k < c->shape.cols;
            float number = exists ? number_at(c, row, k, tap) : 0.0f;
            uint16_t half = ace_f32_to_bf16(number);
            int8_t byte =
                exists && keeps_bytes(c) ? stored_byte(c, row, k, tap) : quantised(number, scale);
            const void *from = to->dtype == ACE_F32    ? (const void *)&number
                               : to->dtype == ACE_BF16 ? (const void *)&half
                                                       : (const void *)&byte;
            size_t bytes = ace_dtype_bytes(to->dtype);
            size_t at = ace_packed_offset(to, panel, tap, k - k % together) +
                        (size_t)(lane * together + k % together) * bytes;
            memcpy(to->weights + at, from, bytes);
        }
    }
    if (to->dtype == ACE_I8) {
        to->scales[panel * ACE_PANEL + lane] = scale;
    }
}

static void pack_plainly(const packing_case *c, const ace_matrix *m)
{
    ace_packed to = ace_packed_of(m);
    int64_t outputs = c->shape.swiglu ? c->shape.rows / 2 : c->shape.rows;
    for (int64_t panel = 0; panel < to.panels; panel++) {
        for (int lane = 0; lane < ACE_PANEL; lane++) {
            int64_t output = (c->shape.swiglu ? panel / 2 : panel) * ACE_PANEL + lane;
            int64_t row = c->shape.swiglu && panel % 2 == 1 ? outputs + output : output;
            put_row(c, &to, panel, lane, output < outputs ? row : -1);
        }
    }
}

/* ---- comparing ------------------------------------------------------------------------------- */

static ace_matrix reserve(ace_device *d, const ace_matrix_shape *shape)
{
    ace_matrix m = {.shape = *shape};
    m.bytes = d->ops->matrix_bytes(d, shape);
    assert_int_equal(d->ops->reserve(d, m.bytes, &m.addr, NULL), ACESTEP_OK);
    memset((void *)(uintptr_t)m.addr, 0, m.bytes); /* gaps before the scales stay */
    return m;
}

static void compare(const packing_case *c, ace_device *d, int n)
{
    ace_matrix expected = reserve(d, &c->shape);
    ace_matrix got = reserve(d, &c->shape);
    pack_plainly(c, &expected);
    assert_int_equal(d->ops->matrix_pack(d, &got, c->parts, c->n_parts, NULL), ACESTEP_OK);
    const unsigned char *a = (const unsigned char *)(uintptr_t)expected.addr;
    const unsigned char *b = (const unsigned char *)(uintptr_t)got.addr;
    for (size_t i = 0; i < got.bytes; i++) {
        if (a[i] != b[i]) {
            fail_msg("%s, case %d: %s [%lld, %d, %lld] from %s%s: byte %zu of %zu is %d, not %d",
                     ace_cpu_level_name(ace_cpu_device_level(d)), n, ace_dtype_name(c->shape.dtype),
                     (long long)c->shape.rows, c->shape.taps, (long long)c->shape.cols,
                     ace_dtype_name(c->stored), c->turned ? ", turned" : "", i, (size_t)got.bytes,
                     b[i], a[i]);
        }
    }
    d->ops->release(d, got.addr, got.bytes);
    d->ops->release(d, expected.addr, expected.bytes);
}

static void every_level_packs_the_same_bytes(void **state)
{
    (void)state;
    for (int level = 0; level <= (int)ace_cpu_detect(); level++) {
        ace_device *d;
        rng r = {.state = 20261128};
        assert_int_equal(ace_cpu_device_open(THREADS, (ace_cpu_level)level, &d, NULL), ACESTEP_OK);
        for (int n = 0; n < CASES; n++) {
            packing_case c = make_case(&r);
            compare(&c, d, n);
            free_case(&c);
        }
        ace_device_close(d);
    }
}

/* A single one, anywhere in a row: also where only a vector's tail reads it. */
static void one_infinity_anywhere_is_found(void **state)
{
    (void)state;
    enum { COLS = 601 };
    static const uint16_t poisons[] = {0x7fc0, 0x7f80, 0xff80};
    for (int level = 0; level <= (int)ace_cpu_detect(); level++) {
        ace_device *d;
        assert_int_equal(ace_cpu_device_open(1, (ace_cpu_level)level, &d, NULL), ACESTEP_OK);
        ace_matrix m =
            reserve(d, &(ace_matrix_shape){.rows = 1, .cols = COLS, .taps = 1, .dtype = ACE_I8});
        for (int at = 0; at < COLS; at++) {
            uint16_t row[COLS];
            ace_error err = {.code = ACESTEP_OK};
            for (int i = 0; i < COLS; i++) {
                row[i] = 0x3f80;
            }
            row[at] = poisons[at % 3];
            ace_matrix_part part = {.name = "bad.weight",
                                    .data = row,
                                    .dtype = ACE_BF16,
                                    .rows = 1,
                                    .row_stride = COLS,
                                    .col_stride = 1};
            assert_int_equal(d->ops->matrix_pack(d, &m, &part, 1, &err), ACESTEP_MODEL);
            assert_non_null(strstr(err.message, "bad.weight"));
        }
        d->ops->release(d, m.addr, m.bytes);
        ace_device_close(d);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_level_packs_the_same_bytes),
        cmocka_unit_test(one_infinity_anywhere_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
