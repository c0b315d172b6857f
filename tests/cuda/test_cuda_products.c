/* Products of the CUDA device in the emulator against those of the reference device, in shapes that
 * need every way there is: several tiles in both directions and parts of one, more stages than are
 * under way at once and fewer, depths that fill no stage, inputs as they are and inputs that must
 * be read one by one, every epilogue, taps beyond both ends. */
#include "emulated_card.h"

#include "cpu/reference_device.h"

#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef enum kind { LINEAR, CONV, CONV_TRANSPOSE } kind;

typedef struct product {
    kind kind;
    int64_t rows, cols, out; /* of x; of the matrix: cols, rows (channels of y, transposed) */
    ace_dtype matrix, x, y;
    int64_t x_gap; /* numbers between rows */
    int taps;
    int64_t stride, dilation, pad; /* transposed: crop */
    bool snake, bias, accumulate, swiglu, int8_inputs;
    int64_t gates;
} product;

/* The emulated card has 16 processors: from 16 tiles of 128 by 128 on they are that large. */
static const product products[] = {
    /* 1 to 8 rows: a chunk of the depth and several, columns that leave warps over */
    {LINEAR, .rows = 1, .cols = 1000, .out = 517, .matrix = ACE_BF16, .x = ACE_BF16, .y = ACE_BF16},
    {LINEAR, .rows = 1, .cols = 5000, .out = 37, .matrix = ACE_BF16, .x = ACE_F32, .y = ACE_F32,
     .bias = true},
    {LINEAR, .rows = 1, .cols = 9000, .out = 35, .matrix = ACE_I8, .x = ACE_BF16, .y = ACE_F32},
    {LINEAR, .rows = 1, .cols = 4100, .out = 35, .matrix = ACE_F32, .x = ACE_F32, .y = ACE_F32},
    {LINEAR, .rows = 2, .cols = 4600, .out = 41, .matrix = ACE_I8, .x = ACE_BF16, .y = ACE_BF16,
     .swiglu = 1},
    {LINEAR, .rows = 3, .cols = 2500, .out = 41, .matrix = ACE_BF16, .x = ACE_BF16, .y = ACE_F32,
     .swiglu = 1},
    {LINEAR, .rows = 4, .cols = 4500, .out = 41, .matrix = ACE_F32, .x = ACE_F32, .y = ACE_F32},
    {LINEAR, .rows = 6, .cols = 2600, .out = 41, .matrix = ACE_BF16, .x = ACE_BF16, .y = ACE_F32,
     .bias = true, .accumulate = true, .gates = 3},
    {LINEAR, .rows = 8, .cols = 3000, .out = 1030, .matrix = ACE_I8, .x = ACE_BF16, .y = ACE_F32},
    /* small tiles */
    {LINEAR, .rows = 9, .cols = 8, .out = 3, .matrix = ACE_BF16, .x = ACE_BF16, .y = ACE_BF16},
    {LINEAR, .rows = 77, .cols = 200, .out = 130, .matrix = ACE_BF16, .x = ACE_BF16, .y = ACE_F32,
     .bias = true, .accumulate = true, .gates = 7},
    {LINEAR, .rows = 77, .cols = 203, .out = 131, .matrix = ACE_BF16, .x = ACE_F32, .y = ACE_BF16,
     .x_gap = 3},
    {LINEAR, .rows = 65, .cols = 136, .out = 70, .matrix = ACE_I8, .x = ACE_BF16, .y = ACE_BF16,
     .bias = true, .accumulate = true},
    {LINEAR, .rows = 70, .cols = 72, .out = 37, .matrix = ACE_I8, .x = ACE_F32, .y = ACE_F32,
     .swiglu = true},
    {LINEAR, .rows = 33, .cols = 520, .out = 36, .matrix = ACE_BF16, .x = ACE_BF16, .y = ACE_BF16,
     .x_gap = 8, .swiglu = true},
    /* large ones */
    {LINEAR, .rows = 300, .cols = 88, .out = 700, .matrix = ACE_BF16, .x = ACE_BF16, .y = ACE_F32,
     .bias = true},
    {LINEAR, .rows = 515, .cols = 264, .out = 530, .matrix = ACE_BF16, .x = ACE_F32, .y = ACE_BF16,
     .accumulate = true},
    {LINEAR, .rows = 300, .cols = 104, .out = 330, .matrix = ACE_BF16, .x = ACE_BF16, .y = ACE_BF16,
     .swiglu = true},
    {LINEAR, .rows = 300, .cols = 104, .out = 700, .matrix = ACE_I8, .x = ACE_BF16, .y = ACE_F32},
    {LINEAR, .rows = 300, .cols = 100, .out = 330, .matrix = ACE_I8, .x = ACE_F32, .y = ACE_BF16,
     .swiglu = true},
    /* 8 bits on both sides: less than a run, several, a part of one */
    {LINEAR, .rows = 20, .cols = 50, .out = 19, .matrix = ACE_I8, .x = ACE_BF16, .y = ACE_F32,
     .int8_inputs = true},
    {LINEAR, .rows = 70, .cols = 700, .out = 70, .matrix = ACE_I8, .x = ACE_BF16, .y = ACE_F32,
     .bias = true, .accumulate = true, .gates = 2, .int8_inputs = true},
    {LINEAR, .rows = 400, .cols = 384, .out = 400, .matrix = ACE_I8, .x = ACE_F32, .y = ACE_BF16,
     .x_gap = 1, .int8_inputs = true},
    {LINEAR, .rows = 300, .cols = 130, .out = 300, .matrix = ACE_I8, .x = ACE_BF16, .y = ACE_BF16,
     .swiglu = true, .int8_inputs = true},
    /* convolutions: taps beyond both ends, several taps in a stage, strides */
    {CONV, .rows = 200, .cols = 64, .out = 72, .matrix = ACE_BF16, .x = ACE_BF16, .y = ACE_BF16,
     .taps = 7, .stride = 1, .dilation = 9, .pad = 27, .bias = true, .snake = true},
    {CONV, .rows = 150, .cols = 64, .out = 72, .matrix = ACE_BF16, .x = ACE_BF16, .y = ACE_F32,
     .taps = 1, .stride = 1, .dilation = 1, .bias = true, .snake = true, .accumulate = true},
    {CONV, .rows = 90, .cols = 2, .out = 40, .matrix = ACE_BF16, .x = ACE_F32, .y = ACE_BF16,
     .taps = 7, .stride = 1, .dilation = 1, .pad = 3},
    {CONV, .rows = 200, .cols = 40, .out = 66, .matrix = ACE_I8, .x = ACE_BF16, .y = ACE_BF16,
     .taps = 8, .stride = 4, .dilation = 1, .pad = 2, .snake = true},
    {CONV, .rows = 4, .cols = 16, .out = 5, .matrix = ACE_BF16, .x = ACE_BF16, .y = ACE_F32,
     .taps = 3, .stride = 1, .dilation = 20, .pad = 60},
    {CONV, .rows = 2000, .cols = 24, .out = 140, .matrix = ACE_BF16, .x = ACE_BF16, .y = ACE_F32,
     .taps = 3, .stride = 1, .dilation = 3, .pad = 3, .accumulate = true},
    /* scattered: cropped at both ends, odd and even channels */
    {CONV_TRANSPOSE, .rows = 70, .cols = 48, .out = 7, .matrix = ACE_BF16, .x = ACE_BF16,
     .y = ACE_BF16, .stride = 5, .pad = 3, .bias = true, .snake = true},
    {CONV_TRANSPOSE, .rows = 61, .cols = 40, .out = 12, .matrix = ACE_I8, .x = ACE_F32,
     .y = ACE_F32, .stride = 10, .pad = 5},
    {CONV_TRANSPOSE, .rows = 700, .cols = 32, .out = 64, .matrix = ACE_BF16, .x = ACE_BF16,
     .y = ACE_BF16, .stride = 6, .pad = 3, .bias = true, .snake = true},
};

