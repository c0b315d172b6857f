/* Attention by the kernels for wide loads and tensor cores, in the emulator, against the reference
 * device: shapes at the edges of their tiles and splits, and which kernel is chosen. */
#include "emulated_card.h"

#include "cpu/reference_device.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Numbers of magnitude below one, weights that sum to one: rounding weights to bf16 moves a result
 * by at most 2^-9, a bf16 result moves by as much again. */
#define BOUND 0x1p-8

/* One call, with bf16 numbers on the host. */
typedef struct problem {
    ace_attention a;
    int64_t kv_rows, kv_cols; /* of k and v */
    uint16_t *q, *k, *v;
    ace_dtype y_dtype;
} problem;

static uint16_t *random_numbers(int64_t n, uint64_t seed)
{
    uint16_t *numbers = calloc((size_t)n, sizeof *numbers);
    assert_non_null(numbers);
    uint64_t state = seed;
    for (int64_t i = 0; i < n; i++) {
        /* MMIX's generator, Knuth, The Art of Computer Programming 2, 3.3.4 */
        state = state * 6364136223846793005u + 1442695040888963407u;
        numbers[i] = ace_f32_to_bf16((float)(int32_t)(state >> 32) * 0x1p-31f);
    }
    return numbers;
}

/* kv_rows 0: as many as batch and kv_len say. */
static problem make(ace_attention a, int64_t kv_rows)
{
    problem p = {.a = a, .kv_rows = kv_rows, .kv_cols = a.kv_heads * a.head_dim};
    if (kv_rows == 0) {
        p.kv_rows = a.batch * a.kv_len;
    }
    if (a.kv_head_rows > 0) {
        p.kv_rows = a.kv_heads * a.kv_head_rows;
        p.kv_cols = a.head_dim;
    }
    p.a.scale = 3.0f / sqrtf((float)a.head_dim);
    p.y_dtype = ACE_F32;
    p.q = random_numbers(a.batch * a.q_len * a.heads * a.head_dim, 1);
    p.k = random_numbers(p.kv_rows * p.kv_cols, 2);
    p.v = random_numbers(p.kv_rows * p.kv_cols, 3);
    return p;
}

static void drop(problem *p)
{
    free(p->q);
    free(p->k);
    free(p->v);
}

/* A row of k and v that nobody may read. */
static void poison(problem *p, int64_t row)
{
    for (int64_t c = 0; c < p->kv_cols; c++) {
        p->k[row * p->kv_cols + c] = 0x7fc0; /* NaN */
        p->v[row * p->kv_cols + c] = 0x7fc0;
    }
}

/* ---- running it ------------------------------------------------------------------------------ */

static ace_tensor send(ace_device *d, const uint16_t *numbers, int64_t rows, int64_t cols)
{
    size_t bytes = (size_t)(rows * cols) * sizeof *numbers;
    ace_tensor t = {0, ACE_BF16, rows, cols, cols};
    assert_int_equal(d->ops->reserve(d, bytes, &t.addr, NULL), ACESTEP_OK);
    if (d->addressable) {
        memcpy((void *)(uintptr_t)t.addr, numbers, bytes);
    } else {
        assert_int_equal(d->ops->write(d, t.addr, numbers, bytes, NULL), ACESTEP_OK);
    }
    return t;
}

static void release(ace_device *d, ace_tensor t)
{
    d->ops->release(d, t.addr, (size_t)(t.rows * t.cols) * ace_dtype_bytes(t.dtype));
}

static float *run(ace_device *d, const problem *p)
{
    const ace_attention *a = &p->a;
    int64_t rows = a->batch * a->q_len;
    int64_t cols = a->heads * a->head_dim;
    float *y = calloc((size_t)(rows * cols), sizeof *y);
    assert_non_null(y);
    ace_tensor q = send(d, p->q, rows, cols);
    ace_tensor k = send(d, p->k, p->kv_rows, p->kv_cols);
    ace_tensor v = send(d, p->v, p->kv_rows, p->kv_cols);
    ace_tensor to = {0, p->y_dtype, rows, cols, cols};
    size_t bytes = (size_t)(rows * cols) * ace_dtype_bytes(to.dtype);
    assert_int_equal(d->ops->reserve(d, bytes, &to.addr, NULL), ACESTEP_OK);
    d->ops->attention(d, to, q, k, v, a);
    assert_int_equal(d->ops->download(d, y, to, NULL), ACESTEP_OK);
    release(d, to);
    release(d, v);
    release(d, k);
    release(d, q);
    return y;
}

