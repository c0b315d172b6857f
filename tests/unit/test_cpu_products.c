/* The CPU device's products against the reference device (plain loops, f64 sums): random shapes
 * with odd tails, every level this machine has, every matrix and tensor type, views with gaps.
 * Outputs and packed matrices start poisoned, and everything around an output must stay as it was.
 */
#include "base/memory.h"
#include "cpu/cpu_device.h"
#include "cpu/reference_device.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CASES = 200, GUARD = 64, POISON = 0x7f, Q8_NUMBERS = 32, Q8_BYTES = 34 };

/* ---- random numbers -------------------------------------------------------------------------- */

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

static bool coin(rng *r)
{
    return between(r, 0, 1) == 0;
}

static ace_dtype any_work_type(rng *r)
{
    return coin(r) ? ACE_F32 : ACE_BF16;
}

static ace_dtype any_matrix_type(rng *r)
{
    static const ace_dtype types[] = {ACE_F32, ACE_BF16, ACE_I8};
    return types[between(r, 0, 2)];
}

/* In [-1, 1); the caller frees them. */
static float *random_values(rng *r, int64_t n)
{
    float *v = malloc((size_t)n * sizeof *v);
    assert_non_null(v);
    for (int64_t i = 0; i < n; i++) {
        v[i] = (float)next(r) * 0x1p-30f - 1.0f;
    }
    return v;
}

/* ---- tensors with guards --------------------------------------------------------------------- */

/* Both devices live in host memory, so plain blocks serve as tensors. The view begins one element
 * before a cache line, so that no kernel may rely on alignment. */
typedef struct guarded {
    unsigned char *block;
    size_t bytes;
    ace_tensor view;
} guarded;

static guarded random_tensor(rng *r, ace_dtype dtype, int64_t rows, int64_t cols, bool contiguous)
{
    int64_t stride = contiguous ? cols : cols + between(r, 0, 5);
    size_t size = ace_dtype_bytes(dtype);
    guarded g = {.bytes = (size_t)(rows * stride) * size + 2 * GUARD};
    g.block = malloc(g.bytes);
    assert_non_null(g.block);
    memset(g.block, POISON, g.bytes);
    unsigned char *start = g.block + GUARD - size;
    g.view = (ace_tensor){(uint64_t)(uintptr_t)start, dtype, rows, cols, stride};
    float *v = random_values(r, rows * cols);
    for (int64_t i = 0; i < rows * cols; i++) {
        unsigned char *at = start + (size_t)(i / cols * stride + i % cols) * size;
        uint16_t half = ace_f32_to_bf16(v[i]);
        memcpy(at, dtype == ACE_BF16 ? (const void *)&half : (const void *)&v[i], size);
    }
    free(v);
    return g;
}

static guarded copy_of(const guarded *g)
{
    guarded copy = *g;
    copy.block = malloc(g->bytes);
    assert_non_null(copy.block);
    memcpy(copy.block, g->block, g->bytes);
    copy.view.addr =
        (uint64_t)(uintptr_t)copy.block + (g->view.addr - (uint64_t)(uintptr_t)g->block);
    return copy;
}

static void check_guards(const guarded *g)
{
    size_t size = ace_dtype_bytes(g->view.dtype);
    size_t row = (size_t)g->view.row_stride * size;
    for (size_t i = 0; i < g->bytes; i++) {
        size_t at = i - (GUARD - size); /* wraps before the view: then no row is that far */
        bool inside = at / row < (size_t)g->view.rows && at % row < (size_t)g->view.cols * size;
        if (!inside) {
            assert_int_equal(g->block[i], POISON);
        }
    }
}

/* ---- cases ----------------------------------------------------------------------------------- */

typedef enum kind { LINEAR, CONV, CONV_TRANSPOSE } kind;

typedef struct product_case {
    kind kind;
    ace_matrix_shape shape;
    ace_matrix_part parts[2];
    int n_parts;
    void *weights;
    float *row_scale, *col_scale;
    guarded x, bias, gate, alpha, inv_beta;
    guarded y; /* before the operation */
    ace_conv conv;
    ace_conv_transpose transpose;
    ace_epilogue epilogue;
} product_case;

/* n weights in [-1, 1) as a file stores them; the caller frees them. Q8_0 blocks have the scale
 * 2^-7. */