/* Of what a product is made, on one device. */
typedef struct held {
    ace_device *device;
    ace_tensor tensor[8];
    size_t bytes[8];
    int n;
} held;

/* Multiples of 1/128 below one, exact in bf16; `seed` chooses which. */
static float number(int64_t i, int64_t seed)
{
    uint64_t z = (uint64_t)(i + 1) * 0x9e3779b97f4a7c15u + (uint64_t)seed * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 31)) * 0x94d049bb133111ebu;
    return (float)((int64_t)(z >> 56) - 128) / 128.0f;
}

static ace_tensor make(held *h, int64_t rows, int64_t cols, int64_t gap, ace_dtype type)
{
    ace_tensor t = {.dtype = type, .rows = rows, .cols = cols, .row_stride = cols + gap};
    size_t bytes = (size_t)(rows * t.row_stride) * ace_dtype_bytes(type);
    t.addr = reserve_there(h->device, bytes);
    h->bytes[h->n] = bytes;
    h->tensor[h->n++] = t;
    return t;
}

/* Numbers from low to high; alpha and beta of Snake are above zero. */
static ace_tensor filled(held *h, int64_t rows, int64_t cols, int64_t gap, ace_dtype type,
                         int64_t seed, float low, float high)
{
    ace_tensor t = make(h, rows, cols, gap, type);
    float *values = calloc((size_t)(rows * cols), sizeof *values);
    assert_non_null(values);
    for (int64_t i = 0; i < rows * cols; i++) {
        values[i] = low + (number(i, seed) + 1) / 2 * (high - low);
    }
    assert_int_equal(h->device->ops->upload(h->device, t, values, NULL), ACESTEP_OK);
    free(values);
    return t;
}

