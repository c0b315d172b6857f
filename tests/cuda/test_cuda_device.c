/* The CUDA device's host side in the emulator: memory and its cap, copies, errors that stick, opening
 * where something is missing. Operations are compared by cuda_check. */
#define _DEFAULT_SOURCE /* setenv */
#include "base/memory.h"
#include "device/plugin.h"

#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const size_t MIB = (size_t)1 << 20;

static const ace_plugin *load(void)
{
    const ace_plugin *plugin = NULL;
    ace_error err = {.code = ACESTEP_OK};
    if (ace_plugin_load(getenv("TEST_PLUGIN_DIR"), "cuda", &plugin, &err) != ACESTEP_OK) {
        fail_msg("%s", err.message);
    }
    assert_non_null(strstr(plugin->about, "emulator"));
    return plugin;
}

static ace_device *open_with(size_t cap, size_t free_bytes)
{
    const ace_plugin_options options = {
        .cap_bytes = cap, .free_bytes = free_bytes, .vendor_libraries = true};
    ace_device *d = NULL;
    ace_error err = {.code = ACESTEP_OK};
    if (ace_plugin_open(load(), &options, &d, &err) != ACESTEP_OK) {
        fail_msg("%s", err.message);
    }
    assert_false(d->addressable);
    return d;
}

static uint64_t reserve(ace_device *d, size_t bytes)
{
    uint64_t addr = 0;
    ace_error err = {.code = ACESTEP_OK};
    if (d->ops->reserve(d, bytes, &addr, &err) != ACESTEP_OK) {
        fail_msg("%s", err.message);
    }
    assert_true(addr != 0 && addr % d->alignment == 0);
    return addr;
}

static size_t memory_of(ace_device *d, size_t *held)
{
    ace_device_memory m;
    d->ops->memory(d, &m);
    *held = m.held;
    return m.free;
}

/* ---- memory ----------------------------------------------------------------------------------------- */

static void the_cap_holds(void **state)
{
    (void)state;
    ace_device *d = open_with(200 * MIB, 0);
    size_t held;
    size_t room = memory_of(d, &held);
    assert_int_equal(held, 0);
    assert_int_equal(room, 200 * MIB - d->workspace_bytes);
    uint64_t first = reserve(d, 50 * MIB);
    assert_int_equal(memory_of(d, &held), room - 50 * MIB);
    assert_int_equal(held, 50 * MIB);
    uint64_t none = 0;
    ace_error err = {.code = ACESTEP_OK};
    assert_int_equal(d->ops->reserve(d, room - 50 * MIB + 1, &none, &err), ACESTEP_MEMORY);
    assert_non_null(strstr(err.message, "too much"));
    assert_int_equal(d->ops->reserve(d, SIZE_MAX, &none, NULL), ACESTEP_MEMORY);
    assert_int_equal(d->ops->reserve(d, SIZE_MAX / 2, &none, NULL), ACESTEP_MEMORY);
    uint64_t rest = reserve(d, room - 50 * MIB);
    assert_int_equal(memory_of(d, &held), 0);
    assert_int_equal(d->ops->reserve(d, 1, &none, NULL), ACESTEP_MEMORY); /* a page is a page */
    d->ops->release(d, first, 50 * MIB);
    uint64_t small = reserve(d, 1);
    assert_int_equal(memory_of(d, &held), 48 * MIB);
    d->ops->release(d, small, 1);
    d->ops->release(d, rest, room - 50 * MIB);
    assert_int_equal(memory_of(d, &held), room);
    assert_int_equal(held, 0);
    ace_device_close(d);
}

