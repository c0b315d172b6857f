/* Tiers, detection and the resolver: boundaries, the editable table, precedence, and every choice
 * that cannot be kept with its number (gpu.md 1 to 3). */
#include "base/log.h"
#include "plan/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const disk[] = {"acestep-5Hz-lm-0.6B", "acestep-5Hz-lm-0.6B-v4-fix",
                                   "acestep-5Hz-lm-1.7B", "acestep-5Hz-lm-4B"};

typedef struct resolved {
    ace_settings settings;
    ace_warnings warnings;
} resolved;

static ace_hardware card(double gb)
{
    ace_hardware h;
    memset(&h, 0, sizeof h);
    h.device = gb > 0 ? ACE_DEVICE_SIM : ACE_DEVICE_CPU;
    h.gb = gb;
    h.simulated = gb > 0;
    return h;
}

static ace_wishes all_on_disk(void)
{
    return (ace_wishes){.lm_on_disk = disk, .n_lm_on_disk = 4};
}

static resolved resolve(double gb, const ace_wishes *wishes)
{
    resolved r;
    ace_tier_table tiers;
    ace_hardware h = card(gb);
    memset(&r, 0, sizeof r);
    ace_tier_table_default(&tiers);
    ace_settings_resolve(&h, &tiers, wishes, &r.warnings, &r.settings);
    for (int i = 0; i < r.warnings.count; i++) {
        assert_true(r.warnings.item[i].reason[0] != '\0');
    }
    return r;
}

/* ---- tiers ---------------------------------------------------------------------------------------- */

static void boundaries(void **state)
{
    (void)state;
    static const double gb[] = {-1,    0,    0.5,  4,     4.01, 6,     6.01,  7.99,    8,  8.01,
                                11.99, 12,   15.49, 15.5, 16,   19.99, 20,    23.99,   24, 48};
    static const int tier[] = {0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 3, 4, 4, 5, 5, 5, 6, 6, 7, 7};
    for (size_t i = 0; i < sizeof gb / sizeof *gb; i++) {
        assert_int_equal(ace_tier_of_gb(gb[i]), tier[i]);
    }
    assert_int_equal(ace_tier_find("tier6"), 6);
    assert_int_equal(ace_tier_find("unlimited"), 7);
    assert_int_equal(ace_tier_find("tier9"), -1);
}

static ace_status parse(ace_tier_table *tiers, const char *json, ace_error *err)
{
    return ace_tier_table_parse(tiers, json, strlen(json), "tiers.json", err);
}

static void the_table_can_be_edited(void **state)
{
    (void)state;
    ace_tier_table tiers;
    ace_error err = {.code = ACESTEP_OK};
    ace_tier_table_default(&tiers);
    assert_int_equal(parse(&tiers, "{\"tier4\": {\"max_batch_size_with_lm\": 3}}", &err),
                     ACESTEP_OK);
    assert_int_equal(tiers.row[3].max_batch_with_lm, 3);
    assert_true(tiers.from_file[3]);
    assert_false(tiers.from_file[4]);
    static const char *const wrong[] = {
        "",
        "[]",
        "{\"tier4\": 3}",
        "{\"tier44\": {}}",
        "{\"tier4\": {\"max_batch_size_with_lm\": 0}}",
        "{\"tier4\": {\"max_batch_size_with_lm\": \"3\"}}",
        "{\"tier4\": {\"max_duration_with_lm\": 1e9}}",
        "{\"tier4\": {\"recommended_backend\": \"fast\"}}",
        "{\"tier4\": {\"available_lm_models\": [\"9B\"]}}",
        "{\"tier4\": {\"nonsense\": 1}}",
        "{\"tier4\": {\"max_batch_size_with_lm\": 3}",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        ace_tier_table before = tiers;
        assert_int_not_equal(parse(&tiers, wrong[i], &err), ACESTEP_OK);
        assert_non_null(strstr(err.message, "tiers.json"));
        assert_memory_equal(&before, &tiers, sizeof tiers);
    }
}

/* ---- detection -------------------------------------------------------------------------------------- */

static ace_hardware detect(ace_hardware_wishes wishes)
{
    ace_hardware h;
    ace_hardware_detect(&wishes, &h);
    return h;
}

