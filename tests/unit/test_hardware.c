/* What MAX_CUDA_VRAM and the cards of a machine lead to. Cards are made up: detection's second half
 * is a function of what its first half found. */
#include "hardware/parts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const double GB = 1073741824.0;

static uint64_t bytes_of(double gb)
{
    return (uint64_t)(gb * GB);
}

static bool is_near(double a, double b)
{
    return a - b < 1e-6 && b - a < 1e-6;
}

/* A machine of 32 GB, 20 of them free, with these cards. */
static ace_hardware machine(int n, const double *card_gb)
{
    ace_hardware h;
    memset(&h, 0, sizeof h);
    h.host_total_bytes = bytes_of(32);
    h.host_available_bytes = bytes_of(20);
    h.n_gpus = n;
    h.driver = n > 0;
    for (int i = 0; i < n; i++) {
        h.gpu[i].index = i;
        h.gpu[i].total_bytes = bytes_of(card_gb[i]);
        h.gpu[i].free_bytes = h.gpu[i].total_bytes;
        (void)snprintf(h.gpu[i].name, sizeof h.gpu[i].name, "card %d", i);
    }
    return h;
}

static ace_hardware choose(ace_hardware h, ace_hardware_wishes w)
{
    ace_hardware_choose(&w, &h);
    return h;
}

static ace_hardware simulate(const char *text)
{
    return choose(machine(0, NULL), (ace_hardware_wishes){.gpu = -1, .max_cuda_vram = text});
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
    static const char *const texts[] = {"abc", "8GB",   "nan", "inf", "0x8",
                                        "8,5", "1e999", "--8", "."};
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
    assert_true(is_near(choose(machine(0, NULL), w).gb, 6));
    w.max_cuda_vram = NULL;
    assert_true(is_near(choose(machine(0, NULL), w).gb, 12));
    assert_string_equal(choose(machine(0, NULL), w).variable, "MAX_MPS_VRAM");
    w.max_mps_vram = "many";
    assert_true(is_near(choose(machine(0, NULL), w).gb, 16));
    assert_string_equal(choose(machine(0, NULL), w).variable, "MAX_XPU_VRAM");
    assert_non_null(strstr(choose(machine(0, NULL), w).warning, "MAX_MPS_VRAM"));
}