/* A card of 512 MB, of which the context takes 300. */
static void the_driver_may_have_less_than_the_cap(void **state)
{
    (void)state;
    assert_int_equal(setenv("ACE_EMULATOR_MB", "512", 1), 0);
    ace_device *d = open_with(SIZE_MAX, 512 * MIB);
    size_t held;
    size_t room = memory_of(d, &held);
    assert_int_equal(room, 212 * MIB - d->workspace_bytes); /* the context is measured */
    ace_device_close(d);
    d = open_with(SIZE_MAX, 0); /* it is not known, so the driver refuses, and that is no end */
    uint64_t none = 0;
    ace_error err = {.code = ACESTEP_OK};
    assert_int_equal(d->ops->reserve(d, 300 * MIB, &none, &err), ACESTEP_MEMORY);
    assert_non_null(strstr(err.message, "the driver does not have"));
    uint64_t some = reserve(d, 20 * MIB);
    d->ops->release(d, some, 20 * MIB);
    ace_device_close(d);
    const ace_plugin_options options = {.cap_bytes = 10 * MIB};
    err = (ace_error){.code = ACESTEP_OK};
    assert_int_equal(ace_plugin_open(load(), &options, &d, &err), ACESTEP_MEMORY);
    assert_non_null(strstr(err.message, "workspace"));
    assert_int_equal(unsetenv("ACE_EMULATOR_MB"), 0);
}

/* ---- copies ----------------------------------------------------------------------------------------- */

static float value_at(int64_t i)
{
    return (float)(i % 251) - 125.0f; /* exact in bf16 */
}

static void round_trip(ace_device *d, ace_dtype dtype, int64_t rows, int64_t cols, int64_t stride)
{
    size_t n = (size_t)(rows * cols);
    size_t bytes = (size_t)(rows * stride) * ace_dtype_bytes(dtype);
    float *out = calloc(n, sizeof *out);
    float *in = calloc(n, sizeof *in);
    assert_true(out != NULL && in != NULL);
    ace_tensor whole = {reserve(d, bytes), dtype, rows, stride, stride};
    ace_tensor part = ace_cols(whole, stride - cols, cols);
    for (size_t i = 0; i < n; i++) {
        out[i] = value_at((int64_t)i);
    }
    d->ops->fill(d, whole, 7);
    assert_int_equal(d->ops->upload(d, part, out, NULL), ACESTEP_OK);
    memset(out, 0xff, n * sizeof *out); /* the caller's, once the call is over */
    assert_int_equal(d->ops->download(d, in, part, NULL), ACESTEP_OK);
    for (size_t i = 0; i < n; i++) {
        assert_true(in[i] == value_at((int64_t)i));
    }
    if (stride > cols) { /* the gap is as it was */
        ace_tensor gap = ace_cols(whole, 0, stride - cols);
        gap.rows = 1;
        assert_int_equal(d->ops->download(d, in, gap, NULL), ACESTEP_OK);
        assert_true(in[0] == 7 && in[stride - cols - 1] == 7);
    }
    d->ops->release(d, whole.addr, bytes);
    free(out);
    free(in);
}

static void copies_of(ace_device *d)
{
    for (int i = 0; i < 2; i++) {
        ace_dtype dtype = i == 0 ? ACE_F32 : ACE_BF16;
        round_trip(d, dtype, 1, 1, 1);
        round_trip(d, dtype, 3, 5, 9);
        round_trip(d, dtype, 40000, 90, 96);     /* many rows in a slot */
        round_trip(d, dtype, 3, 2500000, 2500001); /* a row in several */
    }
}

static void copies_are_exact(void **state)
{
    (void)state;
    ace_device *d = open_with(SIZE_MAX, 0);
    copies_of(d);
    ace_device_close(d);
    assert_int_equal(setenv("ACE_EMULATOR_PINNED", "0", 1), 0);
    d = open_with(SIZE_MAX, 0);
    copies_of(d);
    ace_device_close(d);
    assert_int_equal(unsetenv("ACE_EMULATOR_PINNED"), 0);
}

typedef struct writing {
    ace_device *device;
    uint64_t addr;
    const float *from;
    size_t bytes;
} writing;

static void *write_there(void *context)
{
    const writing *w = context;
    return w->device->ops->write(w->device, w->addr, w->from, w->bytes, NULL) == ACESTEP_OK
               ? context
               : NULL;
}

/* What operations issued before still read is read before it is replaced, and what comes after sees the
 * new bytes. */
