/* LoRA beside the diffusion transformer's weights, against the same merged into them.
 */
#include "cpu/cpu_device.h"
#include "support/adapter_bench.h"
#include "support/bench_device.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { RANK = 3 };

static const char turbo[] = "acestep-v15-turbo";
static const char base[] = "acestep-v15-base";

/* Pairs for the chosen targets of every layer, the more the later. */
static made_file *make_adapter(const char *model, unsigned targets, unsigned seed)
{
    ace_weights *w = adapter_bench_model(model);
    made_file *f = calloc(1, sizeof *f);
    assert_non_null(f);
    for (int layer = 0; adapter_bench_target(w, layer, 0) != NULL; layer++) {
        for (int t = 0; t < ACE_TARGETS; t++) {
            const ace_weight *weight = adapter_bench_target(w, layer, t);
            char name[160];
            if ((targets >> t & 1) == 0) {
                continue;
            }
            const int64_t down[] = {RANK + t % 2, weight->dim[1]};
            const int64_t up[] = {weight->dim[0], RANK + t % 2};
            const char *module = ace_adapter_target_name((ace_adapter_target)t);
            (void)snprintf(name, sizeof name, "base_model.model.layers.%d.%s.lora_A.weight", layer,
                           module);
            adapter_bench_fill(adapter_bench_add(f, name, 2, down), down[0] * down[1], seed++,
                               0.3f);
            (void)snprintf(name, sizeof name, "base_model.model.layers.%d.%s.lora_B.weight", layer,
                           module);
            adapter_bench_fill(adapter_bench_add(f, name, 2, up), up[0] * up[1], seed++, 0.3f);
        }
    }
    ace_weights_close(w);
    (void)adapter_bench_write(f);
    return f;
}

/* Adapters as they are used. */
typedef struct used {
    const ace_adapter_use *uses;
    int n;
} used;

/* W + scale · B·A */
static void merge(float *w, const ace_weight *shape, const ace_adapter_module *m, double scale)
{
    const float *down = m->factor[0].b->data;
    const float *up = m->factor[0].a->data;
    int64_t rank = m->factor[0].b->dim[0];
    int64_t cols = shape->dim[1];
    for (int64_t r = 0; r < shape->dim[0]; r++) {
        for (int64_t c = 0; c < cols; c++) {
            double sum = 0;
            for (int64_t k = 0; k < rank; k++) {
                float a = 0;
                float b = 0;
                memcpy(&a, up + r * rank + k, sizeof a);
                memcpy(&b, down + k * cols + c, sizeof b);
                sum += (double)a * (double)b;
            }
            w[r * cols + c] += (float)(sum * (double)m->scale * scale);
        }
    }
}

static void merge_all(const void *context, float *values, const ace_weight *t, int layer,
                      ace_adapter_target target)
{
    const used *u = context;
    for (int i = 0; i < u->n; i++) {
        const ace_adapter_module *m = &u->uses[i].adapter->module[layer][target];
        if (m->kind != ACE_ADAPTER_NONE) {
            merge(values, t, m, (double)u->uses[i].scale);
        }
    }
}

static made_file *make_merged(const char *model, const ace_adapter_use *uses, int n)
{
    used u = {uses, n};
    return adapter_bench_merged(model, merge_all, &u);
}

/* ---- tests ----------------------------------------------------------------------------------- */

/* Adapters of `targets` beside the weights and inside them give the same velocities, far from those
 * without. */
static void check_against_merged(const char *model, unsigned targets)
{
    made_file *f = make_adapter(model, targets, targets);
    ace_adapter *a = adapter_bench_open(f);
    assert_int_equal(ace_dit_adapter_check(&(ace_dit_config){.layers = 0}, a, NULL), ACESTEP_MODEL);
    ace_dit_config config = bench_dit_config(model);
    assert_int_equal(ace_dit_adapter_check(&config, a, NULL), ACESTEP_OK);
    ace_adapter_use use = {a, 0.7f};
    made_file *merged = make_merged(model, &use, 1);
    char what[64];
    (void)snprintf(what, sizeof what, "targets %x", targets);
    adapter_bench_check(what, model, &use, merged, 2e-5);
    adapter_bench_free(merged);
    ace_adapter_close(a);
    adapter_bench_free(f);
}