static void real_cards_count_as_their_nominal_size(void **state)
{
    (void)state;
    static const double cases[][2] = {{7.5, 8},       {7.49, 7.49}, {7.65, 8},      {11.6, 12},
                                      {11.49, 11.49}, {15.6, 16},   {15.49, 15.49}, {19.5, 20},
                                      {23.6, 24},     {23.4, 23.4}, {3.8, 3.8},     {5.8, 5.8},
                                      {8.01, 8.01},   {79.1, 79.1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ace_hardware h =
            choose(machine(1, &cases[i][0]), (ace_hardware_wishes){.gpu = -1, .cuda_plugin = true});
        assert_int_equal(h.device, ACE_DEVICE_CUDA);
        assert_true(is_near(h.gb, cases[i][1]));
        assert_int_equal(h.total_bytes,
                         bytes_of(cases[i][0])); /* the planner's figure stays real */
    }
}

static void simulated_sizes_are_not_rounded(void **state)
{
    (void)state;
    assert_true(is_near(simulate("7.9").gb, 7.9));
    assert_true(is_near(simulate("23.9").gb, 23.9));
}

static void a_real_card_is_capped(void **state)
{
    (void)state;
    double size = 24;
    ace_hardware_wishes w = {.gpu = -1, .cuda_plugin = true, .max_cuda_vram = "8"};
    ace_hardware h = choose(machine(1, &size), w);
    assert_int_equal(h.device, ACE_DEVICE_CUDA);
    assert_true(h.simulated && is_near(h.gb, 8));
    assert_int_equal(h.cap_bytes, bytes_of(7.5));
    assert_string_equal(h.warning, "");
    w.max_cuda_vram = "48"; /* larger than the card: its own size is the cap, and that is said */
    h = choose(machine(1, &size), w);
    assert_true(is_near(h.gb, 48));
    assert_int_equal(h.cap_bytes, bytes_of(24));
    assert_non_null(strstr(h.warning, "MAX_CUDA_VRAM"));
}

static void the_largest_card_is_taken(void **state)
{
    (void)state;
    static const double sizes[] = {8, 24, 24, 12};
    ace_hardware_wishes w = {.gpu = -1, .cuda_plugin = true};
    assert_int_equal(choose(machine(4, sizes), w).chosen, 1);
    w.gpu = 3;
    assert_int_equal(choose(machine(4, sizes), w).chosen, 3);
    w.gpu = -1;
    w.device = "cuda:2";
    assert_int_equal(choose(machine(4, sizes), w).chosen, 2);
    assert_string_equal(choose(machine(4, sizes), w).wanted, "");
    static const char *const absent[] = {"cuda:9", "cuda:", "cuda:x", "cuda:-1",
                                         "cuda:99999999999"};
    for (size_t i = 0; i < sizeof absent / sizeof *absent; i++) {
        w.device = absent[i];
        ace_hardware h = choose(machine(4, sizes), w);
        assert_int_equal(h.device, ACE_DEVICE_CUDA);
        assert_int_equal(h.chosen, 1);
        assert_string_equal(h.wanted, absent[i]);
    }
}

static void missing_devices_fall_through(void **state)
{
    (void)state;
    double size = 24;
    static const char *const names[] = {"mps", "xpu", "nonsense"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        ace_hardware_wishes w = {.device = names[i], .gpu = -1};
        ace_hardware h = choose(machine(0, NULL), w);
        assert_int_equal(h.device, ACE_DEVICE_CPU);
        assert_string_equal(h.wanted, names[i]);
        w.cuda_plugin = true;
        h = choose(machine(1, &size), w);
        assert_int_equal(h.device, ACE_DEVICE_CUDA);
        assert_string_equal(h.wanted, names[i]);
    }
    ace_hardware_wishes cuda = {.device = "cuda", .gpu = -1, .max_cuda_vram = "8"};
    ace_hardware h = choose(machine(0, NULL), cuda);
    assert_int_equal(h.device, ACE_DEVICE_SIM);
    assert_string_equal(h.wanted, "cuda");
}

static void words_choose_a_device(void **state)
{
    (void)state;
    ace_hardware h = choose(machine(0, NULL), (ace_hardware_wishes){.device = "sim", .gpu = -1});
    assert_int_equal(h.device, ACE_DEVICE_SIM); /* as large as the memory that is free */
    assert_true(is_near(h.gb, 20));
    assert_int_equal(h.cap_bytes, bytes_of(19.5));
    h = choose(machine(0, NULL),
               (ace_hardware_wishes){.device = "cpu", .gpu = -1, .max_cuda_vram = "8"});
    assert_int_equal(h.device, ACE_DEVICE_CPU); /* the tier follows the variable, without a cap */
    assert_true(h.simulated && is_near(h.gb, 8));
    assert_int_equal(h.cap_bytes, h.host_total_bytes);
    assert_string_equal(h.wanted, "");
}

static void a_card_without_plugin_is_explained(void **state)
{
    (void)state;
    double size = 24;
    ace_hardware h = choose(machine(1, &size), (ace_hardware_wishes){.gpu = -1});
    assert_int_equal(h.device, ACE_DEVICE_CPU);
    assert_true(is_near(h.gb, 0));
    assert_true(h.n_diagnoses > 0 && h.n_diagnoses <= ACE_MAX_DIAGNOSES);
    assert_non_null(strstr(h.diagnosis[0], "card 0"));
    assert_non_null(strstr(h.diagnosis[0], "plug-in"));
    h = choose(machine(1, &size), (ace_hardware_wishes){.gpu = -1, .cuda_plugin = true});
    assert_int_equal(h.n_diagnoses, 0);
    h = choose(machine(0, NULL), (ace_hardware_wishes){.gpu = -1});
    assert_true(h.n_diagnoses > 0);
    h = choose(machine(1, &size),
               (ace_hardware_wishes){.gpu = -1, .plugin_problem = "it is broken"});
    assert_non_null(strstr(h.diagnosis[0], "it is broken"));
    h = choose(machine(0, NULL),
               (ace_hardware_wishes){.device = "cuda", .gpu = -1, .plugin_problem = "not built"});
    assert_int_equal(h.device, ACE_DEVICE_CPU);
    assert_string_equal(h.diagnosis[1], "not built");
}

/* The plug-in has no code for it: another card is taken, or none, and that is said. */
static void an_old_card_is_passed_over(void **state)
{
    (void)state;
    static const double sizes[] = {24, 8};
    ace_hardware_wishes w = {.gpu = -1, .cuda_plugin = true, .cuda_capability = 75};
    ace_hardware h = machine(2, sizes);
    h.gpu[0].capability_major = 6;
    h.gpu[0].capability_minor = 1;
    h.gpu[1].capability_major = 7;
    h.gpu[1].capability_minor = 5;
    h = choose(h, w);
    assert_int_equal(h.device, ACE_DEVICE_CUDA);
    assert_int_equal(h.chosen, 1);
    h = machine(1, sizes);
    h.gpu[0].capability_major = 6;
    h.gpu[0].capability_minor = 1;
    h = choose(h, w);
    assert_int_equal(h.device, ACE_DEVICE_CPU);
    assert_non_null(strstr(h.diagnosis[0], "6.1"));
    assert_non_null(strstr(h.diagnosis[0], "7.5"));
}

static void flash_attention_needs_capability_8(void **state)
{
    (void)state;
    static const struct {
        ace_device_kind device;
        int major, minor;
        bool has;
    } cases[] = {{ACE_DEVICE_CUDA, 7, 5, false},
                 {ACE_DEVICE_CUDA, 8, 0, true},
                 {ACE_DEVICE_CUDA, 12, 0, true},
                 {ACE_DEVICE_SIM, 8, 0, false},
                 {ACE_DEVICE_CPU, 8, 0, false}};
    for (int i = 0; i < 5; i++) {
        ace_hardware h = {.chosen = 1, .n_gpus = 2, .device = cases[i].device};
        h.gpu[1].capability_major = cases[i].major;
        h.gpu[1].capability_minor = cases[i].minor;
        assert_int_equal(ace_hardware_has_flash_attention(&h), cases[i].has);
    }
}

static void this_machine_is_read(void **state)
{
    (void)state;
    ace_hardware h;
    ace_hardware_wishes w = {.device = "auto", .gpu = -1};
    ace_hardware_detect(&w, &h);
    assert_true(h.host_total_bytes > 0 && h.host_available_bytes <= h.host_total_bytes);
    assert_true(h.cpus >= 1 && h.n_gpus <= ACE_MAX_GPUS);
    assert_true(h.device_name[0] != '\0');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_simulate_a_card),
        cmocka_unit_test(other_texts_are_ignored_with_a_warning),
        cmocka_unit_test(variables_have_an_order),
        cmocka_unit_test(real_cards_count_as_their_nominal_size),
        cmocka_unit_test(simulated_sizes_are_not_rounded),
        cmocka_unit_test(a_real_card_is_capped),
        cmocka_unit_test(the_largest_card_is_taken),
        cmocka_unit_test(missing_devices_fall_through),
        cmocka_unit_test(words_choose_a_device),
        cmocka_unit_test(a_card_without_plugin_is_explained),
        cmocka_unit_test(an_old_card_is_passed_over),
        cmocka_unit_test(flash_attention_needs_capability_8),
        cmocka_unit_test(this_machine_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