static ace_matrix matrix_of(const product *p, ace_device *d)
{
    ace_matrix m = {.shape = {.rows = p->out * (p->swiglu ? 2 : 1),
                              .cols = p->cols,
                              .taps = p->kind == LINEAR ? 1 : p->taps,
                              .dtype = p->matrix,
                              .int8_inputs = p->int8_inputs,
                              .swiglu = p->swiglu}};
    if (p->kind == CONV_TRANSPOSE) {
        m.shape.rows = p->stride * p->out;
        m.shape.taps = 2;
    }
    int64_t width = p->cols * m.shape.taps;
    int64_t n = m.shape.rows * width;
    int8_t *bytes = calloc((size_t)n, 1);
    float *values = calloc((size_t)n, sizeof *values);
    float *scales = calloc((size_t)m.shape.rows, sizeof *scales);
    assert_true(bytes != NULL && values != NULL && scales != NULL);
    for (int64_t i = 0; i < n; i++) {
        values[i] = number(i, 1);
        bytes[i] = (int8_t)(values[i] * 127);
    }
    for (int64_t i = 0; i < m.shape.rows; i++) {
        scales[i] = (float)(i % 3 + 1) / 256;
    }
    bool is_int8 = p->matrix == ACE_I8;
    ace_matrix_part part = {.name = "w",
                            .data = is_int8 ? (const void *)bytes : (const void *)values,
                            .dtype = is_int8 ? ACE_I8 : ACE_F32,
                            .rows = m.shape.rows,
                            .row_stride = width,
                            .col_stride = 1,
                            .tap_stride = p->cols,
                            .row_scale = is_int8 ? scales : NULL};
    m.bytes = d->ops->matrix_bytes(d, &m.shape);
    m.addr = reserve_there(d, m.bytes);
    assert_int_equal(d->ops->matrix_pack(d, &m, &part, 1, NULL), ACESTEP_OK);
    free(bytes);
    free(values);
    free(scales);
    return m;
}

static int64_t rows_of_y(const product *p)
{
    if (p->kind == LINEAR) {
        return p->rows;
    }
    if (p->kind == CONV_TRANSPOSE) {
        return p->rows * p->stride;
    }
    return (p->rows + 2 * p->pad - p->dilation * (p->taps - 1) - 1) / p->stride + 1;
}

/* y as f32, owned by the caller. */
static float *made_by(ace_device *d, const product *p)
{
    held h = {.device = d};
    int64_t rows = rows_of_y(p);
    ace_matrix w = matrix_of(p, d);
    ace_tensor x = filled(&h, p->rows, p->cols, p->x_gap, p->x, 2, -1, 1);
    ace_tensor y = filled(&h, rows, p->out, 0, p->y, 3, -1, 1);
    ace_tensor none = {.addr = 0};
    ace_tensor bias = p->bias ? filled(&h, 1, p->out, 0, ACE_F32, 4, -1, 1) : none;
    ace_tensor alpha = p->snake ? filled(&h, 1, p->cols, 0, ACE_F32, 5, 0.1f, 8) : none;
    ace_tensor beta = p->snake ? filled(&h, 1, p->cols, 0, ACE_F32, 6, 0.1f, 2) : none;
    ace_epilogue e = {.bias = bias, .accumulate = p->accumulate};
    if (p->gates > 0) {
        e.gate = filled(&h, rows % p->gates == 0 ? p->gates : 1, p->out, 0, ACE_F32, 7, -1, 1);
    }
    if (p->kind == LINEAR) {
        d->ops->linear(d, y, x, &w, &e);
    } else if (p->kind == CONV) {
        ace_conv c = {p->stride, p->dilation, p->pad, alpha, beta};
        d->ops->conv(d, y, x, &w, &c, &e);
    } else {
        ace_conv_transpose c = {p->stride, p->pad, alpha, beta, bias};
        d->ops->conv_transpose(d, y, x, &w, &c);
    }
    float *values = calloc((size_t)(rows * p->out), sizeof *values);
    assert_non_null(values);
    assert_int_equal(d->ops->download(d, values, y, NULL), ACESTEP_OK);
    for (int i = 0; i < h.n; i++) {
        d->ops->release(d, h.tensor[i].addr, h.bytes[i]);
    }
    d->ops->release(d, w.addr, w.bytes);
    return values;
}