static ace_device *cards[2]; /* with flash attention, and without */
static ace_device *reference;

static int open_devices(void **state)
{
    (void)state;
    const ace_plugin_options tiled = {.cap_bytes = SIZE_MAX, .flash_attention = false};
    cards[0] = open_card(SIZE_MAX, 0);
    assert_int_equal(ace_plugin_open(emulated_plugin(), &tiled, &cards[1], NULL), ACESTEP_OK);
    assert_int_equal(ace_reference_device_open(&reference, NULL), ACESTEP_OK);
    return 0;
}

static int close_devices(void **state)
{
    (void)state;
    ace_device_close(reference);
    ace_device_close(cards[1]);
    ace_device_close(cards[0]);
    return 0;
}

static void compare(const char *about, const problem *p, const float *got, const float *wanted)
{
    const ace_attention *a = &p->a;
    int64_t cols = a->heads * a->head_dim;
    for (int64_t i = 0; i < a->batch * a->q_len * cols; i++) {
        if (!(fabsf(got[i] - wanted[i]) <= (float)BOUND)) {
            fail_msg("%s: %lld queries, %lld keys, %lld/%lld heads of %lld, window %lld: row %lld, "
                     "column %lld: %g, reference %g",
                     about, (long long)a->q_len, (long long)a->kv_len, (long long)a->heads,
                     (long long)a->kv_heads, (long long)a->head_dim, (long long)a->window,
                     (long long)(i / cols), (long long)(i % cols), (double)got[i],
                     (double)wanted[i]);
        }
    }
}

/* Both kernels give what the reference gives, and are two kernels: they round differently. */
static void check(const char *about, problem *p)
{
    int64_t n = p->a.batch * p->a.q_len * p->a.heads * p->a.head_dim;
    float *wanted = run(reference, p);
    float *flash = run(cards[0], p);
    float *tiled = run(cards[1], p);
    compare(about, p, flash, wanted);
    compare(about, p, tiled, wanted);
    bool any = false;
    for (int64_t i = 0; i < n; i++) {
        any = any || wanted[i] != 0;
    }
    if (any && p->y_dtype == ACE_F32 && p->a.kv_len > 2) {
        assert_int_not_equal(memcmp(flash, tiled, (size_t)n * sizeof *flash), 0);
    }
    free(wanted);
    free(flash);
    free(tiled);
}

static void check_and_drop(const char *about, problem p)
{
    check(about, &p);
    drop(&p);
}

/* ---- many queries ---------------------------------------------------------------------------- */

static const ace_attention plain = {
    .batch = 1, .q_len = 70, .kv_len = 70, .heads = 2, .kv_heads = 1, .head_dim = 128};

static void edges_of_tiles(void **state)
{
    (void)state;
    static const int64_t queries[] = {2, 31, 32, 33, 64, 97};
    static const int64_t keys[] = {1, 31, 32, 33, 63, 64, 65, 160};
    for (int i = 0; i < 6; i++) {
        for (int j = 0; j < 8; j++) {
            ace_attention a = plain;
            a.q_len = queries[i];
            a.kv_len = keys[j];
            a.head_dim = j % 2 == 0 ? 128 : 64;
            check_and_drop("full", make(a, 0));
            a.causal = true;
            check_and_drop("causal", make(a, 0));
        }
    }
}

