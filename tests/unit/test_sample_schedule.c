#include "sample/schedule.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static ace_schedule made(ace_schedule_request request)
{
    ace_schedule s;
    ace_error err = {.code = ACESTEP_OK};
    if (ace_schedule_make(&request, &s, &err) != ACESTEP_OK) {
        fail_msg("%s", err.message);
    }
    return s;
}

static void expect_refused(ace_schedule_request request, const char *word)
{
    ace_schedule s;
    ace_error err = {.code = ACESTEP_OK};
    assert_int_equal(ace_schedule_make(&request, &s, &err), ACESTEP_ARGUMENT);
    assert_non_null(strstr(err.message, word));
}

static void test_turbo_tables(void **unused)
{
    (void)unused;
    /* entry 3 tells the tables apart */
    static const struct {
        double shift;
        float third;
    } snapped[] = {{0.2, 0.625f},      {1.0, 0.625f},      {1.5, 0.625f},      {1.51, 0.76923077f},
                   {2.0, 0.76923077f}, {2.5, 0.76923077f}, {2.51, 0.8333333f}, {5.0, 0.8333333f}};
    for (size_t i = 0; i < sizeof snapped / sizeof snapped[0]; i++) {
        ace_schedule s =
            made((ace_schedule_request){.turbo = true, .steps = 3, .shift = snapped[i].shift});
        assert_int_equal(s.steps, 8);
        assert_float_equal(s.t[0], 1.0f, 0.0f);
        assert_float_equal(s.t[3], snapped[i].third, 1e-7f);
        assert_float_equal(s.t[8], 0.0f, 0.0f);
    }
}

/* The tables are the formula at 8 steps: two sources for the same numbers. */
static void test_tables_are_the_formula(void **unused)
{
    (void)unused;
    for (int shift = 1; shift <= 3; shift++) {
        ace_schedule table = made((ace_schedule_request){.turbo = true, .shift = shift});
        ace_schedule formula = made((ace_schedule_request){.steps = 8, .shift = shift});
        for (int i = 0; i <= 8; i++) {
            assert_float_equal(table.t[i], formula.t[i], 2e-7f);
        }
    }
}

static void test_formula(void **unused)
{
    (void)unused;
    static const int counts[] = {1, 2, 7, 32, 50, 999, ACE_MAX_STEPS};
    static const double shifts[] = {0.5, 1.0, 3.0, 100.0};
    for (size_t n = 0; n < sizeof counts / sizeof counts[0]; n++) {
        for (size_t k = 0; k < sizeof shifts / sizeof shifts[0]; k++) {
            ace_schedule s = made((ace_schedule_request){.steps = counts[n], .shift = shifts[k]});
            assert_int_equal(s.steps, counts[n]);
            assert_float_equal(s.t[0], 1.0f, 0.0f);
            assert_float_equal(s.t[s.steps], 0.0f, 0.0f);
            for (int i = 0; i < s.steps; i++) {
                double t = 1.0 - (double)i / (double)s.steps;
                double expected = shifts[k] * t / (1.0 + (shifts[k] - 1.0) * t);
                assert_true(s.t[i] > s.t[i + 1]);
                assert_true(fabs((double)s.t[i] - expected) < 1e-6 * shifts[k]);
            }
        }
    }
}

static void test_timesteps_as_given(void **unused)
{
    (void)unused;
    static const double with_end[] = {0.97, 0.5, 0.1, 0.0};
    static const float expected[] = {0.97f, 0.5f, 0.1f, 0.0f};
    for (int n = 3; n <= 4; n++) { /* the final 0 may be left out */
        ace_schedule s = made((ace_schedule_request){.timesteps = with_end, .n_timesteps = n});
        assert_int_equal(s.steps, 3);
        assert_memory_equal(s.t, expected, sizeof expected);
    }
}