/* All inputs are exact in bf16, and so are the weights: what differs is the order of sums, the last
 * rounding of y, and
 *   8 bits  half a step of 1/127 at most for each input, a standard deviation of 2^-8/√3: six of
 *           the sum's, of weights below 1.5
 *   Snake   a sine's last bits may turn the rounding of an input below 4 by 2^-6, here and there */
static float bound_of(const product *p, float wanted)
{
    float n = (float)(p->cols * (p->kind == LINEAR ? 1 : p->kind == CONV ? p->taps : 2));
    float bound = n * 0x1p-22f + fabsf(wanted) * (p->y == ACE_BF16 ? 0x1p-8f : 0x1p-21f);
    if (p->int8_inputs) {
        bound += sqrtf(n) * 6 * 1.5f * 0x1p-8f / 1.732f;
    }
    if (p->snake) {
        bound += p->matrix == ACE_I8 ? sqrtf(n) * 6 * 0x1p-7f / 1.732f : 4 * 0x1p-6f;
    }
    return p->swiglu ? bound * sqrtf(n) * 4 : bound;
}

static void compare(const product *p, int number_of_it, ace_device *card, ace_device *reference)
{
    float *got = made_by(card, p);
    float *wanted = made_by(reference, p);
    for (int64_t i = 0; i < rows_of_y(p) * p->out; i++) {
        float bound = bound_of(p, wanted[i]);
        if (!(fabsf(got[i] - wanted[i]) <= bound)) {
            fail_msg("product %d: row %lld, column %lld is %g in place of %g, bound %g",
                     number_of_it, (long long)(i / p->out), (long long)(i % p->out), (double)got[i],
                     (double)wanted[i], (double)bound);
        }
    }
    free(got);
    free(wanted);
}

static void compare_all(bool vendor_libraries)
{
    const ace_plugin_options options = {.cap_bytes = SIZE_MAX,
                                        .vendor_libraries = vendor_libraries};
    ace_device *card = NULL;
    ace_device *reference = NULL;
    assert_int_equal(ace_plugin_open(emulated_plugin(), &options, &card, NULL), ACESTEP_OK);
    assert_int_equal(ace_reference_device_open(&reference, NULL), ACESTEP_OK);
    for (size_t i = 0; i < sizeof products / sizeof *products; i++) {
        compare(&products[i], (int)i, card, reference);
    }
    ace_device_close(reference);
    ace_device_close(card);
}

static void products_of_own_kernels(void **state)
{
    (void)state;
    compare_all(false);
}

static void products_with_the_library(void **state)
{
    (void)state;
    compare_all(true);
}

/* More rows than fit into the workspace at once: a convolution whose inputs pass through Snake
 * first, and a linear layer in 8 bits. */
static void products_in_chunks_of_rows(void **state)
{
    (void)state;
    static const product large[] = {
        {CONV, .rows = 70000, .cols = 120, .out = 3, .matrix = ACE_BF16, .x = ACE_BF16,
         .y = ACE_F32, .taps = 3, .stride = 1, .dilation = 9, .pad = 9, .bias = true,
         .snake = true},
        {LINEAR, .rows = 5000, .cols = 4000, .out = 2, .matrix = ACE_I8, .x = ACE_BF16,
         .y = ACE_F32, .int8_inputs = true},
    };
    ace_device *card = open_card(SIZE_MAX, 0);
    ace_device *reference = NULL;
    assert_int_equal(ace_reference_device_open(&reference, NULL), ACESTEP_OK);
    compare(&large[0], 0, card, reference);
    compare(&large[1], 1, card, reference);
    ace_device_close(reference);
    ace_device_close(card);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_of_own_kernels),
        cmocka_unit_test(products_with_the_library),
        cmocka_unit_test(products_in_chunks_of_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