static void simulated_cards(void **state)
{
    (void)state;
    ace_hardware h = detect((ace_hardware_wishes){.gpu = -1, .max_cuda_vram = "8"});
    assert_int_equal(h.device, ACE_DEVICE_SIM);
    assert_true(h.simulated && h.gb == 8);
    assert_int_equal(h.cap_bytes, (uint64_t)(7.5 * 1073741824.0));
    assert_string_equal(h.variable, "MAX_CUDA_VRAM");
    h = detect((ace_hardware_wishes){.gpu = -1, .max_cuda_vram = "-3"});
    assert_true(h.simulated && h.gb == 0);
    assert_int_equal(h.cap_bytes, (uint64_t)1 << 29);
    h = detect((ace_hardware_wishes){.gpu = -1, .max_cuda_vram = "8 GB", .max_mps_vram = "6"});
    assert_true(h.gb == 6);
    assert_string_equal(h.variable, "MAX_MPS_VRAM");
    assert_non_null(strstr(h.warning, "MAX_CUDA_VRAM"));
    h = detect((ace_hardware_wishes){.gpu = -1, .max_cuda_vram = "nan"});
    assert_false(h.simulated);
    h = detect((ace_hardware_wishes){.gpu = -1, .device = "cpu", .max_cuda_vram = "8"});
    assert_int_equal(h.device, ACE_DEVICE_CPU);
    assert_true(h.gb == 8);
    h = detect((ace_hardware_wishes){.gpu = -1, .device = "mps", .max_cuda_vram = "8"});
    assert_string_equal(h.wanted, "mps");
    assert_int_equal(h.device, ACE_DEVICE_SIM);
    h = detect((ace_hardware_wishes){.gpu = -1, .device = "sim"});
    assert_int_equal(h.device, ACE_DEVICE_SIM);
    assert_true(h.gb > 0);
}

static void a_machine_without_a_card(void **state)
{
    (void)state;
    ace_hardware h = detect((ace_hardware_wishes){.gpu = -1});
    assert_int_equal(h.device, ACE_DEVICE_CPU); /* there is no plug-in in this test */
    assert_true(h.host_total_bytes > 0 && h.host_available_bytes > 0 && h.cpus > 0);
    assert_true(h.n_diagnoses > 0);
    assert_true(h.gb == 0);
}

/* ---- what cannot be kept ------------------------------------------------------------------------------ */

static void defaults_bring_no_warnings(void **state)
{
    (void)state;
    static const double gb[] = {0, 4, 6, 7, 8, 12, 16, 20, 24};
    for (size_t i = 0; i < sizeof gb / sizeof *gb; i++) {
        ace_wishes w = all_on_disk();
        resolved r = resolve(gb[i], &w);
        assert_int_equal(r.warnings.count, 0);
        assert_int_equal(r.settings.init_llm, gb[i] > 6);
    }
}

static void language_models(void **state)
{
    (void)state;
    ace_wishes w = all_on_disk();
    w.init_llm = ACE_SWITCH_ON;
    resolved r = resolve(6, &w);
    assert_true(ace_warned(&r.warnings, "W05"));
    assert_false(r.settings.init_llm);
    w.force_config = true;
    r = resolve(6, &w);
    assert_true(ace_warned(&r.warnings, "W05"));
    assert_true(r.settings.init_llm);
    w.force_config = false;

    w.lm_model = "acestep-5Hz-lm-4B";
    r = resolve(8, &w);
    assert_true(ace_warned(&r.warnings, "W06"));
    assert_string_equal(r.settings.lm_model, "acestep-5Hz-lm-0.6B");
    r = resolve(20, &w);
    assert_int_equal(r.warnings.count, 0);
    assert_string_equal(r.settings.lm_model, "acestep-5Hz-lm-4B");

    w.lm_model = "acestep-5Hz-lm-0.6B-v9";
    r = resolve(8, &w); /* the longest name of the same size */
    assert_string_equal(r.settings.lm_model, "acestep-5Hz-lm-0.6B-v4-fix");

    w.lm_model = NULL;
    w.n_lm_on_disk = 0;
    r = resolve(8, &w);
    assert_true(ace_warned(&r.warnings, "W07"));
    assert_false(r.settings.init_llm);
}