static void each_target_works_as_merged(void **state)
{
    (void)state;
    for (int target = 0; target < ACE_TARGETS; target++) {
        check_against_merged(turbo, 1u << target);
    }
}

static void all_targets_work_as_merged(void **state)
{
    (void)state;
    check_against_merged(turbo, (1u << ACE_TARGETS) - 1);
    check_against_merged(base, (1u << ACE_TARGETS) - 1);
}

static void adapters_add_up(void **state)
{
    (void)state;
    made_file *f = make_adapter(turbo, (1u << ACE_TARGETS) - 1, 5);
    made_file *g = make_adapter(turbo, 0x2a5, 6);
    ace_adapter *a = adapter_bench_open(f);
    ace_adapter *b = adapter_bench_open(g);
    ace_adapter_use both[] = {{a, 0.8f}, {b, -0.5f}};
    ace_adapter_use swapped[] = {{b, -0.5f}, {a, 0.8f}};
    ace_adapter_use halves[] = {{a, 0.4f}, {b, -0.5f}, {a, 0.4f}, {b, 0}};
    made_file *merged = make_merged(turbo, both, 2);
    int64_t n = adapter_bench_count(turbo);
    float *inside =
        adapter_bench_velocities(bench_device(1), ACE_F32, turbo, merged->path, NULL, 0, NULL);
    float *one = adapter_bench_velocities(bench_device(1), ACE_F32, turbo, NULL, both, 2, NULL);
    float *two = adapter_bench_velocities(bench_device(1), ACE_F32, turbo, NULL, swapped, 2, NULL);
    float *three = adapter_bench_velocities(bench_device(1), ACE_F32, turbo, NULL, halves, 4, NULL);
    assert_true(adapter_bench_distance(one, inside, n) < 2e-5);
    assert_true(adapter_bench_distance(two, inside, n) < 2e-5);
    assert_true(adapter_bench_distance(three, inside, n) < 2e-5);
    free(inside);
    free(one);
    free(two);
    free(three);
    adapter_bench_free(merged);
    ace_adapter_close(a);
    ace_adapter_close(b);
    adapter_bench_free(f);
    adapter_bench_free(g);
}

static void scale_zero_is_no_adapter(void **state)
{
    (void)state;
    static const ace_dtype precisions[] = {ACE_F32, ACE_BF16, ACE_I8};
    made_file *f = make_adapter(turbo, (1u << ACE_TARGETS) - 1, 7);
    ace_adapter *a = adapter_bench_open(f);
    ace_adapter_use use = {a, 0};
    for (int i = 0; i < 3; i++) {
        size_t bytes = 1;
        float *plain =
            adapter_bench_velocities(bench_device(1), precisions[i], turbo, NULL, NULL, 0, NULL);
        float *zero =
            adapter_bench_velocities(bench_device(1), precisions[i], turbo, NULL, &use, 1, &bytes);
        assert_memory_equal(plain, zero, (size_t)adapter_bench_count(turbo) * sizeof *plain);
        assert_int_equal(bytes, 0);
        free(plain);
        free(zero);
    }
    ace_adapter_close(a);
    adapter_bench_free(f);
}

/* Beside int8 weights nothing is merged and quantised again: the distance to the merged model in
 * f32 is about that of int8 weights without adapters to their own. */
