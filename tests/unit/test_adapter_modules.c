/* Modules of LoHa, LoKr and DoRA in adapter files: shapes, scales, what changes nothing, and what
 * is refused. */
#include "base/memory.h"
#include "support/checkpoint.h"
#include "weights/adapter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A tensor with numbers that are not zero, or with zeros. */
static void add(checkpoint *f, const char *module, const char *role, int64_t rows, int64_t cols,
                float value)
{
    float values[256];
    char name[200];
    char shape[40];
    assert_true(rows * cols <= 256);
    for (int64_t i = 0; i < rows * cols; i++) {
        values[i] = value * (float)(i + 1);
    }
    (void)snprintf(name, sizeof name, "%s.%s", module, role);
    (void)snprintf(shape, sizeof shape, "[%lld,%lld]", (long long)rows, (long long)cols);
    checkpoint_add_f32(f, name, shape, values, rows * cols);
}

static void add_alpha(checkpoint *f, const char *module, float alpha)
{
    char name[200];
    (void)snprintf(name, sizeof name, "%s.alpha", module);
    checkpoint_add_f32(f, name, "[]", &alpha, 1);
}

static const char q[] = "lycoris_layers_1_self_attn_q_proj";
static const char peft_q[] = "base_model.model.layers.1.self_attn.q_proj";

static ace_status read_file(checkpoint *f, const char *config, ace_adapter **out, ace_error *err)
{
    memset(err, 0, sizeof *err);
    return ace_adapter_read(checkpoint_open(f), "voice.safetensors", config,
                            config != NULL ? strlen(config) : 0, out, err);
}

/* The query's module of layer 1; *a is to be closed. */
static const ace_adapter_module *read_query(checkpoint *f, const char *config, ace_adapter **a)
{
    ace_error err;
    *a = NULL;
    if (read_file(f, config, a, &err) != ACESTEP_OK) {
        fail_msg("%s", err.message);
    }
    checkpoint_free(f);
    return &(*a)->module[1][ACE_TARGET_SELF_Q];
}

static void assert_refused(checkpoint *f, const char *config, ace_status status, const char *words)
{
    ace_adapter *a = NULL;
    ace_error err;
    uint64_t live = ace_memory_live();
    ace_status got = read_file(f, config, &a, &err);
    assert_null(a);
    assert_int_equal(ace_memory_live(), live);
    if (got != status || strstr(err.message, words) == NULL || strchr(err.message, '\n') != NULL) {
        fail_msg("%d, and \"%s\" is not in: %s", got, words, err.message);
    }
    checkpoint_free(f);
}

static checkpoint *lokr_halves(const char *module)
{
    checkpoint *f = checkpoint_new();
    add(f, module, "lokr_w1", 2, 3, 1);
    add(f, module, "lokr_w2_a", 4, 2, 1);
    add(f, module, "lokr_w2_b", 2, 5, 1);
    return f;
}

static checkpoint *loha(const char *module)
{
    checkpoint *f = checkpoint_new();
    add(f, module, "hada_w1_a", 6, 2, 1);
    add(f, module, "hada_w1_b", 2, 4, 1);
    add(f, module, "hada_w2_a", 6, 3, 1);
    add(f, module, "hada_w2_b", 3, 4, 1);
    return f;
}

/* ---- shapes and scales ----------------------------------------------------------------------- */

static void modules_have_shapes_and_scales(void **state)
{
    (void)state;
    ace_adapter *a;
    checkpoint *f = lokr_halves(q);
    add_alpha(f, q, 3);
    const ace_adapter_module *m = read_query(f, NULL, &a);
    assert_int_equal(m->kind, ACE_ADAPTER_LOKR);
    assert_int_equal(m->rows, 8);
    assert_int_equal(m->cols, 15);
    assert_int_equal(ace_adapter_rank(&m->factor[0]), 0);
    assert_int_equal(ace_adapter_rank(&m->factor[1]), 2);
    assert_true(m->scale == 1.5f);
    assert_false(m->silent);
    ace_adapter_close(a);

    f = loha(q);
    add_alpha(f, q, 8);
    m = read_query(f, NULL, &a);
    assert_int_equal(m->kind, ACE_ADAPTER_LOHA);
    assert_int_equal(m->rows, 6);
    assert_int_equal(m->cols, 4);
    assert_true(m->scale == 4.0f);
    ace_adapter_close(a);

    /* alpha 0 is the rank; two whole matrices have no rank, and scale 1 */
    f = loha(q);
    add_alpha(f, q, 0);
    assert_true(read_query(f, NULL, &a)->scale == 1.0f);
    ace_adapter_close(a);
    f = checkpoint_new();
    add(f, q, "lokr_w1", 2, 2, 1);
    add(f, q, "lokr_w2", 2, 2, 1);
    add_alpha(f, q, 64);
    assert_true(read_query(f, NULL, &a)->scale == 1.0f);
    ace_adapter_close(a);
}