static void heads_of_all_kinds(void **state)
{
    (void)state;
    static const int64_t dims[] = {16, 32, 48, 64, 80, 96, 112, 128};
    static const int64_t groups[] = {1, 2, 3, 4, 8, 16};
    for (int i = 0; i < 8; i++) {
        for (int j = 0; j < 6; j++) {
            ace_attention a = {.batch = 2, .q_len = 1 + 23 * (i % 2), .kv_len = 75, .kv_heads = 2};
            a.head_dim = dims[i];
            a.heads = a.kv_heads * groups[j];
            problem p = make(a, 0);
            p.y_dtype = j % 2 == 0 ? ACE_F32 : ACE_BF16;
            check_and_drop("heads", p);
            a.q_len = 25 - a.q_len;
            check_and_drop("heads", make(a, 0));
        }
    }
}

static void windows(void **state)
{
    (void)state;
    /* 17: the query 48 sees the last key of the first tile and nothing else of it */
    static const int64_t windows[] = {1, 15, 31, 32, 17, 63, 64, 100, 400, 33};
    for (int i = 0; i < 10; i++) {
        ace_attention a = plain;
        a.q_len = 230;
        a.kv_len = 230;
        a.heads = i % 2 + 1;
        a.head_dim = i % 3 == 0 ? 64 : 128;
        a.window = windows[i];
        check_and_drop("window", make(a, 0));
        a.kv_len = 150; /* the last queries see nothing, with small windows */
        check_and_drop("window, fewer keys", make(a, 0));
        a.causal = true;
        check_and_drop("window, causal, fewer keys", make(a, 0));
    }
}

/* What the mask hides is NaN; some queries see nothing. */
static void masks(void **state)
{
    (void)state;
    enum { ITEMS = 2, KEYS = 170 };
    static uint8_t mask[ITEMS * KEYS];
    for (int j = 0; j < KEYS; j++) {
        mask[j] = j % 3 != 0 && (j < 40 || j > 110);
        mask[KEYS + j] = 0; /* nothing at all */
    }
    for (int i = 0; i < 8; i++) {
        ace_attention a = {.batch = ITEMS, .kv_len = KEYS, .heads = 4, .kv_heads = 2};
        a.q_len = i % 4 == 3 ? 1 : KEYS;
        a.head_dim = i % 2 == 0 ? 128 : 64;
        a.window = i % 4 == 1 ? 20 : 0;
        a.kv_mask = mask;
        a.uniform_when_hidden = i >= 4;
        problem p = make(a, 0);
        for (int64_t r = 0; r < ITEMS * KEYS && !a.uniform_when_hidden; r++) {
            if (mask[r] == 0) {
                poison(&p, r);
            }
        }
        check_and_drop("mask", p);
    }
}

static void keys_of_other_items(void **state)
{
    (void)state;
    static const int32_t index[] = {1, 1, 0};
    static const int32_t valid[] = {0, 64, 33};
    for (int i = 0; i < 4; i++) {
        ace_attention a = {.batch = 3, .q_len = i % 2 == 0 ? 60 : 1, .kv_len = 80, .heads = 4};
        a.kv_heads = 2;
        a.head_dim = i < 2 ? 128 : 64;
        a.kv_index = index;
        a.kv_valid = valid;
        problem p = make(a, (int64_t)2 * 80);
        for (int64_t r = 64; r < 80; r++) {
            poison(&p, 80 + r);
            poison(&p, r);
        }
        check_and_drop("index", p);
    }
}

/* ---- few queries, whose keys are shared out
 * --------------------------------------------------------
 */