static void *random_weights(rng *r, ace_dtype dtype, int64_t n)
{
    float *v = random_values(r, n);
    if (dtype == ACE_F32) {
        return v;
    }
    unsigned char *data = malloc((size_t)n * 2);
    assert_non_null(data);
    for (int64_t i = 0; i < n && dtype == ACE_BF16; i++) {
        uint16_t half = ace_f32_to_bf16(v[i]);
        memcpy(data + 2 * i, &half, sizeof half);
    }
    for (int64_t block = 0; block < n / Q8_NUMBERS && dtype == ACE_Q8_0; block++) {
        unsigned char *at = data + block * Q8_BYTES;
        const unsigned char scale[2] = {0x00, 0x20};
        memcpy(at, scale, sizeof scale);
        for (int i = 0; i < Q8_NUMBERS; i++) {
            at[2 + i] = (unsigned char)next(r);
        }
    }
    free(v);
    return data;
}

/* The file's type, and its layout: [row][col][tap] (as a convolution's) or [tap][col][row] (strides
 * the packer has to walk). Blocks only come in plain order. */
static ace_dtype choose_storage(rng *r, const ace_matrix_shape *s, bool *turned)
{
    *turned = coin(r);
    if (s->taps == 1 && s->cols % Q8_NUMBERS == 0) {
        *turned = false;
        return ACE_Q8_0;
    }
    return any_work_type(r);
}

static const void *row_address(const product_case *c, ace_dtype dtype, int64_t row, int64_t stride)
{
    int64_t bytes = dtype == ACE_Q8_0 ? row * c->shape.cols / Q8_NUMBERS * Q8_BYTES
                                      : row * stride * (int64_t)ace_dtype_bytes(dtype);
    return (const unsigned char *)c->weights + bytes;
}

/* Weights with some row and column scales, as one or two parts. */
static void make_weights(rng *r, product_case *c)
{
    const ace_matrix_shape *s = &c->shape;
    bool turned;
    ace_dtype dtype = choose_storage(r, s, &turned);
    c->weights = random_weights(r, dtype, s->rows * s->cols * s->taps);
    c->row_scale = coin(r) ? random_values(r, s->rows) : NULL;
    c->col_scale = coin(r) ? random_values(r, s->cols) : NULL;
    int64_t row_stride = turned ? 1 : s->cols * s->taps;
    int64_t split = between(r, 0, s->rows - 1);
    int64_t begin[3] = {0, split > 0 ? split : s->rows, s->rows};
    c->n_parts = split > 0 ? 2 : 1;
    for (int i = 0; i < c->n_parts; i++) {
        c->parts[i] = (ace_matrix_part){
            .name = "weights",
            .data = row_address(c, dtype, begin[i], row_stride),
            .dtype = dtype,
            .rows = begin[i + 1] - begin[i],
            .row_stride = row_stride,
            .col_stride = turned ? s->rows : s->taps,
            .tap_stride = turned ? s->rows * s->cols : 1,
            .row_scale = c->row_scale != NULL ? c->row_scale + begin[i] : NULL,
            .col_scale = c->col_scale,
        };
    }
}

static void make_epilogue(rng *r, product_case *c, int64_t rows, int64_t cols)
{
    if (coin(r)) {
        c->bias = random_tensor(r, ACE_F32, 1, cols, true);
    }
    c->epilogue.accumulate = coin(r);
    if (c->epilogue.accumulate && coin(r)) {
        c->gate = random_tensor(r, ACE_F32, rows % 2 == 0 ? 2 : 1, cols, false);
    }
    c->epilogue.bias = c->bias.view;
    c->epilogue.gate = c->gate.view;
}

static void make_snake(rng *r, product_case *c)
{
    if (coin(r)) {
        c->alpha = random_tensor(r, ACE_F32, 1, c->shape.cols, true);
        c->inv_beta = random_tensor(r, ACE_F32, 1, c->shape.cols, true);
    }
    c->conv.snake_alpha = c->transpose.snake_alpha = c->alpha.view;
    c->conv.snake_inv_beta = c->transpose.snake_inv_beta = c->inv_beta.view;
}

