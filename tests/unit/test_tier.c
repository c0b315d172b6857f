/* The table of tiers: the guide's numbers, its boundaries, and rows changed by gpu_tiers.json. */
#include "base/memory.h"
#include "plan/tier.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void sizes_fall_into_their_tiers(void **state)
{
    (void)state;
    static const struct {
        double gb;
        const char *key;
    } cases[] = {
        {-1, "tier1"},     {0, "tier1"},        {0.5, "tier1"},    {4, "tier1"},
        {4.01, "tier2"},   {6, "tier2"},        {6.01, "tier3"},   {7, "tier3"},
        {7.99, "tier3"},   {8, "tier4"},        {8.01, "tier4"},   {11.99, "tier4"},
        {12, "tier5"},     {15.49, "tier5"},    {15.5, "tier6a"},  {16, "tier6a"},
        {19.99, "tier6a"}, {20, "tier6b"},      {23.99, "tier6b"}, {24, "unlimited"},
        {48, "unlimited"}, {1024, "unlimited"},
    };
    ace_tier_table table;
    ace_tier_table_default(&table);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_string_equal(table.row[ace_tier_of_gb(cases[i].gb)].key, cases[i].key);
    }
}

/* Copied by hand from the guide's table, not from tier.c. */
typedef struct guide_row {
    const char *key;
    bool lm_06b, lm_17b, lm_4b;
    int recommended; /* -1: none */
    const char *backend;
    double minutes_with_lm, minutes_without_lm;
    int songs_with_lm, songs_without_lm;
    const char *offload;
    bool int8;
} guide_row;

static const guide_row guide[ACE_TIERS] = {
    {"tier1", false, false, false, -1, "pt", 4, 6, 1, 1, "CPU + DiT", true},
    {"tier2", false, false, false, -1, "pt", 8, 10, 1, 1, "CPU + DiT", true},
    {"tier3", true, false, false, ACE_LM_06B, "pt", 8, 10, 1, 2, "CPU + DiT", true},
    {"tier4", true, false, false, ACE_LM_06B, "vllm", 8, 10, 2, 4, "CPU + DiT", true},
    {"tier5", true, true, false, ACE_LM_17B, "vllm", 8, 10, 2, 4, "CPU", true},
    {"tier6a", true, true, false, ACE_LM_17B, "vllm", 8, 10, 4, 8, "CPU", true},
    {"tier6b", true, true, true, ACE_LM_17B, "vllm", 8, 8, 4, 8, "None", false},
    {"unlimited", true, true, true, ACE_LM_4B, "vllm", 10, 10, 8, 8, "None", false},
};

static void rows_are_those_of_the_guide(void **state)
{
    (void)state;
    ace_tier_table table;
    ace_tier_table_default(&table);
    for (int i = 0; i < ACE_TIERS; i++) {
        const ace_tier *row = &table.row[i];
        const guide_row *g = &guide[i];
        bool offers_lm = g->recommended >= 0;
        assert_string_equal(row->key, g->key);
        assert_int_equal(strncmp(row->label, g->key, strlen(g->key)), 0);
        assert_int_equal(row->available_lm[ACE_LM_06B], g->lm_06b);
        assert_int_equal(row->available_lm[ACE_LM_17B], g->lm_17b);
        assert_int_equal(row->available_lm[ACE_LM_4B], g->lm_4b);
        assert_int_equal(row->recommended_lm, g->recommended);
        assert_string_equal(ace_lm_backend_name(row->recommended_backend), g->backend);
        assert_int_equal(row->vllm_allowed, strcmp(g->backend, "vllm") == 0);
        assert_int_equal((int)row->max_duration_with_lm, (int)(60 * g->minutes_with_lm));
        assert_int_equal((int)row->max_duration_without_lm, (int)(60 * g->minutes_without_lm));
        assert_int_equal(row->max_batch_with_lm, g->songs_with_lm);
        assert_int_equal(row->max_batch_without_lm, g->songs_without_lm);
        assert_int_equal(row->offload_to_cpu_default, strcmp(g->offload, "None") != 0);
        assert_int_equal(row->offload_dit_to_cpu_default, strcmp(g->offload, "CPU + DiT") == 0);
        assert_int_equal(row->quantization_default, g->int8);
        assert_int_equal(row->init_lm_default, offers_lm);
        assert_true(row->compile_model_default);
        assert_false(table.from_file[i]);
        assert_int_equal((int)row->lm_memory_gb[ACE_LM_06B], g->lm_06b ? 3 : 0);
        assert_int_equal((int)row->lm_memory_gb[ACE_LM_17B], g->lm_17b ? 8 : 0);
        assert_int_equal((int)row->lm_memory_gb[ACE_LM_4B], g->lm_4b ? 12 : 0);
    }
}