static void configs_of_peft_set_scales(void **state)
{
    (void)state;
    ace_adapter *a;
    assert_true(read_query(lokr_halves(peft_q), "{\"peft_type\":\"LOKR\",\"r\":2,\"alpha\":8}", &a)
                    ->scale == 4.0f);
    ace_adapter_close(a);
    /* PEFT scales whole matrices, too */
    checkpoint *f = checkpoint_new();
    add(f, peft_q, "lokr_w1", 2, 2, 1);
    add(f, peft_q, "lokr_w2", 2, 2, 1);
    assert_true(read_query(f, "{\"peft_type\":\"LOKR\",\"r\":16,\"alpha\":8}", &a)->scale == 0.5f);
    ace_adapter_close(a);
    assert_refused(lokr_halves(peft_q), "{\"peft_type\":\"LOKR\",\"r\":3,\"alpha\":8}",
                   ACESTEP_MODEL, "rank 2 where its adapter_config.json says 3");
    assert_refused(loha(peft_q), "{\"peft_type\":\"LOKR\",\"r\":2,\"alpha\":8}", ACESTEP_MODEL,
                   "is of kind loha where its adapter_config.json says lokr");
}

static void magnitudes_are_found(void **state)
{
    (void)state;
    static const struct {
        const char *role, *shape;
    } spellings[] = {{"lora_magnitude_vector", "[8]"},
                     {"lora_magnitude_vector.weight", "[8]"},
                     {"lora_magnitude_vector.default.weight", "[8]"},
                     {"dora_scale", "[8,1]"}};
    for (size_t i = 0; i < sizeof spellings / sizeof *spellings; i++) {
        ace_adapter *a;
        char name[200];
        static const float ones[8] = {1, 1, 1, 1, 1, 1, 1, 1};
        checkpoint *f = lokr_halves(q);
        (void)snprintf(name, sizeof name, "%s.%s", q, spellings[i].role);
        checkpoint_add_f32(f, name, spellings[i].shape, ones, 8);
        assert_non_null(read_query(f, NULL, &a)->magnitude);
        ace_adapter_close(a);
    }
}

/* ---- what changes nothing -------------------------------------------------------------------- */

static void wrapped_and_untrained_is_passed_over(void **state)
{
    (void)state;
    ace_adapter *a;
    static const char other[] = "lycoris_time_embed_linear_1";
    checkpoint *f = lokr_halves(q);
    add(f, other, "lokr_w1", 2, 2, 1);
    add(f, other, "lokr_w2", 3, 3, 0);
    add_alpha(f, other, 1);
    assert_int_equal(read_query(f, NULL, &a)->rows, 8);
    assert_int_equal(a->n_modules, 1);
    ace_adapter_close(a);

    f = lokr_halves(q);
    add(f, other, "lokr_w1", 2, 2, 1);
    add(f, other, "lokr_w2", 3, 3, 1);
    assert_refused(f, NULL, ACESTEP_UNSUPPORTED, "lycoris_time_embed_linear_1.lokr_w1");

    f = lokr_halves(q);
    add(f, other, "lokr_w1", 2, 2, 1);
    add(f, other, "lokr_w2", 3, 3, 0);
    add(f, other, "dora_scale", 6, 1, 1);
    assert_refused(f, NULL, ACESTEP_UNSUPPORTED, "lycoris_time_embed_linear_1.dora_scale");

    /* zeros of another module with a longer name do not help */
    f = lokr_halves(q);
    add(f, "lycoris_x", "lokr_w2", 3, 3, 1);
    add(f, "lycoris_x.y", "lokr_w2", 3, 3, 0);
    assert_refused(f, NULL, ACESTEP_UNSUPPORTED, "lycoris_x.lokr_w2");

    f = lokr_halves(q);
    add(f, "lycoris_layers_0_mlp_up_proj", "lokr_w1", 2, 2, 1);
    add(f, "lycoris_layers_0_mlp_up_proj", "lokr_w2", 3, 3, 0);
    (void)read_query(f, NULL, &a);
    assert_true(a->module[0][ACE_TARGET_UP].silent);
    assert_false(a->module[1][ACE_TARGET_SELF_Q].silent);
    ace_adapter_close(a);
}

/* ---- what is refused ------------------------------------------------------------------------- */

