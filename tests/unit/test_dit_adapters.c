/* Adapters beside the diffusion transformer's weights, against the same adapters merged into them.
 */
#include "base/block_formats.h"
#include "cpu/cpu_device.h"
#include "model/dit.h"
#include "support/bench_device.h"
#include "support/golden.h"
#include "weights/safetensors_write.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { RANK = 3, FRAMES = 11, TOKENS = 7, BATCH = 2 };

static const char turbo[] = "acestep-v15-turbo";
static const char base[] = "acestep-v15-base";

static void fill(float *out, int64_t n, unsigned seed, float spread)
{
    for (int64_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        out[i] = (float)((double)seed / 2147483648.0 - 1.0) * spread;
    }
}

/* ---- adapters and merged models as files --------------------------------------------------------
 */

/* Tensors to be written; names and numbers owned. */
typedef struct file {
    ace_weight tensor[1024];
    size_t n;
    char path[80];
} file;

static float *add(file *f, const char *name, int rank, const int64_t *dims)
{
    assert_true(f->n < 1024);
    ace_weight *t = &f->tensor[f->n++];
    int64_t n = 1;
    t->name = strdup(name);
    t->dtype = ACE_F32;
    t->rank = rank;
    for (int i = 0; i < rank; i++) {
        t->dim[i] = dims[i];
        n *= dims[i];
    }
    float *values = malloc((size_t)n * sizeof *values);
    assert_true(t->name != NULL && values != NULL);
    t->data = values;
    t->bytes = (size_t)n * sizeof *values;
    return values;
}

static const char *write_file(file *f)
{
    static int count;
    ace_error err = {0};
    (void)snprintf(f->path, sizeof f->path, "/tmp/ace_dit_adapters_%ld_%d.safetensors",
                   (long)getpid(), count++);
    if (ace_safetensors_write(f->path, f->tensor, f->n, &err) != ACESTEP_OK) {
        fail_msg("%s", err.message);
    }
    return f->path;
}

static void free_file(file *f)
{
    for (size_t i = 0; i < f->n; i++) {
        free((char *)(uintptr_t)f->tensor[i].name);
        free((void *)(uintptr_t)f->tensor[i].data);
    }
    (void)unlink(f->path);
    free(f);
}

static ace_weights *open_model(const char *model)
{
    ace_weights *w = NULL;
    assert_int_equal(ace_weights_open(golden_path(model), &w, NULL), ACESTEP_OK);
    return w;
}

static const ace_weight *target_weight(const ace_weights *w, int layer, int target)
{
    char name[120];
    (void)snprintf(name, sizeof name, "decoder.layers.%d.%s.weight", layer,
                   ace_adapter_target_name((ace_adapter_target)target));
    return ace_weights_find(w, name);
}

/* Pairs for the chosen targets of every layer, the more the later. */
static file *make_adapter(const char *model, unsigned targets, unsigned seed)
{
    ace_weights *w = open_model(model);
    file *f = calloc(1, sizeof *f);
    assert_non_null(f);
    for (int layer = 0; target_weight(w, layer, 0) != NULL; layer++) {
        for (int t = 0; t < ACE_TARGETS; t++) {
            const ace_weight *weight = target_weight(w, layer, t);
            char name[160];
            if ((targets >> t & 1) == 0) {
                continue;
            }
            const int64_t down[] = {RANK + t % 2, weight->dim[1]};
            const int64_t up[] = {weight->dim[0], RANK + t % 2};
            const char *module = ace_adapter_target_name((ace_adapter_target)t);
            (void)snprintf(name, sizeof name, "base_model.model.layers.%d.%s.lora_A.weight", layer,
                           module);
            fill(add(f, name, 2, down), down[0] * down[1], seed++, 0.3f);
            (void)snprintf(name, sizeof name, "base_model.model.layers.%d.%s.lora_B.weight", layer,
                           module);
            fill(add(f, name, 2, up), up[0] * up[1], seed++, 0.3f);
        }
    }
    ace_weights_close(w);
    (void)write_file(f);
    return f;
}

static ace_adapter *open_adapter(const file *f)
{
    ace_adapter *a = NULL;
    ace_error err = {0};
    if (ace_adapter_open(f->path, &a, &err) != ACESTEP_OK) {
        fail_msg("%s", err.message);
    }
    return a;
}

