/* MAX_CUDA_VRAM and its siblings: what is a number of GB, who comes first, and the cap. */
#include "hardware/hardware.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const double GB = 1073741824.0;

static bool is_near(double a, double b)
{
    return a - b < 1e-6 && b - a < 1e-6;
}

static ace_hardware detect(ace_hardware_wishes w)
{
    ace_hardware h;
    ace_hardware_detect(&w, &h);
    return h;
}

static ace_hardware simulate(const char *text)
{
    return detect((ace_hardware_wishes){.gpu = -1, .max_cuda_vram = text});
}

static void numbers_simulate_a_card(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double gb, cap;
    } cases[] = {
        {"8", 8, 7.5},       {"0.5", 0.5, 0.5}, {" 8 ", 8, 7.5},       {"+6.01", 6.01, 5.51},
        {"1.2e1", 12, 11.5}, {"0", 0, 0.5},     {"-3", 0, 0.5},        {"1", 1, 0.5},
        {"4", 4, 3.5},       {"24", 24, 23.5},  {"1e9", 1024, 1023.5},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ace_hardware h = simulate(cases[i].text);
        assert_true(h.simulated);
        assert_int_equal(h.device, ACE_DEVICE_SIM);
        assert_string_equal(h.variable, "MAX_CUDA_VRAM");
        assert_string_equal(h.warning, "");
        assert_true(is_near(h.gb, cases[i].gb));
        assert_true(is_near((double)h.cap_bytes / GB, cases[i].cap));
    }
}

static void other_texts_are_ignored_with_a_warning(void **state)
{
    (void)state;
    static const char *const texts[] = {"abc", "8GB", "nan", "inf", "8,5", "1e999", "--8", "."};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        ace_hardware h = simulate(texts[i]);
        assert_false(h.simulated);
        assert_int_equal(h.device, ACE_DEVICE_CPU);
        assert_non_null(strstr(h.warning, "MAX_CUDA_VRAM"));
        assert_non_null(strstr(h.warning, texts[i]));
    }
    assert_string_equal(simulate("").warning, "");
    assert_string_equal(simulate(NULL).warning, "");
}

static void variables_have_an_order(void **state)
{
    (void)state;
    ace_hardware_wishes w = {
        .gpu = -1, .max_cuda_vram = "6", .max_mps_vram = "12", .max_xpu_vram = "16"};
    assert_true(is_near(detect(w).gb, 6));
    w.max_cuda_vram = NULL;
    assert_true(is_near(detect(w).gb, 12));
    assert_string_equal(detect(w).variable, "MAX_MPS_VRAM");
    w.max_mps_vram = "many";
    assert_true(is_near(detect(w).gb, 16));
    assert_string_equal(detect(w).variable, "MAX_XPU_VRAM");
    assert_non_null(strstr(detect(w).warning, "MAX_MPS_VRAM"));
}

static void simulated_sizes_are_not_rounded(void **state)
{
    (void)state;
    assert_true(is_near(simulate("7.9").gb, 7.9));
    assert_true(is_near(simulate("23.9").gb, 23.9));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_simulate_a_card),
        cmocka_unit_test(other_texts_are_ignored_with_a_warning),
        cmocka_unit_test(variables_have_an_order),
        cmocka_unit_test(simulated_sizes_are_not_rounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
