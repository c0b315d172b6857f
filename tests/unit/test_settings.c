/* The resolver where nothing is wrong: defaults, limits, sources. Choices that cannot be kept are in
 * test_settings_choices.c. */
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
        cmocka_unit_test(defaults_bring_no_warnings),
        cmocka_unit_test(limits_follow_the_language_model),
        cmocka_unit_test(sources),
    };
    ace_log_set_level(ACE_LOG_QUIET);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