/* W + scale · B·A */
static void merge(float *w, const ace_weight *shape, const ace_adapter_module *m, double scale)
{
    const float *down = malloc(m->down->bytes);
    const float *up = malloc(m->up->bytes);
    assert_true(down != NULL && up != NULL);
    memcpy((void *)(uintptr_t)down, m->down->data, m->down->bytes);
    memcpy((void *)(uintptr_t)up, m->up->data, m->up->bytes);
    int64_t rank = m->down->dim[0];
    int64_t cols = shape->dim[1];
    for (int64_t r = 0; r < shape->dim[0]; r++) {
        for (int64_t c = 0; c < cols; c++) {
            double sum = 0;
            for (int64_t k = 0; k < rank; k++) {
                sum += (double)up[r * rank + k] * (double)down[k * cols + c];
            }
            w[r * cols + c] += (float)(sum * (double)m->scale * scale);
        }
    }
    free((void *)(uintptr_t)down);
    free((void *)(uintptr_t)up);
}

static void merge_target(float *values, const ace_weights *w, const ace_weight *t,
                         const ace_adapter_use *uses, int n)
{
    for (int layer = 0; target_weight(w, layer, 0) != NULL; layer++) {
        for (int target = 0; target < ACE_TARGETS; target++) {
            if (target_weight(w, layer, target) != t) {
                continue;
            }
            for (int i = 0; i < n; i++) {
                const ace_adapter_module *m = &uses[i].adapter->module[layer][target];
                if (m->down != NULL) {
                    merge(values, t, m, (double)uses[i].scale);
                }
            }
        }
    }
}

/* The whole model in f32 with the adapters inside. */
static file *make_merged(const char *model, const ace_adapter_use *uses, int n)
{
    ace_weights *w = open_model(model);
    file *f = calloc(1, sizeof *f);
    assert_non_null(f);
    for (size_t i = 0; i < ace_weights_count(w); i++) {
        const ace_weight *t = ace_weights_at(w, i);
        if (strncmp(t->name, "decoder.", 8) != 0 && strcmp(t->name, "null_condition_emb") != 0) {
            continue;
        }
        float *values = add(f, t->name, t->rank, t->dim);
        ace_decode_row(t->dtype, t->data, golden_elements(t), values);
        merge_target(values, w, t, uses, n);
    }
    ace_weights_close(w);
    (void)write_file(f);
    return f;
}

/* ---- velocities ---------------------------------------------------------------------------------
 */

typedef struct made_up_inputs {
    float x[BATCH * FRAMES * 64], context[BATCH * FRAMES * 128], condition[2 * TOKENS * 4096];
} made_up_inputs;

/* Velocities of two items with and without condition, [2][BATCH, FRAMES, D]. merged: path of the
 * weights; NULL: the model's own. *bytes: what the adapters took. */
static float *velocities(ace_device *device, ace_dtype precision, const char *model,
                         const char *merged, const ace_adapter_use *uses, int n, size_t *bytes)
{
    ace_dit_config config = bench_dit_config(model);
    made_up_inputs *in = malloc(sizeof *in);
    ace_dit *dit = malloc(sizeof *dit);
    ace_dit_session *session = malloc(sizeof *session);
    ace_dit_adapters *adapters = malloc(sizeof *adapters);
    int64_t per_call = BATCH * FRAMES * config.latent_channels;
    float *v = calloc((size_t)(2 * per_call), sizeof *v);
    assert_true(in != NULL && dit != NULL && session != NULL && adapters != NULL && v != NULL);
    assert_true(config.encoder.hidden <= 4096 && config.latent_channels <= 64);
    fill(in->x, per_call, 1, 1.5f);
    fill(in->context, 2 * per_call, 2, 1.5f);
    fill(in->condition, 2 * TOKENS * config.encoder.hidden, 3, 1.0f);
    const float *conditions[] = {in->condition, in->condition + TOKENS * config.encoder.hidden};
    static const int64_t lengths[] = {TOKENS, TOKENS - 2};
    static const int32_t condition_of[] = {0, 1};
    static const float t[] = {0.6f, 0.6f};
    test_bench b;
    bench_open(&b, device, model, precision);
    if (merged != NULL) {
        ace_weights_close(b.weights);
        assert_int_equal(ace_weights_open(merged, &b.weights, NULL), ACESTEP_OK);
        ace_loader_init(&b.loader, &b.stream, b.weights, precision);
    }
    ace_dit_load(&b.loader, &config, dit);
    bench_loaded(&b);
    size_t before = b.arena.used;
    if (n > 0) {
        ace_dit_adapters_load(&b.stream, &config, uses, n, adapters);
        dit->adapters = adapters;
    }
    if (bytes != NULL) {
        *bytes = b.arena.used - before;
    }
    ace_dit_inputs inputs = {.batch = BATCH,
                             .frames = FRAMES,
                             .context = in->context,
                             .n_conditions = 2,
                             .condition = conditions,
                             .condition_length = lengths,
                             .condition_of = condition_of,
                             .guided = true};
    ace_dit_begin(&b.stream, dit, &inputs, session);
    ace_dit_velocity(session, in->x, t, t, false, v);
    ace_dit_velocity(session, in->x, t, t, true, v + per_call);
    bench_check(&b);
    bench_close(&b);
    free(adapters);
    free(session);
    free(dit);
    free(in);
    return v;
}