static void make_linear(rng *r, product_case *c)
{
    int64_t rows = coin(r) ? between(r, 1, 8) : between(r, 1, 130);
    bool is_deep = between(r, 1, 4) == 1;
    c->shape = (ace_matrix_shape){
        .rows = between(r, 1, 300),
        .cols = is_deep   ? between(r, 1500, 3000)
                : coin(r) ? between(r, 1, 9) * Q8_NUMBERS
                          : between(r, 1, 300),
        .taps = 1,
        .dtype = any_matrix_type(r),
        .swiglu = between(r, 1, 4) == 1,
        .int8_inputs = coin(r),
    };
    int64_t cols = c->shape.rows;
    c->shape.rows *= c->shape.swiglu ? 2 : 1;
    make_weights(r, c);
    if (!c->shape.swiglu) {
        make_epilogue(r, c, rows, cols);
    }
    c->x = random_tensor(r, any_work_type(r), rows, c->shape.cols, false);
    c->y = random_tensor(r, any_work_type(r), rows, cols, false);
}

static void make_conv(rng *r, product_case *c)
{
    int64_t x_rows = between(r, 1, 130);
    c->shape = (ace_matrix_shape){.rows = between(r, 1, 70),
                                  .cols = between(r, 1, 150),
                                  .taps = (int)between(r, 1, 7),
                                  .dtype = any_matrix_type(r)};
    c->conv = (ace_conv){.stride = coin(r) ? 1 : between(r, 1, 10),
                         .dilation = coin(r) ? 1 : between(r, 1, 9),
                         .pad = between(r, 0, 30)};
    int64_t span = (c->shape.taps - 1) * c->conv.dilation;
    int64_t rows = (x_rows + 2 * c->conv.pad - span - 1) / c->conv.stride + 1;
    rows = rows < 1 ? 1 : rows; /* rows beyond the input read zeros */
    make_weights(r, c);
    make_epilogue(r, c, rows, c->shape.rows);
    make_snake(r, c);
    c->x = random_tensor(r, any_work_type(r), x_rows, c->shape.cols, false);
    c->y = random_tensor(r, any_work_type(r), rows, c->shape.rows, false);
}

static void make_transpose(rng *r, product_case *c)
{
    int64_t x_rows = between(r, 1, 130);
    int64_t channels = between(r, 1, 40);
    int64_t stride = between(r, 1, 10);
    c->transpose =
        (ace_conv_transpose){.stride = stride, .crop = between(r, (stride + 1) / 2, stride)};
    c->shape = (ace_matrix_shape){.rows = channels * stride,
                                  .cols = between(r, 1, 150),
                                  .taps = 2,
                                  .dtype = any_matrix_type(r)};
    make_weights(r, c);
    make_snake(r, c);
    if (coin(r)) {
        c->bias = random_tensor(r, ACE_F32, 1, channels, true);
    }
    c->transpose.bias = c->bias.view;
    c->x = random_tensor(r, any_work_type(r), x_rows, c->shape.cols, false);
    c->y = random_tensor(r, any_work_type(r), x_rows * stride, channels, true);
}

static product_case make_case(rng *r)
{
    product_case c = {.kind = (kind)between(r, LINEAR, CONV_TRANSPOSE)};
    switch (c.kind) {
    case LINEAR:
        make_linear(r, &c);
        break;
    case CONV:
        make_conv(r, &c);
        break;
    case CONV_TRANSPOSE:
        make_transpose(r, &c);
        break;
    }
    return c;
}

static void free_case(product_case *c)
{
    free(c->weights);
    free(c->row_scale);
    free(c->col_scale);
    guarded *tensors[] = {&c->x, &c->bias, &c->gate, &c->alpha, &c->inv_beta, &c->y};
    for (size_t i = 0; i < sizeof tensors / sizeof *tensors; i++) {
        free(tensors[i]->block);
    }
}

/* The case's result on a device, f32 [rows, cols]; the caller frees it. */
static float *run_case(const product_case *c, ace_device *d)
{
    ace_matrix w = {.shape = c->shape};
    w.bytes = d->ops->matrix_bytes(d, &w.shape);
    assert_int_equal(d->ops->reserve(d, w.bytes, &w.addr, NULL), ACESTEP_OK);
    memset((void *)(uintptr_t)w.addr, 0xff, w.bytes);
    assert_int_equal(d->ops->matrix_pack(d, &w, c->parts, c->n_parts, NULL), ACESTEP_OK);

    guarded y = copy_of(&c->y);
    switch (c->kind) {
    case LINEAR:
        d->ops->linear(d, y.view, c->x.view, &w, &c->epilogue);
        break;
    case CONV:
        d->ops->conv(d, y.view, c->x.view, &w, &c->conv, &c->epilogue);
        break;
    case CONV_TRANSPOSE:
        d->ops->conv_transpose(d, y.view, c->x.view, &w, &c->transpose);
        break;
    }
    check_guards(&y);
    float *result = malloc((size_t)(y.view.rows * y.view.cols) * sizeof *result);
    assert_non_null(result);
    assert_int_equal(d->ops->download(d, result, y.view, NULL), ACESTEP_OK);
    free(y.block);
    d->ops->release(d, w.addr, w.bytes);
    return result;
}