static void names_are_found(void **state)
{
    (void)state;
    assert_int_equal(ace_tier_find("tier1"), 0);
    assert_int_equal(ace_tier_find("tier6"), ace_tier_find("tier6b"));
    assert_int_equal(ace_tier_find("tier3 (6-8GB)"), 2);
    assert_int_equal(ace_tier_find("unlimited"), 7);
    assert_int_equal(ace_tier_find("tier9"), -1);
    assert_int_equal(ace_tier_find(""), -1);
    assert_int_equal(ace_lm_size_of("acestep-5Hz-lm-1.7B"), ACE_LM_17B);
    assert_int_equal(ace_lm_size_of("acestep-5Hz-lm-4B-v2"), ACE_LM_4B);
    assert_int_equal(ace_lm_size_of("acestep-5Hz-lm"), ACE_LM_06B);
    ace_lm_size size = ACE_LM_4B;
    assert_false(ace_lm_size_parse("acestep-5Hz-lm", &size));
    assert_int_equal(size, ACE_LM_4B);
}

static ace_status parse(ace_tier_table *table, const char *json, ace_error *err)
{
    *err = (ace_error){.code = ACESTEP_OK};
    return ace_tier_table_parse(table, json, strlen(json), "tiers.json", err);
}

static void a_file_changes_what_it_names(void **state)
{
    (void)state;
    ace_tier_table table;
    ace_tier_table before;
    ace_error err;
    ace_tier_table_default(&table);
    before = table;
    assert_int_equal(parse(&table,
                           "{\"tier4\": {\"max_batch_size_with_lm\": 3, \"lm_memory_gb\": "
                           "{\"0.6B\": 2.5}}, \"tier6\": {\"max_duration_without_lm\": 600}}",
                           &err),
                     ACESTEP_OK);
    assert_int_equal(table.row[3].max_batch_with_lm, 3);
    assert_true(table.row[3].lm_memory_gb[ACE_LM_06B] > 2.4);
    assert_true(table.row[3].lm_memory_gb[ACE_LM_06B] < 2.6);
    assert_int_equal((int)table.row[6].max_duration_without_lm, 600);
    for (int i = 0; i < ACE_TIERS; i++) {
        assert_int_equal(table.from_file[i], i == 3 || i == 6);
        if (!table.from_file[i]) {
            assert_memory_equal(&table.row[i], &before.row[i], sizeof before.row[i]);
        }
    }
    assert_int_equal(table.row[3].max_batch_without_lm, before.row[3].max_batch_without_lm);
}

static void every_key_of_a_row_is_read(void **state)
{
    (void)state;
    ace_tier_table table;
    ace_error err;
    ace_tier_table_default(&table);
    assert_int_equal(
        parse(&table,
              "{\"tier1\": {\"max_duration_with_lm\": 11, \"max_duration_without_lm\": 12.5,"
              "\"max_batch_size_with_lm\": 2, \"max_batch_size_without_lm\": 5,"
              "\"init_lm_default\": true, \"recommended_lm_model\": \"acestep-5Hz-lm-1.7B\","
              "\"available_lm_models\": [\"0.6B\", \"1.7B\"], \"lm_memory_gb\": {\"1.7B\": 4},"
              "\"lm_backend_restriction\": \"all\", \"recommended_backend\": \"vllm\","
              "\"offload_to_cpu_default\": false, \"offload_dit_to_cpu_default\": false,"
              "\"quantization_default\": null, \"compile_model_default\": false,"
              "\"label\": \"mine\"}}",
              &err),
        ACESTEP_OK);
    const ace_tier *row = &table.row[0];
    assert_int_equal((int)row->max_duration_with_lm, 11);
    assert_int_equal((int)(10 * row->max_duration_without_lm), 125);
    assert_int_equal(row->max_batch_with_lm, 2);
    assert_int_equal(row->max_batch_without_lm, 5);
    assert_true(row->init_lm_default && row->vllm_allowed);
    assert_true(row->available_lm[ACE_LM_06B] && row->available_lm[ACE_LM_17B]);
    assert_false(row->available_lm[ACE_LM_4B]);
    assert_int_equal(row->recommended_lm, ACE_LM_17B);
    assert_int_equal((int)row->lm_memory_gb[ACE_LM_17B], 4);
    assert_int_equal(row->recommended_backend, ACE_LM_VLLM);
    assert_false(row->offload_to_cpu_default || row->offload_dit_to_cpu_default);
    assert_false(row->quantization_default || row->compile_model_default);
    assert_string_equal(row->label, "mine");
    assert_int_equal(parse(&table, "{\"tier7\": {}}", &err), ACESTEP_ARGUMENT);
}

