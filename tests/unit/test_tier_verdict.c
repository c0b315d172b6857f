/* The tier test's judgement: classes of rows, boundaries and batches, from made-up rows. */
#include "api/profile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static ace_tier_row good_row(double gb)
{
    ace_tier_row row = {.gb = gb,
                        .batch = 1,
                        .n_songs = 1,
                        .opened = true,
                        .ran = true,
                        .is_sound = true,
                        .cap_bytes = 1000,
                        .planned_bytes = 900,
                        .peak_bytes = 900,
                        .plan = {.device_batch = 1}};
    ace_tier_table tiers;
    ace_tier_table_default(&tiers);
    row.tier = tiers.row[ace_tier_of_gb(gb)];
    return row;
}

static ace_tier_class judged(ace_tier_row row)
{
    ace_tier_row_judge(&row);
    assert_true(ace_tier_row_passed(&row) == (row.error[0] == '\0'));
    return row.verdict;
}

static void a_row_passes_only_when_everything_holds(void **state)
{
    (void)state;
    ace_tier_row row = good_row(8);
    assert_int_equal(judged(row), ACE_CLASS_PASS);
    row.peak_bytes = row.planned_bytes = row.cap_bytes;
    assert_int_equal(judged(row), ACE_CLASS_PASS);
    row.peak_bytes = row.planned_bytes = row.cap_bytes + 1;
    assert_int_equal(judged(row), ACE_CLASS_FAIL_OOM);
    row = good_row(8);
    row.peak_bytes--;
    assert_int_equal(judged(row), ACE_CLASS_FAIL_GEN);
    row = good_row(8);
    row.n_songs = 0;
    assert_int_equal(judged(row), ACE_CLASS_FAIL_GEN);
    row = good_row(8);
    row.is_sound = false;
    assert_int_equal(judged(row), ACE_CLASS_FAIL_GEN);
    row = good_row(8);
    row.plan.host = true;
    assert_int_equal(judged(row), ACE_CLASS_FAIL_OOM);
}

static void failures_have_their_classes(void **state)
{
    (void)state;
    ace_tier_row row = good_row(8);
    row.ran = false;
    row.status = ACESTEP_MEMORY;
    assert_int_equal(judged(row), ACE_CLASS_FAIL_OOM);
    row.status = ACESTEP_FAILED;
    assert_int_equal(judged(row), ACE_CLASS_FAIL_GEN);
    row.opened = false;
    assert_int_equal(judged(row), ACE_CLASS_FAIL_INIT);
    assert_string_equal(ace_tier_class_name(ACE_CLASS_FAIL_INIT), "FAIL init");
}

static void a_default_may_fall_back_a_variant_may_not(void **state)
{
    (void)state;
    ace_tier_row row = good_row(8);
    row.plan.int8 = true;
    assert_int_equal(judged(row), ACE_CLASS_DEGRADED);
    row.variant = ACE_VARIANT_NO_QUANT;
    assert_int_equal(judged(row), ACE_CLASS_FAIL_OOM);
    row = good_row(8);
    row.plan.offload = ACE_OFFLOAD_CPU;
    assert_int_equal(judged(row), ACE_CLASS_DEGRADED);
    row.variant = ACE_VARIANT_NO_OFFLOAD;
    assert_int_equal(judged(row), ACE_CLASS_FAIL_OOM);
    row = good_row(8);
    row.asks_lm = true;
    assert_int_equal(judged(row), ACE_CLASS_DEGRADED);
    row.variant = ACE_VARIANT_NO_OFFLOAD;
    assert_int_equal(judged(row), ACE_CLASS_FAIL_OOM);
    row = good_row(8);
    row.vae_place = ACE_VAE_HOST;
    assert_int_equal(judged(row), ACE_CLASS_DEGRADED);
    row = good_row(8);
    row.variant = ACE_VARIANT_BATCH;
    row.batch = row.n_songs = 2;
    assert_int_equal(judged(row), ACE_CLASS_FAIL_OOM);
    row.plan.device_batch = 2;
    assert_int_equal(judged(row), ACE_CLASS_PASS);
}

/* A no-offload run at each size; a digit of passes for each. */
static ace_tier_test variants(ace_tier_row *rows, const char *passes, const double *sizes)
{
    ace_tier_test test = {.row = rows, .n_rows = (int)strlen(passes)};
    for (int i = 0; i < test.n_rows; i++) {
        rows[i] = good_row(sizes[i]);
        rows[i].variant = ACE_VARIANT_NO_OFFLOAD;
        rows[i].ran = passes[i] == '1';
        rows[i].status = ACESTEP_MEMORY;
        ace_tier_row_judge(&rows[i]);
    }
    return test;
}