static void works_beside_int8(void **state)
{
    (void)state;
    made_file *f = make_adapter(turbo, (1u << ACE_TARGETS) - 1, 8);
    ace_adapter *a = adapter_bench_open(f);
    ace_adapter_use use = {a, 0.7f};
    made_file *merged = make_merged(turbo, &use, 1);
    int64_t n = adapter_bench_count(turbo);
    float *plain = adapter_bench_velocities(bench_device(1), ACE_F32, turbo, NULL, NULL, 0, NULL);
    float *quantised =
        adapter_bench_velocities(bench_device(1), ACE_I8, turbo, NULL, NULL, 0, NULL);
    float *inside =
        adapter_bench_velocities(bench_device(1), ACE_F32, turbo, merged->path, NULL, 0, NULL);
    float *beside = adapter_bench_velocities(bench_device(1), ACE_I8, turbo, NULL, &use, 1, NULL);
    double without = adapter_bench_distance(quantised, plain, n);
    double with = adapter_bench_distance(beside, inside, n);
    print_message("int8 against f32: %.4f without, %.4f with an adapter\n", without, with);
    assert_true(with < 0.05);
    assert_true(with < 3 * without);
    free(plain);
    free(quantised);
    free(inside);
    free(beside);
    adapter_bench_free(merged);
    ace_adapter_close(a);
    adapter_bench_free(f);
}

/* The measure device counts what the real one uses. */
static void bytes_are_planned(void **state)
{
    (void)state;
    made_file *f = make_adapter(turbo, 0x3ff, 9);
    ace_adapter *a = adapter_bench_open(f);
    ace_adapter_use use = {a, 1};
    ace_device *cpu = bench_device(1);
    ace_device *measure = NULL;
    size_t real = 0;
    size_t planned = 0;
    assert_int_equal(ace_measure_device_open(cpu, &measure, NULL), ACESTEP_OK);
    free(adapter_bench_velocities(measure, ACE_BF16, turbo, NULL, &use, 1, &planned));
    free(adapter_bench_velocities(cpu, ACE_BF16, turbo, NULL, &use, 1, &real));
    assert_true(real > 0);
    assert_int_equal(real, planned);
    ace_adapter_close(a);
    adapter_bench_free(f);
}

static void other_models_are_named(void **state)
{
    (void)state;
    made_file *f = make_adapter(turbo, 1u << ACE_TARGET_GATE, 10);
    ace_adapter *a = adapter_bench_open(f);
    ace_dit_config config = bench_dit_config(turbo);
    ace_error err = {0};
    config.decoder.intermediate += 16;
    assert_int_equal(ace_dit_adapter_check(&config, a, &err), ACESTEP_MODEL);
    assert_non_null(strstr(err.message, "layers.0.mlp.gate_proj.lora_A.weight"));
    memset(&err, 0, sizeof err);
    config = bench_dit_config(turbo);
    config.layers--;
    assert_int_equal(ace_dit_adapter_check(&config, a, &err), ACESTEP_MODEL);
    assert_non_null(strstr(err.message, "this model has layers 0 to"));
    ace_adapter_close(a);
    adapter_bench_free(f);
}

static void damage_is_named(void **state)
{
    (void)state;
    made_file *f = make_adapter(turbo, 1u << ACE_TARGET_SELF_Q, 11);
    ((float *)(uintptr_t)f->tensor[0].data)[5] = NAN;
    (void)unlink(f->path);
    (void)adapter_bench_write(f);
    ace_adapter *a = adapter_bench_open(f);
    ace_adapter_use use = {a, 1};
    ace_dit_config config = bench_dit_config(turbo);
    ace_dit_adapters *adapters = malloc(sizeof *adapters);
    assert_non_null(adapters);
    test_bench b;
    bench_open(&b, bench_device(1), NULL, ACE_F32);
    ace_dit_adapters_load(&b.loader, &config, &use, 1, adapters);
    assert_int_equal(ace_stream_status(&b.stream), ACESTEP_MODEL);
    assert_non_null(strstr(b.error.message, f->path));
    bench_close(&b);
    free(adapters);
    ace_adapter_close(a);
    adapter_bench_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_target_works_as_merged),
        cmocka_unit_test(all_targets_work_as_merged),
        cmocka_unit_test(adapters_add_up),
        cmocka_unit_test(scale_zero_is_no_adapter),
        cmocka_unit_test(works_beside_int8),
        cmocka_unit_test(bytes_are_planned),
        cmocka_unit_test(other_models_are_named),
        cmocka_unit_test(damage_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
