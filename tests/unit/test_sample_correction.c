#include "sample/correction.h"
#include "sample/repaint.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { FRAMES = 7, CHANNELS = 3, N = FRAMES * CHANNELS };

static void fill(float *values, int n, float phase)
{
    for (int i = 0; i < n; i++) {
        values[i] = sinf(phase + 1.3f * (float)i) + 0.2f;
    }
}

static double norm(const float *v, int n)
{
    double sum = 0.0;
    for (int i = 0; i < n; i++) {
        sum += (double)v[i] * (double)v[i];
    }
    return sqrt(sum);
}

static void test_clamp(void **unused)
{
    (void)unused;
    float x[N];
    float v[N];
    float before[N];
    fill(x, N, 0.0f);
    fill(v, N, 1.0f);
    memcpy(before, v, sizeof v);
    ace_velocity_clamp(N, 10.0, x, v);
    assert_memory_equal(v, before, sizeof v); /* short enough: not a bit changes */
    ace_velocity_clamp(N, 0.25, x, v);
    assert_true(fabs(norm(v, N) - 0.25 * norm(x, N)) < 1e-5);
    assert_float_equal(v[3] / v[5], before[3] / before[5], 1e-5f);
}

static void test_smooth(void **unused)
{
    (void)unused;
    const float previous[2] = {1.0f, -4.0f};
    float v[2] = {3.0f, 4.0f};
    ace_velocity_smooth(2, 0.25, previous, v);
    assert_float_equal(v[0], 2.5f, 0.0f);
    assert_float_equal(v[1], 2.0f, 0.0f);
}

/* The correction by its definition: transform both signals, move each band of x away from that of
 * the estimate, transform back. */
static void by_definition(double low, double high, const float *data, const float *x, double *out)
{
    const double root = sqrt(0.5);
    for (int f = 0; f < FRAMES; f += 2) {
        for (int c = 0; c < CHANNELS; c++) {
            int i = f * CHANNELS + c;
            int j = i + CHANNELS;
            double x1 = f + 1 < FRAMES ? (double)x[j] : 0.0;
            double y1 = f + 1 < FRAMES ? (double)data[j] : 0.0;
            double xl = root * ((double)x[i] + x1);
            double xh = root * ((double)x[i] - x1);
            double yl = root * ((double)data[i] + y1);
            double yh = root * ((double)data[i] - y1);
            xl += low * (xl - yl);
            xh += high * (xh - yh);
            out[i] = root * (xl + xh);
            if (f + 1 < FRAMES) {
                out[j] = root * (xl - xh);
            }
        }
    }
}

static void test_wavelet_correction(void **unused)
{
    (void)unused;
    const float t = 0.7f;
    const struct {
        ace_dcw dcw;
        double low, high;
    } modes[] = {
        {{ACE_DCW_OFF, 0.5, 0.5}, 0.0, 0.0},
        {{ACE_DCW_LOW, 0.05, 0.5}, 0.7 * 0.05, 0.0},
        {{ACE_DCW_HIGH, 0.05, 0.5}, 0.0, 0.3 * 0.05},
        {{ACE_DCW_DOUBLE, 0.05, 0.02}, 0.7 * 0.05, 0.3 * 0.02},
        {{ACE_DCW_PIXEL, 0.05, 0.5}, 0.05, 0.05},
    };
    for (size_t m = 0; m < sizeof modes / sizeof modes[0]; m++) {
        float data[N];
        float x[N];
        double expected[N] = {0};
        fill(data, N, 0.3f);
        fill(x, N, 2.0f);
        by_definition(modes[m].low, modes[m].high, data, x, expected);
        ace_dcw_apply(&modes[m].dcw, t, FRAMES, CHANNELS, data, x);
        for (int i = 0; i < N; i++) {
            assert_true(fabs((double)x[i] - expected[i]) < 1e-6);
        }
    }
}

static void test_injected_steps(void **unused)
{
    (void)unused;
    assert_int_equal(ace_repaint_injected_steps(8, 0.0), 0);
    assert_int_equal(ace_repaint_injected_steps(8, 1.0), 8);
    assert_int_equal(ace_repaint_injected_steps(5, 0.5), 2); /* halves to even */
    assert_int_equal(ace_repaint_injected_steps(7, 0.5), 4);
    assert_int_equal(ace_repaint_injected_steps(8, 0.45), 4);
}

static void test_injection(void **unused)
{
    (void)unused;
    static const float region[FRAMES] = {0, 0, 1, 1, 0, 1, 0};
    float noise[N];
    float source[N];
    float x[N];
    float before[N];
    fill(noise, N, 0.0f);
    fill(source, N, 1.0f);
    fill(x, N, 2.0f);
    memcpy(before, x, sizeof x);
    ace_repaint_inject(FRAMES, CHANNELS, 0.25f, noise, source, region, x);
    for (int i = 0; i < N; i++) {
        float outside = 0.25f * noise[i] + 0.75f * source[i];
        assert_float_equal(x[i], region[i / CHANNELS] > 0 ? before[i] : outside, 1e-6f);
    }
}

/* With x = 1 and source = 0 the blend is its weight. */
static void expect_weights(const float *region, int frames, int64_t crossfade,
                           const float *expected)
{
    float x[16];
    float source[16] = {0};
    for (int f = 0; f < frames; f++) {
        x[f] = 1.0f;
    }
    ace_repaint_blend(frames, 1, crossfade, source, region, x);
    for (int f = 0; f < frames; f++) {
        assert_float_equal(x[f], expected[f], 1e-6f);
    }
}

static void test_blend(void **unused)
{
    (void)unused;
    static const float middle[10] = {0, 0, 0, 0, 1, 1, 0, 0, 0, 0};
    static const float ramps[10] = {0, 0.25f,       2.0f / 4.0f, 3.0f / 4.0f, 1,
                                    1, 3.0f / 4.0f, 2.0f / 4.0f, 0.25f,       0};
    expect_weights(middle, 10, 3, ramps);
    /* too few frames before the region: a steeper ramp there */
    static const float early[8] = {0, 1, 1, 0, 0, 0, 0, 0};
    static const float steep[8] = {0.5f, 1, 1, 0.75f, 0.5f, 0.25f, 0, 0};
    expect_weights(early, 8, 3, steep);
    static const float late[8] = {0, 0, 0, 0, 0, 1, 1, 0};
    static const float steep_end[8] = {0, 0, 0.25f, 0.5f, 0.75f, 1, 1, 0.5f};
    expect_weights(late, 8, 3, steep_end);
    /* between two regions the nearer one counts */
    static const float two[9] = {0, 0, 1, 0, 0, 0, 1, 0, 0};
    static const float both[9] = {1.0f / 3, 2.0f / 3, 1,        2.0f / 3, 1.0f / 3,
                                  2.0f / 3, 1,        2.0f / 3, 1.0f / 3};
    expect_weights(two, 9, 2, both);
    static const float none[4] = {0, 0, 0, 0};
    expect_weights(none, 4, 3, none);
    static const float all[4] = {1, 1, 1, 1};
    expect_weights(all, 4, 3, all);
    expect_weights(middle, 10, 0, middle);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clamp),
        cmocka_unit_test(test_smooth),
        cmocka_unit_test(test_wavelet_correction),
        cmocka_unit_test(test_injected_steps),
        cmocka_unit_test(test_injection),
        cmocka_unit_test(test_blend),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