static void damaged_files_change_nothing(void **state)
{
    (void)state;
    /* the text, and what the message has to name */
    static const char *const bad[][2] = {
        {"", "line 1"},
        {"[]", "tier1"},
        {"{\"tier4\": 3}", "tier4"},
        {"{\"tier4\": {\"max_batch\": 3}}", "max_batch"},
        {"{\"tier9\": {}}", "tier9"},
        {"{\"tier4\": {\"max_batch_size_with_lm\": 0}}", "max_batch_size_with_lm"},
        {"{\"tier4\": {\"max_batch_size_with_lm\": 9}}", "max_batch_size_with_lm"},
        {"{\"tier4\": {\"max_batch_size_with_lm\": 2.5}}", "max_batch_size_with_lm"},
        {"{\"tier4\": {\"max_batch_size_with_lm\": \"3\"}}", "max_batch_size_with_lm"},
        {"{\"tier4\": {\"max_duration_with_lm\": 601}}", "max_duration_with_lm"},
        {"{\"tier4\": {\"max_duration_with_lm\": 9}}", "max_duration_with_lm"},
        {"{\"tier4\": {\"init_lm_default\": 1}}", "init_lm_default"},
        {"{\"tier1\": {\"init_lm_default\": true}}", "init_lm_default"},
        {"{\"tier4\": {\"recommended_lm_model\": \"4B\"}}", "recommended_lm_model"},
        {"{\"tier4\": {\"recommended_lm_model\": \"7B\"}}", "recommended_lm_model"},
        {"{\"tier4\": {\"available_lm_models\": [\"9B\"]}}", "available_lm_models"},
        {"{\"tier4\": {\"lm_memory_gb\": {\"0.6B\": 0}}}", "lm_memory_gb"},
        {"{\"tier4\": {\"lm_memory_gb\": []}}", "lm_memory_gb"},
        {"{\"tier1\": {\"recommended_backend\": \"vllm\"}}", "recommended_backend"},
        {"{\"tier4\": {\"recommended_backend\": \"fast\"}}", "recommended_backend"},
        {"{\"tier4\": {\"lm_backend_restriction\": \"some\"}}", "lm_backend_restriction"},
        {"{\"tier4\": {\"quantization_default\": \"int3\"}}", "quantization_default"},
        {"{\"tier4\": {\"compile_model_default\": false}}", "compile_model_default"},
        {"{\"tier6b\": {\"offload_dit_to_cpu_default\": true}}", "offload_dit_to_cpu_default"},
        {"{\"tier4\": {\"label\": \"\"}}", "label"},
        {"{\"tier4\": {\"max_batch_size_with_lm\": 3}, \"tier5\": {\"x\": 1}}", "tier5"},
        {"{\"tier6\": {}, \"tier6b\": {}}", "tier6b"},
        {"{\"tier4\": {}, \"tier4\": {}}", "line 1"},
    };
    ace_tier_table before;
    ace_tier_table_default(&before);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ace_tier_table table = before;
        ace_error err;
        assert_int_equal(parse(&table, bad[i][0], &err), ACESTEP_ARGUMENT);
        assert_non_null(strstr(err.message, "tiers.json"));
        assert_non_null(strstr(err.message, bad[i][1]));
        assert_memory_equal(&table, &before, sizeof table);
    }
}

static void a_file_is_loaded_or_named(void **state)
{
    (void)state;
    ace_tier_table table;
    ace_error err = {.code = ACESTEP_OK};
    uint64_t live = ace_memory_live();
    char path[] = "/tmp/acestep-gpu-tiers-XXXXXX";
    static const char text[] = "{\"tier4\": {\"max_batch_size_with_lm\": 3}}";
    int file = mkstemp(path);
    assert_true(file >= 0);
    assert_int_equal(write(file, text, sizeof text - 1), (int)(sizeof text - 1));
    assert_int_equal(close(file), 0);
    assert_int_equal(ace_tier_table_load(path, &table, &err), ACESTEP_OK);
    assert_int_equal(table.row[3].max_batch_with_lm, 3);
    assert_int_equal(unlink(path), 0);
    assert_int_not_equal(ace_tier_table_load(path, &table, &err), ACESTEP_OK);
    assert_non_null(strstr(err.message, path));
    assert_int_equal(ace_tier_table_load("", &table, NULL), ACESTEP_OK);
    assert_int_equal(table.row[3].max_batch_with_lm, 2);
    assert_int_equal(ace_memory_live(), live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_fall_into_their_tiers),
        cmocka_unit_test(rows_are_those_of_the_guide),
        cmocka_unit_test(names_are_found),
        cmocka_unit_test(a_file_changes_what_it_names),
        cmocka_unit_test(every_key_of_a_row_is_read),
        cmocka_unit_test(damaged_files_change_nothing),
        cmocka_unit_test(a_file_is_loaded_or_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