static void a_write_from_another_thread_keeps_the_order(void **state)
{
    (void)state;
    enum { N = 3 << 20 };
    ace_device *d = open_with(SIZE_MAX, 0);
    size_t bytes = (size_t)N * sizeof(float);
    ace_tensor source = {reserve(d, bytes), ACE_F32, 1, N, N};
    ace_tensor before = {reserve(d, bytes), ACE_F32, 1, N, N};
    ace_tensor after = {reserve(d, bytes), ACE_F32, 1, N, N};
    float *values = calloc(N, sizeof *values);
    assert_non_null(values);
    for (int64_t i = 0; i < N; i++) {
        values[i] = value_at(i);
    }
    d->ops->fill(d, source, 3);
    d->ops->copy(d, before, source);
    writing w = {d, source.addr, values, bytes};
    pthread_t thread;
    void *well = NULL;
    assert_int_equal(pthread_create(&thread, NULL, write_there, &w), 0);
    assert_int_equal(pthread_join(thread, &well), 0);
    assert_non_null(well);
    d->ops->copy(d, after, source);
    assert_int_equal(d->ops->download(d, values, before, NULL), ACESTEP_OK);
    assert_true(values[0] == 3 && values[N - 1] == 3);
    assert_int_equal(d->ops->download(d, values, after, NULL), ACESTEP_OK);
    assert_true(values[0] == value_at(0) && values[N - 1] == value_at(N - 1));
    d->ops->release(d, source.addr, bytes);
    d->ops->release(d, before.addr, bytes);
    d->ops->release(d, after.addr, bytes);
    free(values);
    ace_device_close(d);
}

/* ---- weights ---------------------------------------------------------------------------------------- */

