/* The resolver: defaults of every tier, who wins over whom, and every choice that does not work on
 * a card with its fallback and the id of its warning. */
#include "hardware/parts.h"
#include "plan/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const char *const published[] = {"acestep-5Hz-lm-0.6B", "acestep-5Hz-lm-1.7B",
                                        "acestep-5Hz-lm-4B"};

typedef struct outcome {
    ace_warnings warnings;
    ace_settings s;
} outcome;

/* Sources of everything the caller may give. */
static ace_wishes nothing_wished(void)
{
    return (ace_wishes){.thinking = ACE_SWITCH_OFF,
                        .lm_on_disk = published,
                        .n_lm_on_disk = 3,
                        .init_llm_source = ACE_VALUE_CALLER,
                        .offload_source = ACE_VALUE_CALLER,
                        .offload_dit_source = ACE_VALUE_CALLER,
                        .compile_source = ACE_VALUE_CALLER,
                        .flash_source = ACE_VALUE_CALLER,
                        .quantization_source = ACE_VALUE_CALLER,
                        .lm_model_source = ACE_VALUE_CALLER,
                        .backend_source = ACE_VALUE_CALLER,
                        .tier_source = ACE_VALUE_CALLER};
}

static outcome resolve_on(const char *gb, const char *device, ace_wishes w)
{
    ace_hardware h;
    ace_tier_table table;
    outcome o;
    memset(&h, 0, sizeof h);
    memset(&o, 0, sizeof o);
    ace_hardware_choose(&(ace_hardware_wishes){.device = device, .gpu = -1, .max_cuda_vram = gb},
                        &h);
    ace_tier_table_default(&table);
    ace_settings_resolve(&h, &table, &w, &o.warnings, &o.s);
    return o;
}

static outcome resolve(const char *gb, ace_wishes w)
{
    return resolve_on(gb, "auto", w);
}

static const ace_warning *find(const outcome *o, const char *id)
{
    for (int i = 0; i < o->warnings.count; i++) {
        if (strcmp(o->warnings.item[i].id, id) == 0) {
            return &o->warnings.item[i];
        }
    }
    return NULL;
}

static void assert_warned(const outcome *o, const char *id, const char *field, const char *asked,
                          const char *used)
{
    const ace_warning *w = find(o, id);
    assert_non_null(w);
    assert_string_equal(w->field, field);
    assert_string_equal(w->asked, asked);
    assert_string_equal(w->used, used);
    assert_true(w->reason[0] != '\0');
}

static void nobody_asked_so_the_tier_decides(void **state)
{
    (void)state;
    static const struct {
        const char *gb, *key, *lm;
        bool init_llm, int8;
        ace_lm_backend backend;
        ace_offload offload;
        int seconds, songs; /* without the language model */
    } cases[] = {
        {"4", "tier1", "", false, true, ACE_LM_PT, ACE_OFFLOAD_CPU_DIT, 360, 1},
        {"6", "tier2", "", false, true, ACE_LM_PT, ACE_OFFLOAD_CPU_DIT, 600, 1},
        {"7", "tier3", "acestep-5Hz-lm-0.6B", true, true, ACE_LM_PT, ACE_OFFLOAD_CPU_DIT, 600, 2},
        {"8", "tier4", "acestep-5Hz-lm-0.6B", true, true, ACE_LM_VLLM, ACE_OFFLOAD_CPU_DIT, 600, 4},
        {"12", "tier5", "acestep-5Hz-lm-1.7B", true, true, ACE_LM_VLLM, ACE_OFFLOAD_CPU, 600, 4},
        {"16", "tier6a", "acestep-5Hz-lm-1.7B", true, true, ACE_LM_VLLM, ACE_OFFLOAD_CPU, 600, 8},
        {"20", "tier6b", "acestep-5Hz-lm-1.7B", true, false, ACE_LM_VLLM, ACE_OFFLOAD_NONE, 480, 8},
        {"24", "unlimited", "acestep-5Hz-lm-4B", true, false, ACE_LM_VLLM, ACE_OFFLOAD_NONE, 600,
         8},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        outcome o = resolve(cases[i].gb, nothing_wished());
        assert_string_equal(o.s.tier.key, cases[i].key);
        assert_string_equal(o.s.lm_model, cases[i].lm);
        assert_int_equal(o.s.init_llm, cases[i].init_llm);
        assert_int_equal(o.s.int8, cases[i].int8);
        assert_int_equal(o.s.backend, cases[i].backend);
        assert_int_equal(o.s.offload, cases[i].offload);
        assert_int_equal((int)o.s.max_duration, cases[i].seconds);
        assert_int_equal(o.s.max_batch, cases[i].songs);
        assert_true(o.s.compile_model);
        assert_false(o.s.flash_attention || o.s.exact_limits || o.s.lm_runs);
        assert_false(o.s.int8_by_user || o.s.offload_by_user || o.s.int8_cache);
        assert_int_equal(o.warnings.count, 0);
        assert_int_equal(o.s.tier_source, ACE_VALUE_DETECTED);
        assert_int_equal(o.s.int8_source, ACE_VALUE_TABLE);
        assert_int_equal(o.s.offload_source, ACE_VALUE_TABLE);
    }
}