/* Rows in pools, more keys promised than there are: whole splits have nothing to do. */
static void decoding(void **state)
{
    (void)state;
    enum { POOL = 2300 };
    static const int64_t lengths[] = {1, 63, 64, 65, 130, 700, 2048};
    static const int64_t groups[] = {1, 2, 4, 8};
    for (int i = 0; i < 7; i++) {
        for (int j = 0; j < 4; j++) {
            int64_t length = lengths[i];
            const ace_key_rows rows[2] = {
                {.shared_first = 7, .shared = length / 3, .own_first = 100},
                {.shared_first = 7, .shared = 0, .own_first = 211}};
            const int32_t valid[2] = {(int32_t)(length + 1) / 2, (int32_t)(length / 20)};
            ace_attention a = {.batch = 2, .q_len = 1, .kv_len = length, .kv_heads = 1};
            a.heads = a.kv_heads * groups[j];
            a.head_dim = (i + j) % 2 == 0 ? 128 : 64;
            a.kv_rows = rows;
            a.kv_head_rows = POOL;
            check_and_drop("decoding", make(a, 0));
            a.kv_valid = valid;
            problem p = make(a, 0);
            for (int64_t r = 0; r < POOL; r++) {
                int64_t own = valid[0] - rows[0].shared; /* may be negative */
                bool is_read = (r >= 7 && r < 7 + rows[0].shared && r < 7 + valid[0]) ||
                               (r >= 100 && r < 100 + own) || (r >= 211 && r < 211 + valid[1]);
                if (!is_read) {
                    poison(&p, r);
                }
            }
            check_and_drop("decoding, fewer keys than promised", p);
        }
    }
}

static void few_queries(void **state)
{
    (void)state;
    static const int32_t valid[] = {300};
    for (int64_t queries = 2; queries < 40; queries += 13) {
        ace_attention a = plain;
        a.q_len = queries;
        a.kv_len = 1000;
        a.causal = true;
        check_and_drop("few queries", make(a, 0));
        a.kv_valid = valid;
        a.causal = false;
        problem p = make(a, 0);
        for (int64_t r = 300; r < 1000; r++) {
            poison(&p, r);
        }
        check_and_drop("few queries, fewer keys than promised", p);
        a.window = 300;
        a.kv_valid = NULL;
        check_and_drop("few queries, window", make(a, 0));
    }
}

/* ---- which kernel ---------------------------------------------------------------------------- */

static void assert_same_bits(ace_device *a, ace_device *b, const problem *p, bool same)
{
    size_t bytes = (size_t)(p->a.batch * p->a.q_len * p->a.heads * p->a.head_dim) * sizeof(float);
    float *of_a = run(a, p);
    float *of_b = run(b, p);
    assert_int_equal(memcmp(of_a, of_b, bytes) == 0, same);
    free(of_a);
    free(of_b);
}

/* An older card has no tensor cores for bf16 (the emulator ends the program where they are used):
 * many queries go to the general kernel there, a single one has its own everywhere. */
static void older_cards(void **state)
{
    (void)state;
    ace_attention one = plain;
    one.q_len = 1;
    problem many = make(plain, 0);
    problem single = make(one, 0);
    assert_same_bits(cards[0], cards[1], &many, false);
    assert_same_bits(cards[0], cards[1], &single, false);
    assert_int_equal(setenv("ACE_EMULATOR_CAPABILITY", "75", 1), 0);
    ace_device *old = open_card(SIZE_MAX, 0);
    assert_same_bits(old, cards[1], &many, true);
    assert_same_bits(old, cards[1], &single, false);
    ace_device_close(old);
    assert_int_equal(unsetenv("ACE_EMULATOR_CAPABILITY"), 0);
    drop(&many);
    drop(&single);
}

/* f32, and heads that no wide load fits. */
static void what_only_the_general_kernel_can(void **state)
{
    (void)state;
    ace_attention a = plain;
    a.head_dim = 72;
    problem odd = make(a, 0);
    a.head_dim = 144;
    problem large = make(a, 0);
    assert_same_bits(cards[0], cards[1], &odd, true);
    assert_same_bits(cards[0], cards[1], &large, true);
    drop(&odd);
    drop(&large);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(edges_of_tiles),
        cmocka_unit_test(heads_of_all_kinds),
        cmocka_unit_test(windows),
        cmocka_unit_test(masks),
        cmocka_unit_test(keys_of_other_items),
        cmocka_unit_test(decoding),
        cmocka_unit_test(few_queries),
        cmocka_unit_test(older_cards),
        cmocka_unit_test(what_only_the_general_kernel_can),
    };
    return cmocka_run_group_tests(tests, open_devices, close_devices);
}