static void the_minimum_has_no_failure_above_it(void **state)
{
    (void)state;
    static const double sizes[] = {16, 4, 8, 6}; /* in any order */
    ace_tier_row rows[4];
    ace_tier_test test = variants(rows, "1011", sizes);
    ace_tier_boundary b = ace_tier_boundary_find(&test, ACE_WITHOUT_OFFLOAD);
    assert_true(b.minimum->gb == 6 && b.first_pass->gb == 6 && b.last_fail->gb == 4);
    test = variants(rows, "1101", sizes); /* 4 and 6 pass, 8 does not */
    b = ace_tier_boundary_find(&test, ACE_WITHOUT_OFFLOAD);
    assert_true(b.minimum->gb == 16 && b.first_pass->gb == 4 && b.last_fail->gb == 8);
    test = variants(rows, "0111", sizes);
    b = ace_tier_boundary_find(&test, ACE_WITHOUT_OFFLOAD);
    assert_null(b.minimum);
    assert_true(b.last_fail->gb == 16);
    b = ace_tier_boundary_find(&test, ACE_WITHOUT_INT8); /* no run speaks for it */
    assert_null(b.minimum);
    assert_null(b.last_fail);
}

static void defaults_speak_for_what_they_had(void **state)
{
    (void)state;
    ace_tier_row rows[2] = {good_row(16), good_row(20)};
    rows[0].plan.int8 = rows[0].settings.int8 = true;
    ace_tier_test test = {.row = rows, .n_rows = 2};
    assert_true(ace_tier_boundary_find(&test, ACE_WITHOUT_INT8).minimum == &rows[1]);
    assert_true(ace_tier_boundary_find(&test, ACE_WITHOUT_OFFLOAD).minimum == &rows[1]);
    rows[1].plan.offload = rows[1].settings.offload = ACE_OFFLOAD_CPU;
    assert_null(ace_tier_boundary_find(&test, ACE_WITHOUT_OFFLOAD).minimum);
}

static void batches_count_up_to_the_first_failure(void **state)
{
    (void)state;
    ace_tier_row rows[3];
    bool tried = false;
    for (int i = 0; i < 3; i++) {
        rows[i] = good_row(8);
        rows[i].variant = ACE_VARIANT_BATCH;
        rows[i].batch = rows[i].n_songs = ace_tier_test_batches[i];
        rows[i].plan.device_batch = i == 1 ? 1 : rows[i].batch;
        ace_tier_row_judge(&rows[i]);
    }
    ace_tier_test test = {.row = rows, .n_rows = 3};
    assert_true(ace_tier_batch_find(&test, 8, false, &tried) == &rows[0]);
    assert_true(tried);
    assert_null(ace_tier_batch_find(&test, 8, true, &tried));
    assert_false(tried);
    char label[32];
    ace_tier_row_label(&rows[2], label, sizeof label);
    assert_string_equal(label, "batch-noLM-4");
}

/* The guide's own example, byte for byte. */
static void the_table_is_the_guides(void **state)
{
    (void)state;
    ace_tier_row rows[1] = {good_row(20)};
    ace_tier_test test = {.row = rows, .n_rows = 1};
    ace_lines t = {0};
    ace_put_boundary_table(&t, &test);
    char *text = ace_lines_take(&t);
    assert_string_equal(text, "BOUNDARY ANALYSIS\n"
                              "=================\n"
                              "  Capability                                    Min Tier   VRAM\n"
                              "  ------------------------------------------------------------\n"
                              "  No INT8 Quantization                          tier6b      20GB\n"
                              "  No CPU Offload (all models on GPU)            tier6b      20GB\n"
                              "  ------------------------------------------------------------\n");
    free(text);
}

static void variants_are_skipped_where_nothing_changes(void **state)
{
    (void)state;
    ace_tier_table tiers;
    ace_tier_table_default(&tiers);
    for (int i = 0; i < ACE_TIERS; i++) {
        bool small = i < ace_tier_of_gb(20);
        assert_true(ace_tier_variant_applies(ACE_VARIANT_DEFAULT, &tiers.row[i]));
        assert_true(ace_tier_variant_applies(ACE_VARIANT_NO_QUANT, &tiers.row[i]) == small);
        assert_true(ace_tier_variant_applies(ACE_VARIANT_NO_OFFLOAD, &tiers.row[i]) == small);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_row_passes_only_when_everything_holds),
        cmocka_unit_test(failures_have_their_classes),
        cmocka_unit_test(a_default_may_fall_back_a_variant_may_not),
        cmocka_unit_test(the_minimum_has_no_failure_above_it),
        cmocka_unit_test(defaults_speak_for_what_they_had),
        cmocka_unit_test(batches_count_up_to_the_first_failure),
        cmocka_unit_test(the_table_is_the_guides),
        cmocka_unit_test(variants_are_skipped_where_nothing_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