static void missing_factors_are_named(void **state)
{
    (void)state;
    checkpoint *f = checkpoint_new();
    add(f, q, "lokr_w1", 2, 2, 1);
    assert_refused(f, NULL, ACESTEP_MODEL, "lokr_w1 lacks its other half");

    f = checkpoint_new();
    add(f, q, "lokr_w2", 2, 2, 1);
    assert_refused(f, NULL, ACESTEP_MODEL, "lokr_w2 lacks its other half");

    f = checkpoint_new();
    add(f, q, "lokr_w1", 2, 2, 1);
    add(f, q, "lokr_w2_a", 2, 2, 1);
    assert_refused(f, NULL, ACESTEP_MODEL, "lokr_w2_a lacks its other half");

    f = checkpoint_new();
    add(f, q, "hada_w1_a", 6, 2, 1);
    add(f, q, "hada_w1_b", 2, 4, 1);
    assert_refused(f, NULL, ACESTEP_MODEL, "hada_w1_b lacks its other half");

    f = checkpoint_new();
    add(f, q, "dora_scale", 6, 1, 1);
    assert_refused(f, NULL, ACESTEP_MODEL, "dora_scale lacks its other half");
}

static void contradictions_are_named(void **state)
{
    (void)state;
    checkpoint *f = lokr_halves(q);
    add(f, q, "lokr_w2", 4, 5, 1);
    assert_refused(f, NULL, ACESTEP_MODEL, "lokr_w2 is there whole, and in halves as");

    f = lokr_halves(q);
    add(f, q, "hada_w1_a", 6, 2, 1);
    assert_refused(f, NULL, ACESTEP_MODEL, "of different kinds");

    f = lokr_halves(q);
    add(f, "layers.1.self_attn.q_proj", "lokr_w1", 2, 3, 1);
    assert_refused(f, NULL, ACESTEP_MODEL, "the same thing twice");
}

static void shapes_must_fit(void **state)
{
    (void)state;
    checkpoint *f = checkpoint_new();
    add(f, q, "hada_w1_a", 6, 2, 1);
    add(f, q, "hada_w1_b", 2, 4, 1);
    add(f, q, "hada_w2_a", 5, 2, 1);
    add(f, q, "hada_w2_b", 2, 4, 1);
    assert_refused(f, NULL, ACESTEP_MODEL, "do not make matrices of one shape");

    f = checkpoint_new();
    add(f, q, "lokr_w1", 2, 2, 1);
    add(f, q, "lokr_w2_a", 4, 3, 1);
    add(f, q, "lokr_w2_b", 2, 5, 1);
    assert_refused(f, NULL, ACESTEP_MODEL, "no pair of matrices");

    f = checkpoint_new();
    add(f, q, "lokr_w1", 2, 2, 1);
    add(f, q, "lokr_w2_a", 4, 40, 1);
    add(f, q, "lokr_w2_b", 40, 5, 1);
    assert_refused(f, NULL, ACESTEP_MODEL, "has rank 40 for a matrix [4, 5]");

    /* a convolution's */
    static const float v[8] = {1};
    f = checkpoint_new();
    add(f, q, "lokr_w1", 2, 2, 1);
    checkpoint_add_f32(f, "lycoris_layers_1_self_attn_q_proj.lokr_w2", "[2,2,2]", v, 8);
    assert_refused(f, NULL, ACESTEP_MODEL, "lokr_w2 is no matrix");

    f = checkpoint_new();
    add(f, q, "lokr_w1", 2, 2, 1);
    checkpoint_add(f, "lycoris_layers_1_self_attn_q_proj.lokr_w2", "I32", "[2,2]", v, 16);
    assert_refused(f, NULL, ACESTEP_MODEL, "lokr_w2 is no matrix");

    f = lokr_halves(q);
    add(f, q, "dora_scale", 7, 1, 1);
    assert_refused(f, NULL, ACESTEP_MODEL, "no vector with a number for each of 8 rows");

    f = lokr_halves(q);
    add(f, q, "dora_scale", 8, 2, 1);
    assert_refused(f, NULL, ACESTEP_MODEL, "no vector with a number for each of 8 rows");

    f = lokr_halves(q);
    add(f, q, "dora_scale", 1, 15, 1);
    assert_refused(f, NULL, ACESTEP_UNSUPPORTED, "DoRA over the columns");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(modules_have_shapes_and_scales),
        cmocka_unit_test(configs_of_peft_set_scales),
        cmocka_unit_test(magnitudes_are_found),
        cmocka_unit_test(wrapped_and_untrained_is_passed_over),
        cmocka_unit_test(missing_factors_are_named),
        cmocka_unit_test(contradictions_are_named),
        cmocka_unit_test(shapes_must_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