static void backends(void **state)
{
    (void)state;
    static const struct {
        double gb;
        const char *asked, *id;
        ace_lm_backend used;
    } rows[] = {
        {6, "vllm", "W01", ACE_LM_PT},  {7, "vllm", "W01", ACE_LM_PT}, {8, "vllm", "", ACE_LM_VLLM},
        {0, "vllm", "W02", ACE_LM_PT},  {12, "mlx", "W03", ACE_LM_PT}, {12, "x", "W04", ACE_LM_VLLM},
        {24, "pt", "", ACE_LM_PT},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ace_wishes w = all_on_disk();
        w.backend = rows[i].asked;
        resolved r = resolve(rows[i].gb, &w);
        assert_int_equal(r.settings.backend, rows[i].used);
        assert_int_equal(r.warnings.count, rows[i].id[0] != '\0');
        assert_true(rows[i].id[0] == '\0' || ace_warned(&r.warnings, rows[i].id));
    }
}

static void memory_switches(void **state)
{
    (void)state;
    ace_wishes w = all_on_disk();
    w.quantization = ACE_QUANTIZATION_NONE;
    w.offload_to_cpu = ACE_SWITCH_OFF;
    resolved r = resolve(4, &w);
    assert_true(ace_warned(&r.warnings, "W09") && ace_warned(&r.warnings, "W10"));
    assert_true(r.settings.int8 && r.settings.offload == ACE_OFFLOAD_CPU_DIT);
    r = resolve(8, &w); /* the planner decides */
    assert_int_equal(r.warnings.count, 0);
    assert_true(r.settings.int8_by_user && r.settings.offload_by_user);
    assert_false(r.settings.int8);
    w.limits = ACE_LIMITS_EXACT;
    r = resolve(4, &w);
    assert_int_equal(r.warnings.count, 0);
    assert_true(r.settings.max_duration == 600 && r.settings.max_batch == 8);

    w = all_on_disk();
    w.compile_model = ACE_SWITCH_OFF;
    r = resolve(8, &w);
    assert_true(ace_warned(&r.warnings, "W11") && r.settings.compile_model);
    r = resolve(24, &w);
    assert_false(r.settings.compile_model);

    w = all_on_disk();
    w.offload_dit_to_cpu = ACE_SWITCH_ON;
    r = resolve(24, &w);
    assert_true(ace_warned(&r.warnings, "W12"));
    assert_int_equal(r.settings.offload, ACE_OFFLOAD_NONE);

    w = all_on_disk();
    w.flash_attention = ACE_SWITCH_ON;
    r = resolve(8, &w);
    assert_true(ace_warned(&r.warnings, "W13"));
    assert_false(r.settings.flash_attention);
}

static void limits_follow_the_language_model(void **state)
{
    (void)state;
    ace_wishes w = all_on_disk();
    resolved r = resolve(8, &w);
    assert_true(r.settings.max_duration == 600 && r.settings.max_batch == 4);
    w.thinking = true;
    r = resolve(8, &w);
    assert_true(r.settings.lm_runs);
    assert_true(r.settings.max_duration == 480 && r.settings.max_batch == 2);
    r = resolve(4, &w);
    assert_false(r.settings.lm_runs);
    assert_true(r.settings.max_duration == 360);
    assert_int_equal(ace_settings_lm_duration_limit(&r.settings), 240);
}

static void sources(void **state)
{
    (void)state;
    ace_wishes w = all_on_disk();
    w.quantization = ACE_QUANTIZATION_NONE;
    w.quantization_source = ACE_VALUE_ENVIRONMENT;
    w.tier = "tier5";
    w.tier_source = ACE_VALUE_CALLER;
    resolved r = resolve(8, &w);
    assert_string_equal(r.settings.tier.key, "tier5");
    assert_true(r.settings.gb == 8);
    assert_int_equal(r.settings.tier_source, ACE_VALUE_CALLER);
    assert_int_equal(r.settings.int8_source, ACE_VALUE_ENVIRONMENT);
    assert_int_equal(r.settings.offload_source, ACE_VALUE_TABLE);
    w.tier = "huge";
    r = resolve(8, &w);
    assert_string_equal(r.settings.tier.key, "tier4");
    assert_int_equal(r.settings.tier_source, ACE_VALUE_DETECTED);
    assert_int_equal(r.warnings.count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(boundaries),
        cmocka_unit_test(the_table_can_be_edited),
        cmocka_unit_test(simulated_cards),
        cmocka_unit_test(a_machine_without_a_card),
        cmocka_unit_test(defaults_bring_no_warnings),
        cmocka_unit_test(language_models),
        cmocka_unit_test(backends),
        cmocka_unit_test(memory_switches),
        cmocka_unit_test(limits_follow_the_language_model),
        cmocka_unit_test(sources),
    };
    ace_log_set_level(ACE_LOG_QUIET);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