static void damaged_weights_are_refused(void **state)
{
    (void)state;
    static const float bad[] = {NAN, INFINITY, 3.4e38f};
    ace_device *d = open_with(SIZE_MAX, 0);
    for (int t = 0; t < 3; t++) {
        for (int i = 0; i < 3; i++) {
            static const ace_dtype types[] = {ACE_F32, ACE_BF16, ACE_I8};
            float values[6 * 40];
            ace_matrix_shape shape = {.rows = 6, .cols = 40, .taps = 1, .dtype = types[t]};
            ace_matrix_part part = {
                .name = "layers.3.weight", .data = values, .rows = 6, .row_stride = 40, .col_stride = 1};
            ace_matrix m = {.shape = shape, .bytes = d->ops->matrix_bytes(d, &shape)};
            ace_error err = {.code = ACESTEP_OK};
            unsigned char *image = calloc(m.bytes, 1);
            assert_non_null(image);
            for (int v = 0; v < 6 * 40; v++) {
                values[v] = (float)v;
            }
            values[5 * 40 + 39] = bad[i];
            m.addr = reserve(d, m.bytes);
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

/* A product that the library takes in chunks, of rows and of columns, with every kind of weights, is
 * the product that our own kernels make. */
static void products_in_chunks(void **state)
{
    enum { ROWS = 2500, COLS = 24, OUT = 2300 };
    (void)state;
    ace_device *d = open_with(SIZE_MAX, 0);
    const ace_plugin_options options = {.cap_bytes = SIZE_MAX, .vendor_libraries = false};
    ace_device *own = NULL;
    assert_int_equal(ace_plugin_open(load(), &options, &own, NULL), ACESTEP_OK);
    float *weights = calloc((size_t)2 * OUT * COLS, sizeof *weights);
    float *in = calloc((size_t)ROWS * COLS, sizeof *in);
    float *got[2] = {calloc((size_t)ROWS * OUT, sizeof **got), calloc((size_t)ROWS * OUT, sizeof **got)};
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
            m.addr = reserve(by, m.bytes);
            size_t x_bytes = (size_t)ROWS * COLS * sizeof *in;
            size_t y_bytes = (size_t)ROWS * OUT * sizeof **got;
            ace_tensor x = {reserve(by, x_bytes), ACE_F32, ROWS, COLS, COLS};
            ace_tensor y = {reserve(by, y_bytes), ACE_F32, ROWS, OUT, OUT};
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
    ace_device *d = open_with(SIZE_MAX, 0);
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
    ace_tensor k = {reserve(d, bytes), ACE_F32, ITEMS * KEYS, DIM, DIM};
    ace_tensor v = {reserve(d, bytes), ACE_F32, ITEMS * KEYS, DIM, DIM};
    ace_tensor q = {reserve(d, bytes), ACE_F32, ITEMS, DIM, DIM};
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

/* ---- opening ---------------------------------------------------------------------------------------- */

static void refused(const ace_plugin_options *options, ace_status wanted, const char *says)
{
    ace_device *d = NULL;
    ace_error err = {.code = ACESTEP_OK};
    assert_int_equal(ace_plugin_open(load(), options, &d, &err), wanted);
    assert_null(d);
    if (strstr(err.message, says) == NULL) {
        fail_msg("%s", err.message);
    }
}

static void cards_that_cannot_be_used(void **state)
{
    (void)state;
    const ace_plugin_options fifth = {.card = 5, .cap_bytes = SIZE_MAX};
    const ace_plugin_options first = {.cap_bytes = SIZE_MAX};
    refused(&fifth, ACESTEP_UNSUPPORTED, "there is no card 5");
    assert_int_equal(setenv("ACE_EMULATOR_CAPABILITY", "70", 1), 0);
    refused(&first, ACESTEP_UNSUPPORTED, "compute capability 7.0");
    assert_int_equal(unsetenv("ACE_EMULATOR_CAPABILITY"), 0);
    assert_int_equal(setenv("ACE_EMULATOR_CARDS", "0", 1), 0);
    refused(&first, ACESTEP_UNSUPPORTED, "cudaErrorNoDevice");
    assert_int_equal(unsetenv("ACE_EMULATOR_CARDS"), 0);
}

static void shortage_of_host_memory(void **state)
{
    (void)state;
    const ace_plugin_options options = {.cap_bytes = SIZE_MAX};
    const ace_plugin *plugin = load();
    uint64_t before = ace_memory_live();
    assert_int_equal(setenv("ACE_EMULATOR_PINNED", "0", 1), 0);
    bool opened = false;
    for (uint64_t n = 1; !opened && n < 50; n++) {
        ace_device *d = NULL;
        ace_error err = {.code = ACESTEP_OK};
        ace_memory_fail_at(n);
        opened = ace_plugin_open(plugin, &options, &d, &err) == ACESTEP_OK;
        ace_memory_fail_at(0);
        assert_true(opened || err.code == ACESTEP_MEMORY);
        ace_device_close(d);
        assert_int_equal(ace_memory_live(), before);
    }
    assert_true(opened);
    assert_int_equal(unsetenv("ACE_EMULATOR_PINNED"), 0);
}

/* ---- errors ----------------------------------------------------------------------------------------- */

/* Exit status 0 when everything is as it should be: in a process of its own, because the card stays
 * broken. */
static int break_card(void)
{
    float value = 0;
    uint64_t addr = 0;
    ace_device *d = open_with(SIZE_MAX, 0);
    ace_tensor t = {reserve(d, 256), ACE_F32, 1, 1, 1};
    ace_error err = {.code = ACESTEP_OK};
    d->ops->fill(d, t, 1); /* the first kernel fails, and nobody knows yet */
    d->ops->fill(d, t, 2);
    if (d->ops->download(d, &value, t, &err) != ACESTEP_FAILED ||
        strstr(err.message, "illegal memory access") == NULL) {
        return 1;
    }
    d->ops->fill(d, t, 3); /* does nothing */
    if (d->ops->upload(d, t, &value, NULL) != ACESTEP_FAILED ||
        d->ops->write(d, t.addr, &value, sizeof value, NULL) != ACESTEP_FAILED ||
        d->ops->reserve(d, 1, &addr, NULL) != ACESTEP_FAILED) {
        return 2;
    }
    size_t held;
    int free_bytes = (int)memory_of(d, &held);
    d->ops->release(d, t.addr, 256);
    ace_device_close(d);
    return free_bytes;
}

static void an_error_sticks(void **state)
{
    (void)state;
    int status = -1;
    pid_t child = fork();
    if (child == 0) {
        _exit(setenv("ACE_EMULATOR_FAIL_KERNEL", "1", 1) == 0 ? break_card() : 9);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_error_sticks), /* before any kernel has run */
        cmocka_unit_test(the_cap_holds),
        cmocka_unit_test(the_driver_may_have_less_than_the_cap),
        cmocka_unit_test(copies_are_exact),
        cmocka_unit_test(a_write_from_another_thread_keeps_the_order),
        cmocka_unit_test(damaged_weights_are_refused),
        cmocka_unit_test(products_in_chunks),
        cmocka_unit_test(attention_of_many_items),
        cmocka_unit_test(cards_that_cannot_be_used),
        cmocka_unit_test(shortage_of_host_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