static int64_t count(const char *model)
{
    return 2 * BATCH * FRAMES * bench_dit_config(model).latent_channels;
}

/* ‖a - b‖ / ‖b‖ */
static double distance(const float *a, const float *b, int64_t n)
{
    double difference = 0;
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        difference += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
        sum += (double)b[i] * (double)b[i];
    }
    return sqrt(difference / sum);
}

/* ---- tests --------------------------------------------------------------------------------------
 */

/* Adapters of `targets` beside the weights and inside them give the same velocities, far from those
 * without. */
static void check_against_merged(const char *model, unsigned targets)
{
    file *f = make_adapter(model, targets, targets);
    ace_adapter *a = open_adapter(f);
    assert_int_equal(ace_dit_adapter_check(&(ace_dit_config){.layers = 0}, a, NULL), ACESTEP_MODEL);
    ace_dit_config config = bench_dit_config(model);
    assert_int_equal(ace_dit_adapter_check(&config, a, NULL), ACESTEP_OK);
    ace_adapter_use use = {a, 0.7f};
    file *merged = make_merged(model, &use, 1);
    int64_t n = count(model);
    for (int i = 0; i < 2; i++) {
        ace_device *(*open)(int) = bench_device;
        float *plain = velocities(open(i), ACE_F32, model, NULL, NULL, 0, NULL);
        float *added = velocities(open(i), ACE_F32, model, NULL, &use, 1, NULL);
        float *inside = velocities(open(i), ACE_F32, model, merged->path, NULL, 0, NULL);
        double error = distance(added, inside, n);
        double effect = distance(added, plain, n);
        if (!(error < 2e-5) || !(effect > 1e-3)) {
            fail_msg("targets %x: %g from merged, %g from none", targets, error, effect);
        }
        free(plain);
        free(added);
        free(inside);
    }
    free_file(merged);
    ace_adapter_close(a);
    free_file(f);
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
    file *f = make_adapter(turbo, (1u << ACE_TARGETS) - 1, 5);
    file *g = make_adapter(turbo, 0x2a5, 6);
    ace_adapter *a = open_adapter(f);
    ace_adapter *b = open_adapter(g);
    ace_adapter_use both[] = {{a, 0.8f}, {b, -0.5f}};
    ace_adapter_use swapped[] = {{b, -0.5f}, {a, 0.8f}};
    ace_adapter_use halves[] = {{a, 0.4f}, {b, -0.5f}, {a, 0.4f}, {b, 0}};
    file *merged = make_merged(turbo, both, 2);
    int64_t n = count(turbo);
    float *inside = velocities(bench_device(1), ACE_F32, turbo, merged->path, NULL, 0, NULL);
    float *one = velocities(bench_device(1), ACE_F32, turbo, NULL, both, 2, NULL);
    float *two = velocities(bench_device(1), ACE_F32, turbo, NULL, swapped, 2, NULL);
    float *three = velocities(bench_device(1), ACE_F32, turbo, NULL, halves, 4, NULL);
    assert_true(distance(one, inside, n) < 2e-5);
    assert_true(distance(two, inside, n) < 2e-5);
    assert_true(distance(three, inside, n) < 2e-5);
    free(inside);
    free(one);
    free(two);
    free(three);
    free_file(merged);
    ace_adapter_close(a);
    ace_adapter_close(b);
    free_file(f);
    free_file(g);
}