/* Unless the request says something, the language model runs where the tier starts it. */
static void thinking_is_the_tiers_choice(void **state)
{
    (void)state;
    static const struct {
        const char *gb;
        ace_switch thinking, init_llm;
        bool runs;
    } cases[] = {
        {"6", ACE_SWITCH_AUTO, ACE_SWITCH_AUTO, false},
        {"8", ACE_SWITCH_AUTO, ACE_SWITCH_AUTO, true},
        {"8", ACE_SWITCH_AUTO, ACE_SWITCH_OFF, false},
        {"8", ACE_SWITCH_OFF, ACE_SWITCH_ON, false},
        {"8", ACE_SWITCH_ON, ACE_SWITCH_OFF, false},
        {NULL, ACE_SWITCH_AUTO, ACE_SWITCH_AUTO, false},
        {NULL, ACE_SWITCH_ON, ACE_SWITCH_AUTO, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ace_wishes w = nothing_wished();
        w.thinking = cases[i].thinking;
        w.init_llm = cases[i].init_llm;
        outcome o = resolve(cases[i].gb, w);
        assert_int_equal(o.s.lm_runs, cases[i].runs);
        assert_int_equal(o.warnings.count, 0);
    }
    ace_wishes w = nothing_wished();
    w.thinking = ACE_SWITCH_ON; /* a small card says why not */
    outcome o = resolve("6", w);
    assert_false(o.s.lm_runs);
    assert_warned(&o, "W05", "init_llm", "true", "false");
}

static void limits_follow_the_language_model(void **state)
{
    (void)state;
    static const struct {
        const char *gb;
        int seconds, songs;
    } cases[] = {{"7", 480, 1},  {"8", 480, 2},  {"12", 480, 2},
                 {"16", 480, 4}, {"20", 480, 4}, {"24", 600, 8}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ace_wishes w = nothing_wished();
        w.thinking = ACE_SWITCH_ON;
        outcome o = resolve(cases[i].gb, w);
        assert_true(o.s.lm_runs);
        assert_int_equal((int)o.s.max_duration, cases[i].seconds);
        assert_int_equal(o.s.max_batch, cases[i].songs);
    }
    assert_int_equal(
        ace_settings_lm_duration_limit(&(ace_settings){.tier.max_duration_with_lm = 240}), 240);
    ace_wishes exact = nothing_wished();
    exact.limits = ACE_LIMITS_EXACT;
    outcome o = resolve("4", exact);
    assert_int_equal((int)o.s.max_duration, 600);
    assert_int_equal(o.s.max_batch, 8);
    assert_int_equal(ace_settings_lm_duration_limit(&o.s), 600);
}

static void a_bare_cpu_is_no_small_card(void **state)
{
    (void)state;
    outcome o = resolve(NULL, nothing_wished());
    assert_string_equal(o.s.tier.key, "tier1");
    assert_true(o.s.exact_limits);
    assert_false(o.s.int8);
    assert_int_equal((int)o.s.max_duration, 600);
    assert_int_equal(o.s.max_batch, 8);
    assert_int_equal(o.warnings.count, 0);
    ace_wishes w = nothing_wished();
    w.offload_to_cpu = ACE_SWITCH_OFF; /* nothing to offload, nothing to complain about */
    w.quantization = ACE_QUANTIZATION_NONE;
    assert_int_equal(resolve(NULL, w).warnings.count, 0);
    w = nothing_wished();
    w.limits = ACE_LIMITS_SEED;
    assert_int_equal((int)resolve(NULL, w).s.max_duration, 360);
    w = nothing_wished();
    w.tier = "tier3"; /* a named tier brings its limits */
    o = resolve(NULL, w);
    assert_false(o.s.exact_limits);
    assert_int_equal(o.s.max_batch, 2);
    o = resolve_on("8", "cpu", nothing_wished()); /* so does the variable */
    assert_false(o.s.exact_limits);
    assert_int_equal(o.s.max_batch, 4);
}

static void backends_fall_back(void **state)
{
    (void)state;
    static const char *const small[] = {"4", "6", "7"};
    ace_wishes w = nothing_wished();
    w.backend = "vllm";
    for (size_t i = 0; i < 3; i++) {
        outcome o = resolve(small[i], w);
        assert_warned(&o, "W01", "backend", "vllm", "pt");
        assert_int_equal(o.s.backend, ACE_LM_PT);
        assert_int_equal(o.s.backend_source, ACE_VALUE_FALLBACK);
    }
    outcome o = resolve("8", w);
    assert_int_equal(o.warnings.count, 0);
    assert_int_equal(o.s.backend_source, ACE_VALUE_CALLER);
    w.force_config = true;
    o = resolve("6", w);
    assert_null(find(&o, "W01"));
    assert_int_equal(o.s.backend, ACE_LM_VLLM);
    o = resolve(NULL, w); /* no card: force does not make one */
    assert_warned(&o, "W02", "backend", "vllm", "pt");
    w = nothing_wished();
    w.backend = "mlx";
    o = resolve("12", w);
    assert_warned(&o, "W03", "backend", "mlx", "pt");
    w.backend = "fast";
    o = resolve("12", w);
    assert_warned(&o, "W04", "backend", "fast", "vllm");
    w.backend = "pt";
    o = resolve("24", w);
    assert_int_equal(o.s.backend, ACE_LM_PT);
    assert_int_equal(o.warnings.count, 0);
}

static void small_cards_start_no_language_model(void **state)
{
    (void)state;
    ace_wishes w = nothing_wished();
    w.init_llm = ACE_SWITCH_ON;
    outcome o = resolve("6", w);
    assert_warned(&o, "W05", "init_llm", "true", "false");
    assert_false(o.s.init_llm);
    assert_int_equal(o.s.init_llm_source, ACE_VALUE_FALLBACK);
    w.force_config = true;
    o = resolve("6", w);
    assert_warned(&o, "W05", "init_llm", "true", "true");
    assert_true(o.s.init_llm);
    w.force_config = false;
    w.limits = ACE_LIMITS_EXACT;
    assert_true(resolve("4", w).s.init_llm);
    w = nothing_wished();
    w.init_llm = ACE_SWITCH_OFF;
    o = resolve("24", w);
    assert_false(o.s.init_llm);
    assert_int_equal(o.s.init_llm_source, ACE_VALUE_CALLER);
    assert_int_equal(o.warnings.count, 0);
}

static void language_models_fall_back(void **state)
{
    (void)state;
    ace_wishes w = nothing_wished();
    w.lm_model = "acestep-5Hz-lm-4B";
    outcome o = resolve("12", w);
    assert_warned(&o, "W06", "lm_model_path", "acestep-5Hz-lm-4B", "acestep-5Hz-lm-1.7B");
    assert_string_equal(o.s.lm_model, "acestep-5Hz-lm-1.7B");
    o = resolve("7", w);
    assert_warned(&o, "W06", "lm_model_path", "acestep-5Hz-lm-4B", "acestep-5Hz-lm-0.6B");
    o = resolve("20", w);
    assert_int_equal(o.warnings.count, 0);
    assert_int_equal(o.s.lm_size, ACE_LM_4B);
    w.force_config = true;
    o = resolve("12", w);
    assert_null(find(&o, "W06"));
    assert_string_equal(o.s.lm_model, "acestep-5Hz-lm-4B");
}

static void language_models_are_matched_on_disk(void **state)
{
    (void)state;
    static const char *const variants[] = {"acestep-5Hz-lm-0.6B-v3", "acestep-5Hz-lm-0.6B-v4-fix",
                                           "acestep-5Hz-lm-4B"};
    ace_wishes w = nothing_wished();
    w.lm_on_disk = variants;
    outcome o = resolve("8", w); /* not exactly the recommended one: the longest of its size */
    assert_string_equal(o.s.lm_model, "acestep-5Hz-lm-0.6B-v4-fix");
    o = resolve("12", w); /* no 1.7B: the first that the tier permits */
    assert_string_equal(o.s.lm_model, "acestep-5Hz-lm-0.6B-v3");
    w.lm_model = "acestep-5Hz-lm-0.6B";
    o = resolve("8", w);
    assert_warned(&o, "W07", "lm_model_path", "acestep-5Hz-lm-0.6B", "acestep-5Hz-lm-0.6B-v4-fix");
    assert_int_equal(o.s.lm_model_source, ACE_VALUE_FALLBACK);
    w.lm_model = "acestep-5Hz-lm-0.6B-v3";
    o = resolve("8", w);
    assert_int_equal(o.warnings.count, 0);
    assert_int_equal(o.s.lm_model_source, ACE_VALUE_CALLER);
    w.lm_model = NULL;
    w.init_llm = ACE_SWITCH_ON;
    w.n_lm_on_disk = 0;
    o = resolve("8", w);
    assert_warned(&o, "W07", "init_llm", "true", "false");
    assert_false(o.s.init_llm);
    w.init_llm = ACE_SWITCH_AUTO; /* nobody asked for one: nothing to complain about */
    assert_int_equal(resolve("8", w).warnings.count, 0);
}

static void int8_and_offloading_are_mandatory_on_small_cards(void **state)
{
    (void)state;
    static const char *const small[] = {"4", "6"};
    ace_wishes w = nothing_wished();
    w.quantization = ACE_QUANTIZATION_NONE;
    w.offload_to_cpu = ACE_SWITCH_OFF;
    for (size_t i = 0; i < 2; i++) {
        outcome o = resolve(small[i], w);
        assert_warned(&o, "W09", "quantization", "none", "int8_weight_only");
        assert_warned(&o, "W10", "offload_to_cpu", "false", "true");
        assert_true(o.s.int8);
        assert_int_equal(o.s.offload, ACE_OFFLOAD_CPU_DIT);
        assert_false(o.s.int8_by_user || o.s.offload_by_user);
        assert_int_equal(o.s.int8_source, ACE_VALUE_FALLBACK);
    }
    for (int free_way = 0; free_way < 2; free_way++) {
        w.force_config = free_way == 0;
        w.limits = free_way == 1 ? ACE_LIMITS_EXACT : ACE_LIMITS_AUTO;
        outcome o = resolve("4", w);
        assert_int_equal(o.warnings.count, 0);
        assert_false(o.s.int8);
        assert_int_equal(o.s.offload, ACE_OFFLOAD_NONE);
        assert_true(o.s.int8_by_user && o.s.offload_by_user);
    }
    w = nothing_wished();
    w.offload_dit_to_cpu = ACE_SWITCH_OFF;
    outcome o = resolve("6", w);
    assert_warned(&o, "W10", "offload_dit_to_cpu", "false", "true");
    assert_int_equal(o.s.offload, ACE_OFFLOAD_CPU_DIT);
}

static void elsewhere_the_planner_decides(void **state)
{
    (void)state;
    static const char *const middle[] = {"7", "8", "12", "16"};
    ace_wishes w = nothing_wished();
    w.quantization = ACE_QUANTIZATION_NONE;
    w.offload_to_cpu = ACE_SWITCH_OFF;
    for (size_t i = 0; i < 4; i++) {
        outcome o = resolve(middle[i], w);
        assert_int_equal(o.warnings.count, 0);
        assert_false(o.s.int8);
        assert_int_equal(o.s.offload, ACE_OFFLOAD_NONE);
        assert_true(o.s.int8_by_user && o.s.offload_by_user);
        assert_int_equal(o.s.int8_source, ACE_VALUE_CALLER);
        assert_int_equal(o.s.offload_source, ACE_VALUE_CALLER);
    }
    outcome o = resolve("24", w); /* the tier says the same */
    assert_false(o.s.int8_by_user || o.s.offload_by_user);
    w.quantization = ACE_QUANTIZATION_INT8;
    w.offload_to_cpu = ACE_SWITCH_ON;
    o = resolve("24", w);
    assert_true(o.s.int8);
    assert_int_equal(o.s.offload, ACE_OFFLOAD_CPU);
    assert_int_equal(o.warnings.count, 0);
}

static void other_choices_fall_back(void **state)
{
    (void)state;
    ace_wishes w = nothing_wished();
    w.compile_model = ACE_SWITCH_OFF;
    outcome o = resolve("8", w);
    assert_warned(&o, "W11", "compile_model", "false", "true");
    assert_true(o.s.compile_model);
    o = resolve("24", w); /* without INT8 it may be off */
    assert_false(o.s.compile_model);
    assert_int_equal(o.warnings.count, 0);
    w = nothing_wished();
    w.offload_dit_to_cpu = ACE_SWITCH_ON;
    o = resolve("24", w);
    assert_warned(&o, "W12", "offload_dit_to_cpu", "true", "false");
    assert_int_equal(o.s.offload, ACE_OFFLOAD_NONE);
    w = nothing_wished();
    w.flash_attention = ACE_SWITCH_ON;
    o = resolve("24", w);
    assert_warned(&o, "W13", "use_flash_attention", "true", "tiled");
    assert_false(o.s.flash_attention);
    w = nothing_wished();
    w.tier = "tier9";
    o = resolve("8", w);
    assert_non_null(find(&o, "W00"));
    assert_string_equal(o.s.tier.key, "tier4");
}

static void a_named_tier_changes_the_defaults_only(void **state)
{
    (void)state;
    ace_wishes w = nothing_wished();
    w.tier = "tier1";
    outcome o = resolve("24", w);
    assert_string_equal(o.s.tier.key, "tier1");
    assert_int_equal(o.s.tier_source, ACE_VALUE_CALLER);
    assert_true(o.s.gb > 23.9); /* the memory stays what it is */
    assert_int_equal((int)o.s.max_duration, 360);
    assert_false(o.s.init_llm);
}

static void sources_are_told(void **state)
{
    (void)state;
    ace_hardware h;
    ace_tier_table table;
    ace_settings s;
    ace_warnings warnings = {.count = 0};
    static const char json[] = "{\"tier4\": {\"max_batch_size_without_lm\": 3}}";
    ace_wishes w = nothing_wished();
    w.backend = "pt";
    w.backend_source = ACE_VALUE_ENVIRONMENT;
    w.quantization = ACE_QUANTIZATION_NONE;
    w.quantization_source = ACE_VALUE_CONFIG;
    w.kv_cache = ACE_KV_CACHE_INT8;
    w.kv_cache_source = ACE_VALUE_ENVIRONMENT;
    memset(&h, 0, sizeof h);
    ace_hardware_choose(&(ace_hardware_wishes){.gpu = -1, .max_cuda_vram = "8"}, &h);
    ace_tier_table_default(&table);
    assert_int_equal(ace_tier_table_parse(&table, json, sizeof json - 1, "f", NULL), ACESTEP_OK);
    ace_settings_resolve(&h, &table, &w, &warnings, &s);
    assert_int_equal(s.max_batch, 3);
    assert_int_equal(s.init_llm_source, ACE_VALUE_TIER_FILE);
    assert_int_equal(s.offload_source, ACE_VALUE_TIER_FILE);
    assert_int_equal(s.backend_source, ACE_VALUE_ENVIRONMENT);
    assert_int_equal(s.int8_source, ACE_VALUE_CONFIG);
    assert_int_equal(s.flash_source, ACE_VALUE_DETECTED);
    assert_int_equal(s.kv_cache_source, ACE_VALUE_ENVIRONMENT);
    assert_true(s.int8_cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_asked_so_the_tier_decides),
        cmocka_unit_test(thinking_is_the_tiers_choice),
        cmocka_unit_test(limits_follow_the_language_model),
        cmocka_unit_test(a_bare_cpu_is_no_small_card),
        cmocka_unit_test(backends_fall_back),
        cmocka_unit_test(small_cards_start_no_language_model),
        cmocka_unit_test(language_models_fall_back),
        cmocka_unit_test(language_models_are_matched_on_disk),
        cmocka_unit_test(int8_and_offloading_are_mandatory_on_small_cards),
        cmocka_unit_test(elsewhere_the_planner_decides),
        cmocka_unit_test(other_choices_fall_back),
        cmocka_unit_test(a_named_tier_changes_the_defaults_only),
        cmocka_unit_test(sources_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