/* ---- comparison ------------------------------------------------------------------------------ */

/* Terms are at most 2 and random in sign, so partial sums of n terms stay near √n, each step rounds
 * by at most √n·2^-24, and the n roundings add up to about n·2^-24; twice that is allowed. */
static double bound(const product_case *c, double expected)
{
    double n = (double)(c->shape.cols * c->shape.taps);
    double limit = (n + 16.0) * 0x1p-23;
    if (c->shape.dtype == ACE_I8 && c->alpha.view.addr != 0) {
        limit += sqrt(n) * 6 * 0x1p-8 / 1.732; /* rounded to bf16, where the reference keeps f32 */
    }
    if (c->shape.dtype == ACE_BF16 && c->alpha.view.addr != 0) {
        limit += 0x1p-7; /* one Snake value in [1, 2) may round to the other bf16 neighbour */
    }
    if (c->shape.dtype == ACE_I8 && c->x.view.dtype == ACE_BF16 && c->shape.taps == 1) {
        /* Inputs may be rounded to 2^-15 of the largest: a standard error of 2^-16.8, of a term
         * 2^-17.6 or less; six of the sum's. */
        limit += sqrt(n) * 0x1p-15;
    }
    if (c->shape.int8_inputs && c->shape.dtype == ACE_I8 && c->x.view.dtype == ACE_BF16) {
        limit += sqrt(n) * 6 * 0x1p-8 / 1.732; /* the same with 7 bits; see above */
    }
    if (c->shape.swiglu) {
        limit *= 2.0 * sqrt(n) + 1.0; /* each factor's error times the other factor */
    }
    if (c->y.view.dtype == ACE_BF16) {
        limit += fabs(expected) * 0x1p-7; /* the result may round to the other neighbour */
    }
    return limit;
}

static void describe(const product_case *c, char *text, size_t bytes)
{
    static const char *const kinds[] = {"linear", "conv", "conv_transpose"};
    snprintf(text, bytes, "%s%s, w %s [%lld, %d, %lld], x %s [%lld], y %s [%lld]", kinds[c->kind],
             c->shape.swiglu ? " swiglu" : "", ace_dtype_name(c->shape.dtype),
             (long long)c->shape.rows, c->shape.taps, (long long)c->shape.cols,
             ace_dtype_name(c->x.view.dtype), (long long)c->x.view.rows,
             ace_dtype_name(c->y.view.dtype), (long long)c->y.view.rows);
}

static void compare(const product_case *c, const float *expected, const float *got,
                    ace_cpu_level level)
{
    int64_t cols = c->y.view.cols;
    for (int64_t i = 0; i < c->y.view.rows * cols; i++) {
        double limit = bound(c, (double)expected[i]);
        if (!(fabs((double)expected[i] - (double)got[i]) <= limit)) {
            char text[256];
            describe(c, text, sizeof text);
            fail_msg("%s: %s: (%lld, %lld) is %.9g, expected %.9g ± %.3g",
                     ace_cpu_level_name(level), text, (long long)(i / cols), (long long)(i % cols),
                     (double)got[i], (double)expected[i], limit);
        }
    }
}

static void products_match_reference(void **state)
{
    (void)state;
    ace_device *reference;
    assert_int_equal(ace_reference_device_open(&reference, NULL), ACESTEP_OK);
    ace_device *devices[ACE_CPU_BEST + 1];
    int levels = (int)ace_cpu_detect() + 1;
    for (int i = 0; i < levels; i++) {
        ace_cpu_level level = (ace_cpu_level)i;
        assert_int_equal(ace_cpu_device_open(2, level, &devices[i], NULL), ACESTEP_OK);
        assert_int_equal(ace_cpu_device_level(devices[i]), level);
    }
    rng r = {.state = 20260101};
    for (int n = 0; n < CASES; n++) {
        product_case c = make_case(&r);
        float *expected = run_case(&c, reference);
        for (int i = 0; i < levels; i++) {
            float *got = run_case(&c, devices[i]);
            compare(&c, expected, got, (ace_cpu_level)i);
            free(got);
        }
        free(expected);
        free_case(&c);
    }
    for (int i = 0; i < levels; i++) {
        ace_device_close(devices[i]);
    }
    ace_device_close(reference);
}

