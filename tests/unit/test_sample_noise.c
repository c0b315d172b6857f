#include "base/dtype.h"
#include "sample/mersenne.h"
#include "sample/noise.h"
#include "sample/philox.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Random123's known answers (kat_vectors) for philox4x32 with 10 rounds. */
static void test_philox_known_answers(void **unused)
{
    (void)unused;
    static const struct {
        uint32_t counter[4], key[2], out[4];
    } known[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        uint32_t out[4];
        ace_philox4x32_10(known[i].counter, known[i].key, out);
        assert_memory_equal(out, known[i].out, sizeof out);
    }
}

/* The first numbers of the original on a GPU with seed 42, before and after rounding to bf16. */
static void test_seed_42(void **unused)
{
    (void)unused;
    static const float expected[4] = {0.194019f, 2.161374f, -0.172051f, 0.849060f};
    static const float rounded[4] = {0.194336f, 2.15625f, -0.171875f, 0.847656f};
    float noise[4];
    ace_noise_normal(42, 0, 4, 0, noise);
    for (int i = 0; i < 4; i++) {
        assert_float_equal(noise[i], expected[i], 1e-6f);
        assert_float_equal(ace_bf16_to_f32(ace_f32_to_bf16(noise[i])), rounded[i], 1e-6f);
    }
}

/* A grid of one thread hands out the lanes of its block one after the other. */
static void test_lanes(void **unused)
{
    (void)unused;
    static const float expected[4] = {0.194019f, -0.970190f, 1.923927f, -1.235621f};
    float noise[4];
    ace_noise_normal(42, 0, 4, 1, noise);
    for (int i = 0; i < 4; i++) {
        assert_float_equal(noise[i], expected[i], 1e-6f);
    }
}

static void test_grid_order(void **unused)
{
    (void)unused;
    enum { GRID = 64, N = 6 * GRID };
    float plain[N];
    float gridded[N];
    float one;
    ace_noise_normal(7, 0, N, 0, plain);
    ace_noise_normal(7, 0, N, GRID, gridded);
    assert_memory_equal(plain, gridded, GRID * sizeof *plain);
    assert_memory_not_equal(plain + GRID, gridded + GRID, GRID * sizeof *plain);
    /* any part can be asked for alone */
    ace_noise_normal(7, 5 * GRID + 3, 1, GRID, &one);
    assert_float_equal(one, gridded[5 * GRID + 3], 0.0f);
    /* beyond four rounds a thread goes on with its next block: the stream with index 1 */
    float next[GRID];
    ace_noise_stream(7, ACE_NOISE_INITIAL, 1, 0, GRID, next);
    assert_memory_equal(next, gridded + 4 * GRID, sizeof next);
}

static void test_parts_are_the_whole(void **unused)
{
    (void)unused;
    float whole[100];
    float parts[100];
    ace_noise_normal(1234567890123, 0, 100, 0, whole);
    ace_noise_normal(1234567890123, 0, 33, 0, parts);
    ace_noise_normal(1234567890123, 33, 67, 0, parts + 33);
    assert_memory_equal(whole, parts, sizeof whole);
}

static double correlation(const float *a, const float *b, int n)
{
    double sum = 0.0;
    for (int i = 0; i < n; i++) {
        sum += (double)a[i] * (double)b[i];
    }
    return sum / n;
}

/* Uses, indices, seeds (also in the upper half) and neighbouring seeds give unrelated numbers. */
static void test_streams_are_independent(void **unused)
{
    (void)unused;
    enum { N = 20000, STREAMS = 7 };
    float *s[STREAMS];
    for (int i = 0; i < STREAMS; i++) {
        s[i] = malloc(N * sizeof **s);
        assert_non_null(s[i]);
    }
    ace_noise_stream(5, ACE_NOISE_INITIAL, 0, 0, N, s[0]);
    ace_noise_stream(5, ACE_NOISE_SDE, 0, 0, N, s[1]);
    ace_noise_stream(5, ACE_NOISE_SDE, 1, 0, N, s[2]);
    ace_noise_stream(5, ACE_NOISE_POSTERIOR, 0, 0, N, s[3]);
    ace_noise_stream(5, ACE_NOISE_REFERENCE_CUT, 0, 0, N, s[4]);
    ace_noise_stream(6, ACE_NOISE_INITIAL, 0, 0, N, s[5]);
    ace_noise_stream(5 + (1ull << 32), ACE_NOISE_INITIAL, 0, 0, N, s[6]);
    for (int i = 0; i < STREAMS; i++) {
        assert_true(fabs(correlation(s[i], s[i], N) - 1.0) < 0.05); /* variance 1 */
        for (int j = 0; j < i; j++) {
            assert_true(fabs(correlation(s[i], s[j], N)) < 0.03); /* about 4 standard errors */
        }
    }
    for (int i = 0; i < STREAMS; i++) {
        free(s[i]);
    }
}