static void scale_zero_is_no_adapter(void **state)
{
    (void)state;
    static const ace_dtype precisions[] = {ACE_F32, ACE_BF16, ACE_I8};
    file *f = make_adapter(turbo, (1u << ACE_TARGETS) - 1, 7);
    ace_adapter *a = open_adapter(f);
    ace_adapter_use use = {a, 0};
    for (int i = 0; i < 3; i++) {
        size_t bytes = 1;
        float *plain = velocities(bench_device(1), precisions[i], turbo, NULL, NULL, 0, NULL);
        float *zero = velocities(bench_device(1), precisions[i], turbo, NULL, &use, 1, &bytes);
        assert_memory_equal(plain, zero, (size_t)count(turbo) * sizeof *plain);
        assert_int_equal(bytes, 0);
        free(plain);
        free(zero);
    }
    ace_adapter_close(a);
    free_file(f);
}

/* Beside int8 weights nothing is merged and quantised again: the distance to the merged model in
 * f32 is about that of int8 weights without adapters to their own. */
static void works_beside_int8(void **state)
{
    (void)state;
    file *f = make_adapter(turbo, (1u << ACE_TARGETS) - 1, 8);
    ace_adapter *a = open_adapter(f);
    ace_adapter_use use = {a, 0.7f};
    file *merged = make_merged(turbo, &use, 1);
    int64_t n = count(turbo);
    float *plain = velocities(bench_device(1), ACE_F32, turbo, NULL, NULL, 0, NULL);
    float *quantised = velocities(bench_device(1), ACE_I8, turbo, NULL, NULL, 0, NULL);
    float *inside = velocities(bench_device(1), ACE_F32, turbo, merged->path, NULL, 0, NULL);
    float *beside = velocities(bench_device(1), ACE_I8, turbo, NULL, &use, 1, NULL);
    double without = distance(quantised, plain, n);
    double with = distance(beside, inside, n);
    print_message("int8 against f32: %.4f without, %.4f with an adapter\n", without, with);
    assert_true(with < 0.05);
    assert_true(with < 3 * without);
    free(plain);
    free(quantised);
    free(inside);
    free(beside);
    free_file(merged);
    ace_adapter_close(a);
    free_file(f);
}

/* The measure device counts what the real one uses. */
static void bytes_are_planned(void **state)
{
    (void)state;
    file *f = make_adapter(turbo, 0x3ff, 9);
    ace_adapter *a = open_adapter(f);
    ace_adapter_use use = {a, 1};
    ace_device *cpu = bench_device(1);
    ace_device *measure = NULL;
    size_t real = 0;
    size_t planned = 0;
    assert_int_equal(ace_measure_device_open(cpu, &measure, NULL), ACESTEP_OK);
    free(velocities(measure, ACE_BF16, turbo, NULL, &use, 1, &planned));
    free(velocities(cpu, ACE_BF16, turbo, NULL, &use, 1, &real));
    assert_true(real > 0);
    assert_int_equal(real, planned);
    ace_adapter_close(a);
    free_file(f);
}

static void other_models_are_named(void **state)
{
    (void)state;
    file *f = make_adapter(turbo, 1u << ACE_TARGET_GATE, 10);
    ace_adapter *a = open_adapter(f);
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
    free_file(f);
}

static void damage_is_named(void **state)
{
    (void)state;
    file *f = make_adapter(turbo, 1u << ACE_TARGET_SELF_Q, 11);
    ((float *)(uintptr_t)f->tensor[0].data)[5] = NAN;
    (void)unlink(f->path);
    (void)write_file(f);
    ace_adapter *a = open_adapter(f);
    ace_adapter_use use = {a, 1};
    ace_dit_config config = bench_dit_config(turbo);
    ace_dit_adapters *adapters = malloc(sizeof *adapters);
    assert_non_null(adapters);
    test_bench b;
    bench_open(&b, bench_device(1), NULL, ACE_F32);
    ace_dit_adapters_load(&b.stream, &config, &use, 1, adapters);
    assert_int_equal(ace_stream_status(&b.stream), ACESTEP_MODEL);
    assert_non_null(strstr(b.error.message, f->path));
    bench_close(&b);
    free(adapters);
    ace_adapter_close(a);
    free_file(f);
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