static void test_turbo_timesteps_snap(void **unused)
{
    (void)unused;
    static const double given[] = {0.99, 0.8125, 0.39, 0.38, 0.01, 0.0, 0.0};
    static const float expected[] = {1.0f, 0.8333333f, 0.4f, 0.375f, 0.125f, 0.0f};
    ace_schedule s =
        made((ace_schedule_request){.turbo = true, .timesteps = given, .n_timesteps = 7});
    assert_int_equal(s.steps, 5);
    for (int i = 0; i <= 5; i++) {
        assert_float_equal(s.t[i], expected[i], 1e-7f);
    }
    double many[30];
    for (int i = 0; i < 30; i++) {
        many[i] = 1.0 - i / 40.0;
    }
    s = made((ace_schedule_request){.turbo = true, .timesteps = many, .n_timesteps = 30});
    assert_int_equal(s.steps, 20);
    static const double zeros[] = {0.0, 0.0};
    s = made(
        (ace_schedule_request){.turbo = true, .shift = 3.0, .timesteps = zeros, .n_timesteps = 2});
    assert_int_equal(s.steps, 8);
    assert_float_equal(s.t[7], 0.3f, 1e-7f);
}

static void test_refuses(void **unused)
{
    (void)unused;
    static const double rising[] = {0.5, 0.6};
    static const double equal[] = {0.5, 0.5, 0.0};
    static const double high[] = {1.5, 0.5};
    static const double negative[] = {0.5, -0.5};
    static const double nan_inside[] = {0.5, NAN, 0.1};
    static const double zero_inside[] = {0.5, 0.0, 0.1};
    static const double zeros[] = {0.0};
    static const double tiny[] = {0.5, 1e-60};
    static double long_list[ACE_MAX_STEPS + 1];
    for (int i = 0; i <= ACE_MAX_STEPS; i++) {
        long_list[i] = 1.0 - i / 2000.0;
    }
#define GIVEN(list)                                                                                \
    (ace_schedule_request){.timesteps = list, .n_timesteps = (int)(sizeof list / sizeof list[0])}
    expect_refused(GIVEN(rising), "value 2");
    expect_refused(GIVEN(equal), "value 2");
    expect_refused(GIVEN(high), "value 1");
    expect_refused(GIVEN(negative), "value 2");
    expect_refused(GIVEN(nan_inside), "value 2");
    expect_refused(GIVEN(zero_inside), "value 3");
    expect_refused(GIVEN(zeros), "timesteps");
    expect_refused(GIVEN(tiny), "value 2");
    expect_refused(GIVEN(long_list), "1001");
    expect_refused((ace_schedule_request){.steps = 0, .shift = 1.0}, "inference_steps");
    expect_refused((ace_schedule_request){.steps = 1001, .shift = 1.0}, "inference_steps");
    expect_refused((ace_schedule_request){.steps = 8, .shift = 0.0}, "shift");
    expect_refused((ace_schedule_request){.steps = 8, .shift = NAN}, "shift");
    expect_refused((ace_schedule_request){.turbo = true, .shift = INFINITY}, "shift");
}

static void test_start_at(void **unused)
{
    (void)unused;
    static const struct {
        double level;
        float first;
        int steps;
    } starts[] = {{1.0, 1.0f, 8},   {0.82, 0.875f, 7}, {0.8125, 0.875f, 7},
                  {0.81, 0.75f, 6}, {0.13, 0.125f, 1}, {0.0, 0.125f, 1}};
    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
        ace_schedule s = made((ace_schedule_request){.turbo = true, .shift = 1.0});
        ace_schedule_start_at(&s, starts[i].level);
        assert_int_equal(s.steps, starts[i].steps);
        assert_float_equal(s.t[0], starts[i].first, 0.0f);
        assert_float_equal(s.t[s.steps], 0.0f, 0.0f);
    }
}

static void test_cover_steps(void **unused)
{
    (void)unused;
    static const struct {
        int steps;
        double strength;
        int covered;
    } known[] = {{8, 1.0, 8}, {8, 0.99, 7}, {8, 0.5, 4}, {8, 0.0, 0}, {10, 0.7, 7}, {50, 0.29, 14}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        ace_schedule s = {.steps = known[i].steps};
        assert_int_equal(ace_schedule_cover_steps(&s, known[i].strength), known[i].covered);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_turbo_tables),
        cmocka_unit_test(test_tables_are_the_formula),
        cmocka_unit_test(test_formula),
        cmocka_unit_test(test_timesteps_as_given),
        cmocka_unit_test(test_turbo_timesteps_snap),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_start_at),
        cmocka_unit_test(test_cover_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
