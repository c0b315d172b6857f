/* Weights and operations of the CUDA device in the emulator that are too large or too special for
 * cuda_check. */
#include "emulated_card.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- weights
 * ---------------------------------------------------------------------------------------- */

static void damaged_weights_are_refused(void **state)
{
    (void)state;
    static const float bad[] = {NAN, INFINITY, 3.4e38f};
    ace_device *d = open_card(SIZE_MAX, 0);
    for (int t = 0; t < 3; t++) {
        for (int i = 0; i < 3; i++) {
            static const ace_dtype types[] = {ACE_F32, ACE_BF16, ACE_I8};
            float values[6 * 40];
            ace_matrix_shape shape = {.rows = 6, .cols = 40, .taps = 1, .dtype = types[t]};
            ace_matrix_part part = {.name = "layers.3.weight",
                                    .data = values,
                                    .rows = 6,
                                    .row_stride = 40,
                                    .col_stride = 1};
            ace_matrix m = {.shape = shape, .bytes = d->ops->matrix_bytes(d, &shape)};
            ace_error err = {.code = ACESTEP_OK};
            unsigned char *image = calloc(m.bytes, 1);
            assert_non_null(image);
            for (int v = 0; v < 6 * 40; v++) {
                values[v] = (float)v;
            }
            values[5 * 40 + 39] = bad[i];
            m.addr = reserve_there(d, m.bytes);
            ace_status wanted = i == 2 && types[t] != ACE_BF16 ? ACESTEP_OK : ACESTEP_MODEL;
            assert_int_equal(d->ops->matrix_pack(d, &m, &part, 1, &err), wanted);
            assert_int_equal(d->ops->matrix_image(d, &shape, &part, 1, image, NULL), wanted);
            assert_true(wanted == ACESTEP_OK || strstr(err.message, "layers.3.weight") != NULL);
            d->ops->release(d, m.addr, m.bytes);
            free(image);
        }
    }
    ace_device_close(d);
}

/* Weights in two files, some of them too small to be normal. */
enum { PACK_ROWS = 900, PACK_COLS = 300 };

static void image_of(ace_device *d, ace_dtype dtype, float *values, unsigned char **out,
                     size_t *bytes, ace_status wanted, const char *names)
{
    ace_matrix_shape shape = {.rows = PACK_ROWS, .cols = PACK_COLS, .taps = 1, .dtype = dtype};
    ace_matrix_part parts[2];
    for (int i = 0; i < 2; i++) {
        parts[i] = (ace_matrix_part){.name = i == 0 ? "first.weight" : "second.weight",
                                     .data = values + i * (PACK_ROWS / 2) * PACK_COLS,
                                     .dtype = ACE_F32,
                                     .rows = PACK_ROWS / 2,
                                     .row_stride = PACK_COLS,
                                     .col_stride = 1};
    }
    ace_error err = {.code = ACESTEP_OK};
    *bytes = d->ops->matrix_bytes(d, &shape);
    *out = aligned_alloc(64, (*bytes + 63) / 64 * 64);
    assert_non_null(*out);
    assert_int_equal(d->ops->matrix_image(d, &shape, parts, 2, *out, &err), wanted);
    assert_true(names == NULL || strstr(err.message, names) != NULL);
}

static void packing_is_the_same_on_many_threads(void **state)
{
    (void)state;
    static const ace_dtype types[] = {ACE_F32, ACE_BF16, ACE_I8};
    ace_pool *pool = NULL;
    assert_int_equal(ace_pool_create(4, &pool, NULL), ACESTEP_OK);
    const ace_plugin_options options = {.cap_bytes = SIZE_MAX, .pool = pool};
    ace_device *one = open_card(SIZE_MAX, 0);
    ace_device *four = NULL;
    assert_int_equal(ace_plugin_open(emulated_plugin(), &options, &four, NULL), ACESTEP_OK);
    float *values = calloc((size_t)PACK_ROWS * PACK_COLS, sizeof *values);
    assert_non_null(values);
    for (int i = 0; i < PACK_ROWS * PACK_COLS; i++) {
        values[i] = value_at(i) * (i % 7 == 0 ? 1e-40f : 0.37f);
    }
    for (int t = 0; t < 3; t++) {
        unsigned char *image[2];
        size_t bytes = 0;
        image_of(one, types[t], values, &image[0], &bytes, ACESTEP_OK, NULL);
        image_of(four, types[t], values, &image[1], &bytes, ACESTEP_OK, NULL);
        assert_memory_equal(image[0], image[1], bytes);
        if (types[t] == ACE_F32) { /* tiny numbers too are as they were */
            assert_memory_equal(image[1], values, PACK_COLS * sizeof *values);
        }
        free(image[0]);
        free(image[1]);
    }
    values[(PACK_ROWS / 2 - 1) * PACK_COLS] = NAN; /* the last row of the first part */
    for (int row = PACK_ROWS / 2 + 50; row < PACK_ROWS; row++) { /* and most of the second */
        values[row * PACK_COLS] = NAN;
    }
    for (int t = 0; t < 300; t++) {
        unsigned char *image = NULL;
        size_t bytes = 0;
        image_of(four, types[t % 3], values, &image, &bytes, ACESTEP_MODEL, "first.weight");
        free(image);
    }
    free(values);
    ace_device_close(four);
    ace_device_close(one);
    ace_pool_free(pool);
}

/* A product that the library takes in chunks, of rows and of columns, with every kind of weights,
 * is the product that our own kernels make. */