static void test_uniform(void **unused)
{
    (void)unused;
    double sum = 0.0;
    for (int64_t k = 0; k < 10000; k++) {
        double u = ace_noise_uniform(3, ACE_NOISE_REFERENCE_CUT, 0, k);
        assert_true(u >= 0.0 && u < 1.0);
        sum += u;
    }
    assert_true(fabs(sum / 10000.0 - 0.5) < 0.01);
}

/* The 10000th number after the seed 5489, as the C++ standard asks of mt19937. */
static void test_mersenne_known_answer(void **unused)
{
    (void)unused;
    ace_mersenne m;
    uint32_t last = 0;
    ace_mersenne_init(&m, 5489);
    for (int i = 0; i < 10000; i++) {
        last = ace_mersenne_draw(&m);
    }
    assert_int_equal(last, 4123659995u);
}

static void test_torch_cpu(void **unused)
{
    (void)unused;
    static const float expected[8] = {1.9269f, 1.4873f,  0.9007f,  -2.1055f,
                                      0.6784f, -1.2345f, -0.0431f, -1.6047f};
    float noise[64];
    float high[64];
    ace_error err = {.code = ACESTEP_OK};
    assert_int_equal(ace_noise_torch_cpu(42, 64, noise, &err), ACESTEP_OK);
    for (int i = 0; i < 8; i++) {
        assert_float_equal(noise[i], expected[i], 1e-4f);
    }
    /* the generator takes the lower 32 bits of a seed */
    assert_int_equal(ace_noise_torch_cpu(42 + (1ull << 32), 64, high, &err), ACESTEP_OK);
    assert_memory_equal(noise, high, sizeof noise);
    /* a tail short of 16 redraws the last 16 and leaves what is before */
    assert_int_equal(ace_noise_torch_cpu(42, 40, high, &err), ACESTEP_OK);
    assert_memory_equal(noise, high, 24 * sizeof *noise);
    assert_memory_not_equal(noise + 24, high + 24, 8 * sizeof *noise);
    assert_int_equal(ace_noise_torch_cpu(42, 15, noise, &err), ACESTEP_ARGUMENT);
}

/* The redrawn tail comes from the numbers after those of the whole tensor. */
static void test_torch_cpu_tail(void **unused)
{
    (void)unused;
    enum { N = 40, TAIL = 16 };
    float noise[N];
    double d[TAIL];
    ace_mersenne m;
    ace_mersenne_init(&m, 42);
    for (int i = 0; i < N; i++) {
        (void)ace_mersenne_draw(&m);
    }
    for (int i = 0; i < TAIL; i++) {
        d[i] = (double)(ace_mersenne_draw(&m) & 0xffffffu) / 16777216.0;
    }
    assert_int_equal(ace_noise_torch_cpu(42, N, noise, NULL), ACESTEP_OK);
    for (int i = 0; i < TAIL / 2; i++) {
        double radius = sqrt(-2.0 * log(1.0 - d[i]));
        double angle = 6.283185307179586 * d[i + TAIL / 2];
        assert_true(fabs((double)noise[N - TAIL + i] - radius * cos(angle)) < 1e-5);
        assert_true(fabs((double)noise[N - TAIL / 2 + i] - radius * sin(angle)) < 1e-5);
    }
}

static void test_mix(void **unused)
{
    (void)unused;
    const float other[2] = {3.0f, -1.0f};
    float noise[2] = {1.0f, 2.0f};
    ace_noise_mix(0.0, 2, other, noise);
    assert_float_equal(noise[0], 1.0f, 0.0f);
    ace_noise_mix(0.5, 2, other, noise);
    assert_float_equal(noise[0], 4.0f * sqrtf(0.5f), 1e-6f);
    assert_float_equal(noise[1], sqrtf(0.5f), 1e-6f);
    ace_noise_mix(1.0, 2, other, noise);
    assert_float_equal(noise[0], 3.0f, 1e-6f);
    assert_float_equal(noise[1], -1.0f, 1e-6f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_philox_known_answers),
        cmocka_unit_test(test_seed_42),
        cmocka_unit_test(test_lanes),
        cmocka_unit_test(test_grid_order),
        cmocka_unit_test(test_parts_are_the_whole),
        cmocka_unit_test(test_streams_are_independent),
        cmocka_unit_test(test_uniform),
        cmocka_unit_test(test_mersenne_known_answer),
        cmocka_unit_test(test_torch_cpu),
        cmocka_unit_test(test_torch_cpu_tail),
        cmocka_unit_test(test_mix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
