#include "support/adapter_bench.h"

#include "base/block_formats.h"
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

enum { FRAMES = 11, TOKENS = 7, BATCH = 2 };

void adapter_bench_fill(float *out, int64_t n, unsigned seed, float spread)
{
    for (int64_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        out[i] = (float)((double)seed / 2147483648.0 - 1.0) * spread;
    }
}

/* ---- adapters and merged models as files ----------------------------------------------------- */

float *adapter_bench_add(made_file *f, const char *name, int rank, const int64_t *dims)
{
    assert_true(f->n < MADE_TENSORS);
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

const char *adapter_bench_write(made_file *f)
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

void adapter_bench_free(made_file *f)
{
    for (size_t i = 0; i < f->n; i++) {
        free((char *)(uintptr_t)f->tensor[i].name);
        free((void *)(uintptr_t)f->tensor[i].data);
    }
    (void)unlink(f->path);
    free(f);
}

ace_weights *adapter_bench_model(const char *model)
{
    ace_weights *w = NULL;
    assert_int_equal(ace_weights_open(golden_path(model), &w, NULL), ACESTEP_OK);
    return w;
}

const ace_weight *adapter_bench_target(const ace_weights *w, int layer, int target)
{
    char name[120];
    (void)snprintf(name, sizeof name, "decoder.layers.%d.%s.weight", layer,
                   ace_adapter_target_name((ace_adapter_target)target));
    return ace_weights_find(w, name);
}

ace_adapter *adapter_bench_open(const made_file *f)
{
    ace_adapter *a = NULL;
    ace_error err = {0};
    if (ace_adapter_open(f->path, &a, &err) != ACESTEP_OK) {
        fail_msg("%s", err.message);
    }
    return a;
}

void adapter_bench_row(const ace_weight *w, int64_t row, float *to)
{
    const unsigned char *data = w->data;
    size_t bytes = (size_t)w->dim[1] * ace_dtype_bytes(w->dtype);
    ace_decode_row(w->dtype, data + (size_t)row * bytes, w->dim[1], to);
}

static void merge_tensor(float *values, const ace_weights *w, const ace_weight *t,
                         merge_layer *merge, const void *context)
{
    for (int layer = 0; adapter_bench_target(w, layer, 0) != NULL; layer++) {
        for (int target = 0; target < ACE_TARGETS; target++) {
            if (adapter_bench_target(w, layer, target) == t) {
                merge(context, values, t, layer, (ace_adapter_target)target);
            }
        }
    }
}

/* The whole model in f32 with the adapters inside. */
made_file *adapter_bench_merged(const char *model, merge_layer *merge, const void *context)
{
    ace_weights *w = adapter_bench_model(model);
    made_file *f = calloc(1, sizeof *f);
    assert_non_null(f);
    for (size_t i = 0; i < ace_weights_count(w); i++) {
        const ace_weight *t = ace_weights_at(w, i);
        if (strncmp(t->name, "decoder.", 8) != 0 && strcmp(t->name, "null_condition_emb") != 0) {
            continue;
        }
        float *values = adapter_bench_add(f, t->name, t->rank, t->dim);
        ace_decode_row(t->dtype, t->data, golden_elements(t), values);
        merge_tensor(values, w, t, merge, context);
    }
    ace_weights_close(w);
    (void)adapter_bench_write(f);
    return f;
}

/* ---- velocities ------------------------------------------------------------------------------ */

typedef struct made_up_inputs {
    float x[BATCH * FRAMES * 64], context[BATCH * FRAMES * 128], condition[2 * TOKENS * 4096];
} made_up_inputs;

/* Velocities of two items with and without condition, [2][BATCH, FRAMES, D]. merged: path of the
 * weights; NULL: the model's own. *bytes: what the adapters took. */
float *adapter_bench_velocities(ace_device *device, ace_dtype precision, const char *model,
                                const char *merged, const ace_adapter_use *uses, int n,
                                size_t *bytes)
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
    adapter_bench_fill(in->x, per_call, 1, 1.5f);
    adapter_bench_fill(in->context, 2 * per_call, 2, 1.5f);
    adapter_bench_fill(in->condition, 2 * TOKENS * config.encoder.hidden, 3, 1.0f);
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
        ace_loader_init(&b.loader, &b.stream, b.weights, precision);
        ace_dit_adapters_load(&b.loader, &config, uses, n, adapters);
        bench_loaded(&b);
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

int64_t adapter_bench_count(const char *model)
{
    return 2 * BATCH * FRAMES * bench_dit_config(model).latent_channels;
}

/* ‖a - b‖ / ‖b‖ */
double adapter_bench_distance(const float *a, const float *b, int64_t n)
{
    double difference = 0;
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        difference += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
        sum += (double)b[i] * (double)b[i];
    }
    return sqrt(difference / sum);
}

void adapter_bench_check(const char *what, const char *model, const ace_adapter_use *use,
                         const made_file *merged, double most)
{
    int64_t n = adapter_bench_count(model);
    for (int i = 0; i < 2; i++) {
        ace_device *(*open)(int) = bench_device;
        float *plain = adapter_bench_velocities(open(i), ACE_F32, model, NULL, NULL, 0, NULL);
        float *added = adapter_bench_velocities(open(i), ACE_F32, model, NULL, use, 1, NULL);
        float *inside =
            adapter_bench_velocities(open(i), ACE_F32, model, merged->path, NULL, 0, NULL);
        double error = adapter_bench_distance(added, inside, n);
        double effect = adapter_bench_distance(added, plain, n);
        if (!(error < most) || !(effect > 1e-3)) {
            fail_msg("%s: %g from merged, %g from none", what, error, effect);
        }
        free(plain);
        free(added);
        free(inside);
    }
}