static void products_in_chunks(void **state)
{
    enum { ROWS = 2500, COLS = 24, OUT = 2300 };
    (void)state;
    ace_device *d = open_card(SIZE_MAX, 0);
    const ace_plugin_options options = {.cap_bytes = SIZE_MAX, .vendor_libraries = false};
    ace_device *own = NULL;
    assert_int_equal(ace_plugin_open(emulated_plugin(), &options, &own, NULL), ACESTEP_OK);
    float *weights = calloc((size_t)2 * OUT * COLS, sizeof *weights);
    float *in = calloc((size_t)ROWS * COLS, sizeof *in);
    float *got[2] = {calloc((size_t)ROWS * OUT, sizeof **got),
                     calloc((size_t)ROWS * OUT, sizeof **got)};
    for (int64_t i = 0; i < 2 * OUT * COLS; i++) {
        weights[i] = value_at(i * 7) / 128;
    }
    for (int64_t i = 0; i < ROWS * COLS; i++) {
        in[i] = value_at(i * 11) / 128;
    }
    for (int kind = 0; kind < 3; kind++) {
        static const ace_dtype types[] = {ACE_F32, ACE_BF16, ACE_I8};
        ace_matrix_shape shape = {
            .rows = 2 * OUT, .cols = COLS, .taps = 1, .dtype = types[kind], .swiglu = true};
        ace_matrix_part part = {
            .name = "w", .data = weights, .rows = 2 * OUT, .row_stride = COLS, .col_stride = 1};
        for (int i = 0; i < 2; i++) {
            ace_device *by = i == 0 ? d : own;
            ace_epilogue plain = {.accumulate = false};
            ace_matrix m = {.shape = shape, .bytes = by->ops->matrix_bytes(by, &shape)};
            m.addr = reserve_there(by, m.bytes);
            size_t x_bytes = (size_t)ROWS * COLS * sizeof *in;
            size_t y_bytes = (size_t)ROWS * OUT * sizeof **got;
            ace_tensor x = {reserve_there(by, x_bytes), ACE_F32, ROWS, COLS, COLS};
            ace_tensor y = {reserve_there(by, y_bytes), ACE_F32, ROWS, OUT, OUT};
            assert_int_equal(by->ops->matrix_pack(by, &m, &part, 1, NULL), ACESTEP_OK);
            assert_int_equal(by->ops->upload(by, x, in, NULL), ACESTEP_OK);
            by->ops->linear(by, y, x, &m, &plain);
            assert_int_equal(by->ops->download(by, got[i], y, NULL), ACESTEP_OK);
            by->ops->release(by, m.addr, m.bytes);
            by->ops->release(by, x.addr, x_bytes);
            by->ops->release(by, y.addr, y_bytes);
        }
        for (int64_t i = 0; i < (int64_t)ROWS * OUT; i++) {
            if (!(fabsf(got[0][i] - got[1][i]) <= 1e-3f + 1e-2f * fabsf(got[1][i]))) {
                fail_msg("type %d, number %lld: %g and %g", kind, (long long)i, (double)got[0][i],
                         (double)got[1][i]);
            }
        }
    }
    free(weights);
    free(in);
    free(got[0]);
    free(got[1]);
    ace_device_close(own);
    ace_device_close(d);
}

/* More items than their tables have room for at once: each averages its own first keys. */
static void attention_of_many_items(void **state)
{
    enum { ITEMS = 2100, KEYS = 3, DIM = 4 };
    (void)state;
    ace_device *d = open_card(SIZE_MAX, 0);
    static float values[ITEMS * KEYS * DIM];
    static float zeros[ITEMS * KEYS * DIM];
    static int32_t valid[ITEMS];
    for (int i = 0; i < ITEMS; i++) {
        valid[i] = 1 + i % KEYS;
        for (int k = 0; k < KEYS * DIM; k++) {
            values[i * KEYS * DIM + k] = (float)(i + k / DIM);
        }
    }
    size_t bytes = sizeof values;
    ace_tensor k = {reserve_there(d, bytes), ACE_F32, ITEMS * KEYS, DIM, DIM};
    ace_tensor v = {reserve_there(d, bytes), ACE_F32, ITEMS * KEYS, DIM, DIM};
    ace_tensor q = {reserve_there(d, bytes), ACE_F32, ITEMS, DIM, DIM};
    assert_int_equal(d->ops->upload(d, k, zeros, NULL), ACESTEP_OK);
    assert_int_equal(d->ops->upload(d, v, values, NULL), ACESTEP_OK);
    assert_int_equal(d->ops->upload(d, q, zeros, NULL), ACESTEP_OK);
    ace_attention a = {.batch = ITEMS,
                       .q_len = 1,
                       .kv_len = KEYS,
                       .heads = 1,
                       .kv_heads = 1,
                       .head_dim = DIM,
                       .scale = 1,
                       .kv_valid = valid};
    d->ops->attention(d, q, q, k, v, &a);
    memset(valid, 0, sizeof valid); /* the caller's, once the call is over */
    assert_int_equal(d->ops->download(d, values, q, NULL), ACESTEP_OK);
    for (int i = 0; i < ITEMS; i++) {
        float wanted = (float)i + (float)(i % KEYS) / 2;
        assert_true(fabsf(values[i * DIM] - wanted) < 1e-3f);
    }
    d->ops->release(d, k.addr, bytes);
    d->ops->release(d, v.addr, bytes);
    d->ops->release(d, q.addr, bytes);
    ace_device_close(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(damaged_weights_are_refused),
        cmocka_unit_test(packing_is_the_same_on_many_threads),
        cmocka_unit_test(products_in_chunks),
        cmocka_unit_test(attention_of_many_items),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