static void results_do_not_depend_on_threads(void **state)
{
    (void)state;
    ace_device *devices[3];
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ace_cpu_device_open(i + 1, ACE_CPU_BEST, &devices[i], NULL), ACESTEP_OK);
        assert_int_equal(ace_cpu_device_threads(devices[i]), i + 1);
    }
    rng r = {.state = 77};
    for (int n = 0; n < CASES / 2; n++) {
        product_case c = make_case(&r);
        size_t bytes = (size_t)(c.y.view.rows * c.y.view.cols) * sizeof(float);
        float *first = run_case(&c, devices[0]);
        for (int i = 1; i < 3; i++) {
            float *other = run_case(&c, devices[i]);
            assert_memory_equal(first, other, bytes);
            free(other);
        }
        free(first);
        free_case(&c);
    }
    for (int i = 0; i < 3; i++) {
        ace_device_close(devices[i]);
    }
}

/* ---- packing and the device itself ----------------------------------------------------------- */

static void damaged_weights_are_refused(void **state)
{
    (void)state;
    ace_device *d;
    assert_int_equal(ace_cpu_device_open(2, ACE_CPU_BEST, &d, NULL), ACESTEP_OK);
    static const ace_dtype types[] = {ACE_F32, ACE_BF16, ACE_I8};
    static const float poisons[] = {NAN, INFINITY, -INFINITY};
    for (int i = 0; i < 9; i++) {
        float good[3 * 40] = {0};
        float bad[2 * 40] = {0};
        bad[i * 9] = poisons[i % 3];
        ace_matrix_part parts[2] = {
            {.name = "good", .data = good, .rows = 3, .row_stride = 40, .col_stride = 1},
            {.name = "bad.weight", .data = bad, .rows = 2, .row_stride = 40, .col_stride = 1}};
        ace_matrix w = {.shape = {.rows = 5, .cols = 40, .taps = 1, .dtype = types[i / 3]}};
        w.bytes = d->ops->matrix_bytes(d, &w.shape);
        assert_int_equal(d->ops->reserve(d, w.bytes, &w.addr, NULL), ACESTEP_OK);
        ace_error err = {0};
        assert_int_equal(d->ops->matrix_pack(d, &w, parts, 2, &err), ACESTEP_MODEL);
        assert_string_equal(err.message, "bad.weight: holds NaN or infinity; the file is damaged");
        d->ops->release(d, w.addr, w.bytes);
    }
    ace_device_close(d);
}

static void memory_failures_are_reported(void **state)
{
    (void)state;
    uint64_t live = ace_memory_live();
    ace_status status = ACESTEP_MEMORY;
    for (uint64_t n = 1; status != ACESTEP_OK; n++) {
        ace_device *d;
        ace_error err = {0};
        ace_memory_fail_at(n);
        status = ace_cpu_device_open(2, ACE_CPU_BEST, &d, &err);
        ace_memory_fail_at(0);
        if (status == ACESTEP_OK) {
            uint64_t addr;
            assert_int_equal(d->ops->reserve(d, SIZE_MAX - 8, &addr, &err), ACESTEP_MEMORY);
            ace_device_close(d);
        } else {
            assert_int_equal(status, ACESTEP_MEMORY);
            assert_null(d);
        }
        assert_int_equal(err.code, ACESTEP_MEMORY);
        assert_int_equal(ace_memory_live(), live);
    }
}

static void level_names_round_trip(void **state)
{
    (void)state;
    ace_cpu_level level;
    for (int i = 0; i <= (int)ACE_CPU_BEST; i++) {
        assert_true(ace_cpu_level_parse(ace_cpu_level_name((ace_cpu_level)i), &level));
        assert_int_equal(level, i);
    }
    assert_false(ace_cpu_level_parse("sse9", &level));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_match_reference),
        cmocka_unit_test(results_do_not_depend_on_threads),
        cmocka_unit_test(damaged_weights_are_refused),
        cmocka_unit_test(memory_failures_are_reported),
        cmocka_unit_test(level_names_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
