/* LoHa, LoKr and DoRA beside the diffusion transformer's weights, in the layouts of PEFT and
 * LyCORIS, against weights into which this test merges them in double precision. */
#include "cpu/cpu_device.h"
#include "model/dora.h"
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

static const char turbo[] = "acestep-v15-turbo";
static const char base[] = "acestep-v15-base";

enum { ALL = (1 << ACE_TARGETS) - 1 };

/* What to make. */
typedef struct recipe {
    ace_adapter_kind kind;
    int rank;         /* of every product */
    bool halves[2];   /* LoKr: W1 and W2 as products */
    int64_t outer[2]; /* LoKr: W1 is at most so large */
    bool dora;
    const char *config; /* PEFT's names with this config; NULL: LyCORIS' with alpha */
    double scale;       /* that follows from config, or from alpha and rank */
    float alpha;
} recipe;

static const recipe recipes[] = {
    {ACE_ADAPTER_LORA, 3, .dora = true, .scale = 2,
     .config = "{\"peft_type\":\"LORA\",\"r\":3,\"lora_alpha\":6,\"use_dora\":true}"},
    {ACE_ADAPTER_LORA, 4, .dora = true, .alpha = 2, .scale = 0.5},
    {ACE_ADAPTER_LORA, 4, .dora = true, .scale = 1.5,
     .config = "{\"r\":4,\"lora_alpha\":3,\"use_dora\":true,\"use_rslora\":true}"},
    {ACE_ADAPTER_LOHA, 2, .scale = 4,
     .config = "{\"peft_type\":\"LOHA\",\"r\":2,\"alpha\":8,\"use_effective_conv2d\":false}"},
    {ACE_ADAPTER_LOHA, 3, .alpha = 6, .scale = 2},
    {ACE_ADAPTER_LOHA, 9, .alpha = 0, .scale = 1},
    {ACE_ADAPTER_LOHA, 9, .alpha = 18, .scale = 2, .dora = true},
    {ACE_ADAPTER_LOHA, 2, .alpha = 2, .scale = 1, .dora = true},
    {ACE_ADAPTER_LOKR, 0, .outer = {4, 8}, .alpha = 64, .scale = 1},
    {ACE_ADAPTER_LOKR, 0, .outer = {16, 2}, .alpha = 1, .scale = 1},
    {ACE_ADAPTER_LOKR, 0, .outer = {1, 1}, .alpha = 1, .scale = 1},
    {ACE_ADAPTER_LOKR, 0, .outer = {1, 1 << 20}, .alpha = 1, .scale = 1},
    {ACE_ADAPTER_LOKR, 0, .outer = {1 << 20, 1}, .alpha = 1, .scale = 1},
    {ACE_ADAPTER_LOKR, 0, .outer = {8, 4}, .scale = 2,
     .config = "{\"peft_type\":\"LOKR\",\"r\":8,\"alpha\":16,\"decompose_both\":false}"},
    {ACE_ADAPTER_LOKR, 2, .halves = {false, true}, .outer = {4, 4}, .alpha = 3, .scale = 1.5},
    {ACE_ADAPTER_LOKR, 7, .halves = {false, true}, .outer = {8, 8}, .alpha = 7, .scale = 1},
    {ACE_ADAPTER_LOKR, 2, .halves = {true, false}, .outer = {8, 8}, .alpha = 1, .scale = 0.5},
    {ACE_ADAPTER_LOKR, 2, .halves = {true, true}, .outer = {8, 4}, .scale = 3,
     .config = "{\"peft_type\":\"LOKR\",\"r\":2,\"alpha\":6,\"decompose_both\":true}"},
    {ACE_ADAPTER_LOKR, 2, .halves = {true, true}, .outer = {4, 8}, .alpha = 2, .scale = 1,
     .dora = true},
    {ACE_ADAPTER_LOKR, 0, .outer = {16, 8}, .alpha = 1, .scale = 1, .dora = true},
};

enum { RECIPES = sizeof recipes / sizeof *recipes };

/* ---- making ---------------------------------------------------------------------------------- */

static void module_name(const recipe *r, int layer, int target, char out[120])
{
    const char *name = ace_adapter_target_name((ace_adapter_target)target);
    if (r->config != NULL) {
        (void)snprintf(out, 120, "base_model.model.layers.%d.%s", layer, name);
        return;
    }
    (void)snprintf(out, 120, "lycoris_layers_%d_%s", layer, name);
    for (char *c = out; *c != '\0'; c++) {
        *c = (char)(*c == '.' ? '_' : *c);
    }
}

static void add_matrix(made_file *f, const char *module, const char *role, int64_t rows,
                       int64_t cols, unsigned seed, float spread)
{
    char name[200];
    const int64_t dims[] = {rows, cols};
    (void)snprintf(name, sizeof name, "%s.%s", module, role);
    adapter_bench_fill(adapter_bench_add(f, name, 2, dims), rows * cols, seed, spread);
}

/* W1 or W2 of a LoKr. */
static void add_factor(made_file *f, const char *module, const char *role, const recipe *r,
                       bool halves, int64_t rows, int64_t cols, unsigned seed)
{
    char half[32];
    if (!halves) {
        add_matrix(f, module, role, rows, cols, seed, 0.5f);
        return;
    }
    (void)snprintf(half, sizeof half, "%s_a", role);
    add_matrix(f, module, half, rows, r->rank, seed, 0.6f);
    (void)snprintf(half, sizeof half, "%s_b", role);
    add_matrix(f, module, half, r->rank, cols, seed + 1, 0.6f);
}

static int64_t divisor(int64_t n, int64_t most)
{
    int64_t d = most < n ? most : n;
    while (n % d != 0) {
        d--;
    }
    return d;
}

/* Lengths of rows times 0.6 to 1.4. */
static void add_magnitude(made_file *f, const char *module, const recipe *r, const ace_weight *w,
                          unsigned seed)
{
    char name[200];
    const int64_t dims[] = {w->dim[0], 1};
    (void)snprintf(name, sizeof name, "%s.%s", module,
                   r->config != NULL ? "lora_magnitude_vector" : "dora_scale");
    float *values = adapter_bench_add(f, name, r->config != NULL ? 1 : 2, dims);
    float *row = malloc((size_t)w->dim[1] * sizeof *row);
    assert_non_null(row);
    adapter_bench_fill(values, w->dim[0], seed, 0.4f);
    for (int64_t i = 0; i < w->dim[0]; i++) {
        double sum = 0;
        adapter_bench_row(w, i, row);
        for (int64_t k = 0; k < w->dim[1]; k++) {
            sum += (double)row[k] * (double)row[k];
        }
        values[i] = (1 + values[i]) * (float)sqrt(sum);
    }
    free(row);
}

static void add_module(made_file *f, const char *module, const recipe *r, const ace_weight *w,
                       unsigned seed)
{
    int64_t rows = w->dim[0];
    int64_t cols = w->dim[1];
    int64_t a = divisor(rows, r->outer[0] > 0 ? r->outer[0] : 1);
    int64_t b = divisor(cols, r->outer[1] > 0 ? r->outer[1] : 1);
    switch (r->kind) {
    case ACE_ADAPTER_LORA:
        add_matrix(f, module, "lora_A.weight", r->rank, cols, seed, 0.2f);
        add_matrix(f, module, "lora_B.weight", rows, r->rank, seed + 1, 0.2f);
        break;
    case ACE_ADAPTER_LOHA:
        add_matrix(f, module, "hada_w1_a", rows, r->rank, seed, 0.3f);
        add_matrix(f, module, "hada_w1_b", r->rank, cols, seed + 1, 0.3f);
        add_matrix(f, module, "hada_w2_a", rows, r->rank, seed + 2, 0.3f);
        add_matrix(f, module, "hada_w2_b", r->rank, cols, seed + 3, 0.3f);
        break;
    default:
        add_factor(f, module, "lokr_w1", r, r->halves[0], a, b, seed);
        add_factor(f, module, "lokr_w2", r, r->halves[1], rows / a, cols / b, seed + 2);
        break;
    }
    if (r->dora) {
        add_magnitude(f, module, r, w, seed + 5);
    }
    if (r->config == NULL) {
        char name[200];
        (void)snprintf(name, sizeof name, "%s.alpha", module);
        *adapter_bench_add(f, name, 0, NULL) = r->alpha;
    }
}

static made_file *make(const char *model, const recipe *r, unsigned targets, unsigned seed)
{
    ace_weights *w = adapter_bench_model(model);
    made_file *f = calloc(1, sizeof *f);
    assert_non_null(f);
    for (int layer = 0; adapter_bench_target(w, layer, 0) != NULL; layer++) {
        for (int t = 0; t < ACE_TARGETS; t++) {
            char module[120];
            module_name(r, layer, t, module);
            if ((targets >> t & 1) != 0) {
                add_module(f, module, r, adapter_bench_target(w, layer, t), seed += 10);
            }
        }
    }
    ace_weights_close(w);
    (void)adapter_bench_write(f);
    return f;
}

static ace_adapter *read_well(const made_file *f, const recipe *r)
{
    ace_weights *w = NULL;
    ace_adapter *a = NULL;
    ace_error err = {0};
    size_t bytes = r->config != NULL ? strlen(r->config) : 0;
    if (ace_weights_open(f->path, &w, &err) != ACESTEP_OK ||
        ace_adapter_read(w, f->path, r->config, bytes, &a, &err) != ACESTEP_OK) {
        fail_msg("%s", err.message);
    }
    return a;
}

/* ---- merging, in double precision
 * -----------------------------------------------------------------
 */

static const ace_weight *find(const made_file *f, const char *module, const char *role)
{
    char name[200];
    (void)snprintf(name, sizeof name, "%s.%s", module, role);
    for (size_t i = 0; i < f->n; i++) {
        if (strcmp(f->tensor[i].name, name) == 0) {
            return &f->tensor[i];
        }
    }
    return NULL;
}

static double at(const ace_weight *t, int64_t row, int64_t col)
{
    return (double)((const float *)t->data)[row * t->dim[1] + col];
}

/* Element (row, col) of a tensor, or of the product of its halves. */
static double element(const made_file *f, const char *module, const char *whole, const char *a,
                      const char *b, int64_t row, int64_t col)
{
    const ace_weight *t = find(f, module, whole);
    if (t != NULL) {
        return at(t, row, col);
    }
    const ace_weight *left = find(f, module, a);
    const ace_weight *right = find(f, module, b);
    double sum = 0;
    for (int64_t k = 0; k < left->dim[1]; k++) {
        sum += at(left, row, k) * at(right, k, col);
    }
    return sum;
}

static double delta(const made_file *f, const char *module, const recipe *r, int64_t row,
                    int64_t col, int64_t rows, int64_t cols)
{
    if (r->kind == ACE_ADAPTER_LORA) {
        return element(f, module, "", "lora_B.weight", "lora_A.weight", row, col);
    }
    if (r->kind == ACE_ADAPTER_LOHA) {
        return element(f, module, "", "hada_w1_a", "hada_w1_b", row, col) *
               element(f, module, "", "hada_w2_a", "hada_w2_b", row, col);
    }
    int64_t c = rows / divisor(rows, r->outer[0]);
    int64_t d = cols / divisor(cols, r->outer[1]);
    return element(f, module, "lokr_w1", "lokr_w1_a", "lokr_w1_b", row / c, col / d) *
           element(f, module, "lokr_w2", "lokr_w2_a", "lokr_w2_b", row % c, col % d);
}

typedef struct made_use {
    const made_file *file;
    const recipe *recipe;
    double scale;
} made_use;

typedef struct made_uses {
    made_use use[3];
    int n;
} made_uses;

/* to += scale · (changed row - row) */
static void merge_row(const made_use *u, const char *module, const ace_weight *t, int64_t row,
                      const double *w, double *to)
{
    const recipe *r = u->recipe;
    int64_t cols = t->dim[1];
    double *changed = malloc((size_t)cols * sizeof *changed);
    double sum = 0;
    double stretch = 1;
    assert_non_null(changed);
    for (int64_t i = 0; i < cols; i++) {
        changed[i] = w[i] + r->scale * delta(u->file, module, r, row, i, t->dim[0], cols);
        sum += changed[i] * changed[i];
    }
    if (r->dora) {
        const ace_weight *magnitude =
            find(u->file, module, r->config != NULL ? "lora_magnitude_vector" : "dora_scale");
        stretch = (double)((const float *)magnitude->data)[row] / sqrt(sum);
    }
    for (int64_t i = 0; i < cols; i++) {
        to[i] += u->scale * (stretch * changed[i] - w[i]);
    }
    free(changed);
}

static void merge(const void *context, float *values, const ace_weight *t, int layer,
                  ace_adapter_target target)
{
    const made_uses *uses = context;
    int64_t cols = t->dim[1];
    double *w = malloc((size_t)(2 * cols) * sizeof *w);
    assert_non_null(w);
    for (int64_t row = 0; row < t->dim[0]; row++) {
        for (int64_t i = 0; i < cols; i++) {
            w[i] = w[cols + i] = (double)values[row * cols + i];
        }
        for (int k = 0; k < uses->n; k++) {
            char module[120];
            char alone[140];
            module_name(uses->use[k].recipe, layer, (int)target, module);
            (void)snprintf(alone, sizeof alone, "%s.", module);
            bool has = false;
            for (size_t i = 0; i < uses->use[k].file->n && !has; i++) {
                has = strncmp(uses->use[k].file->tensor[i].name, alone, strlen(alone)) == 0;
            }
            if (has) {
                merge_row(&uses->use[k], module, t, row, w, w + cols);
            }
        }
        for (int64_t i = 0; i < cols; i++) {
            values[row * cols + i] = (float)w[cols + i];
        }
    }
    free(w);
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void check_recipe(const char *model, int index, unsigned targets)
{
    const recipe *r = &recipes[index];
    made_file *f = make(model, r, targets, (unsigned)index + 1);
    ace_adapter *a = read_well(f, r);
    ace_dit_config config = bench_dit_config(model);
    assert_int_equal(ace_dit_adapter_check(&config, a, NULL), ACESTEP_OK);
    made_uses merged_uses = {{{f, r, 0.7}}, 1};
    ace_adapter_use use = {a, 0.7f};
    made_file *merged = adapter_bench_merged(model, merge, &merged_uses);
    char what[64];
    (void)snprintf(what, sizeof what, "recipe %d, targets %x", index, targets);
    adapter_bench_check(what, model, &use, merged, 4e-5);
    adapter_bench_free(merged);
    ace_adapter_close(a);
    adapter_bench_free(f);
}

static void every_kind_works_as_merged(void **state)
{
    (void)state;
    for (int i = 0; i < RECIPES; i++) {
        check_recipe(turbo, i, ALL);
    }
    check_recipe(base, 0, ALL);
    check_recipe(base, RECIPES - 1, ALL);
}

/* Parts of fused matrices alone, behind others and before them. */
static void each_target_works_as_merged(void **state)
{
    (void)state;
    for (int target = 0; target < ACE_TARGETS; target++) {
        check_recipe(turbo, RECIPES - 1, 1u << target);
        check_recipe(turbo, 6, 1u << target);
        check_recipe(turbo, 0, 1u << target);
    }
}

static void kinds_add_up(void **state)
{
    (void)state;
    static const int chosen[] = {0, RECIPES - 2, 4};
    static const double scales[] = {0.8, -0.5, 1.2};
    made_uses merged_uses = {.n = 3};
    ace_adapter_use uses[3];
    ace_adapter_use swapped[3];
    for (int i = 0; i < 3; i++) {
        const recipe *r = &recipes[chosen[i]];
        made_file *f = make(turbo, r, i == 1 ? 0x2a5 : ALL, (unsigned)i + 70);
        merged_uses.use[i] = (made_use){f, r, scales[i]};
        uses[i] = (ace_adapter_use){read_well(f, r), (float)scales[i]};
        swapped[2 - i] = uses[i];
    }
    made_file *merged = adapter_bench_merged(turbo, merge, &merged_uses);
    int64_t n = adapter_bench_count(turbo);
    float *inside =
        adapter_bench_velocities(bench_device(1), ACE_F32, turbo, merged->path, NULL, 0, NULL);
    float *one = adapter_bench_velocities(bench_device(1), ACE_F32, turbo, NULL, uses, 3, NULL);
    float *two = adapter_bench_velocities(bench_device(1), ACE_F32, turbo, NULL, swapped, 3, NULL);
    assert_true(adapter_bench_distance(one, inside, n) < 4e-5);
    assert_true(adapter_bench_distance(two, inside, n) < 4e-5);
    free(inside);
    free(one);
    free(two);
    adapter_bench_free(merged);
    for (int i = 0; i < 3; i++) {
        ace_adapter_close((ace_adapter *)(uintptr_t)uses[i].adapter);
        adapter_bench_free((made_file *)(uintptr_t)merged_uses.use[i].file);
    }
}

/* Scale 0 is no adapter, to the bit and to the byte; else what is planned is what is used. */
static void bytes_are_planned(void **state)
{
    (void)state;
    static const ace_dtype precisions[] = {ACE_F32, ACE_BF16, ACE_I8};
    for (int i = 0; i < RECIPES; i++) {
        made_file *f = make(turbo, &recipes[i], 0x3ff, 9);
        ace_adapter_use use = {read_well(f, &recipes[i]), 1};
        ace_adapter_use none = {use.adapter, 0};
        ace_dtype precision = precisions[i % 3];
        ace_device *cpu = bench_device(1);
        ace_device *measure = NULL;
        size_t real = 0;
        size_t planned = 0;
        size_t nothing = 1;
        assert_int_equal(ace_measure_device_open(cpu, &measure, NULL), ACESTEP_OK);
        free(adapter_bench_velocities(measure, precision, turbo, NULL, &use, 1, &planned));
        free(adapter_bench_velocities(cpu, precision, turbo, NULL, &use, 1, &real));
        assert_true(real > 0);
        assert_int_equal(real, planned);
        float *zero =
            adapter_bench_velocities(bench_device(1), precision, turbo, NULL, &none, 1, &nothing);
        float *plain =
            adapter_bench_velocities(bench_device(1), precision, turbo, NULL, NULL, 0, NULL);
        assert_int_equal(nothing, 0);
        assert_memory_equal(zero, plain, (size_t)adapter_bench_count(turbo) * sizeof *plain);
        free(zero);
        free(plain);
        ace_adapter_close((ace_adapter *)(uintptr_t)use.adapter);
        adapter_bench_free(f);
    }
}

/* Beside int8 weights, as far from the merged model as int8 weights alone are from their own. */
static void works_beside_int8(void **state)
{
    (void)state;
    static const int chosen[] = {0, 4, 6, RECIPES - 2, RECIPES - 1};
    int64_t n = adapter_bench_count(turbo);
    float *plain = adapter_bench_velocities(bench_device(1), ACE_F32, turbo, NULL, NULL, 0, NULL);
    float *quantised =
        adapter_bench_velocities(bench_device(1), ACE_I8, turbo, NULL, NULL, 0, NULL);
    double without = adapter_bench_distance(quantised, plain, n);
    for (size_t i = 0; i < sizeof chosen / sizeof *chosen; i++) {
        const recipe *r = &recipes[chosen[i]];
        made_file *f = make(turbo, r, ALL, 8);
        ace_adapter_use use = {read_well(f, r), 0.7f};
        made_uses merged_uses = {{{f, r, 0.7}}, 1};
        made_file *merged = adapter_bench_merged(turbo, merge, &merged_uses);
        float *inside =
            adapter_bench_velocities(bench_device(1), ACE_F32, turbo, merged->path, NULL, 0, NULL);
        float *beside =
            adapter_bench_velocities(bench_device(1), ACE_I8, turbo, NULL, &use, 1, NULL);
        double with = adapter_bench_distance(beside, inside, n);
        print_message("recipe %d, int8 against f32: %.4f without, %.4f with\n", chosen[i], without,
                      with);
        assert_true(with < 0.05 && with < 3 * without);
        free(inside);
        free(beside);
        adapter_bench_free(merged);
        ace_adapter_close((ace_adapter *)(uintptr_t)use.adapter);
        adapter_bench_free(f);
    }
    free(plain);
    free(quantised);
}

/* One number of one tensor is no number: MODEL, and the file is named. */
static void damage_is_named(void **state)
{
    (void)state;
    static const struct {
        int recipe;
        const char *role;
        float value;
    } damages[] = {
        {0, "lora_magnitude_vector", NAN},
        {0, "lora_A.weight", INFINITY},
        {4, "hada_w2_b", NAN},
        {5, "hada_w1_a", INFINITY},
        {8, "lokr_w1", NAN},
        {8, "lokr_w2", INFINITY},
        {14, "lokr_w2_b", NAN},
        {15, "lokr_w2_a", NAN},
        {16, "lokr_w1_b", INFINITY},
        {18, "dora_scale", INFINITY},
    };
    ace_dit_config config = bench_dit_config(turbo);
    ace_dit_adapters *adapters = malloc(sizeof *adapters);
    assert_non_null(adapters);
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        const recipe *r = &recipes[damages[i].recipe];
        made_file *f = make(turbo, r, 1u << ACE_TARGET_SELF_Q, 11);
        char module[120];
        module_name(r, 0, ACE_TARGET_SELF_Q, module);
        ((float *)(uintptr_t)find(f, module, damages[i].role)->data)[1] = damages[i].value;
        (void)unlink(f->path);
        (void)adapter_bench_write(f);
        ace_adapter_use use = {read_well(f, r), 1};
        test_bench b;
        bench_open(&b, bench_device(1), turbo, ACE_F32);
        ace_dit_adapters_load(&b.loader, &config, &use, 1, adapters);
        assert_int_equal(ace_loader_finish(&b.loader), ACESTEP_MODEL);
        if (strstr(b.error.message, f->path) == NULL ||
            strstr(b.error.message, "NaN or infinity") == NULL) {
            fail_msg("damage %zu: %s", i, b.error.message);
        }
        bench_close(&b);
        ace_adapter_close((ace_adapter *)(uintptr_t)use.adapter);
        adapter_bench_free(f);
    }
    free(adapters);
}

/* The factors of DoRA are what double precision makes them, on one thread as on three. */
static void rows_are_stretched_to_their_length(void **state)
{
    (void)state;
    ace_pool *pool = NULL;
    const recipe *r = &recipes[0];
    made_file *f = make(turbo, r, ALL, 21);
    ace_adapter *a = read_well(f, r);
    const ace_adapter_module *m = &a->module[1][ACE_TARGET_DOWN];
    char module[120];
    test_bench b;
    assert_int_equal(ace_pool_create(3, &pool, NULL), ACESTEP_OK);
    module_name(r, 1, ACE_TARGET_DOWN, module);
    bench_open(&b, bench_device(1), turbo, ACE_I8);
    const ace_weight *t = adapter_bench_target(b.weights, 1, ACE_TARGET_DOWN);
    float *one = calloc((size_t)(2 * m->rows + m->cols), sizeof *one);
    double *w = calloc((size_t)(2 * m->cols), sizeof *w);
    assert_true(one != NULL && w != NULL);
    float *three = one + m->rows;
    float *row = three + m->rows;
    assert_true(ace_dora_factors(&b.loader, t->name, a, m, one));
    b.loader.pool = pool;
    assert_true(ace_dora_factors(&b.loader, t->name, a, m, three));
    assert_memory_equal(one, three, (size_t)m->rows * sizeof *one);
    const float *magnitude = find(f, module, "lora_magnitude_vector")->data;
    for (int64_t i = 0; i < m->rows; i++) {
        double sum = 0;
        adapter_bench_row(t, i, row);
        for (int64_t k = 0; k < m->cols; k++) {
            double v = (double)row[k] + r->scale * delta(f, module, r, i, k, m->rows, m->cols);
            sum += v * v;
        }
        assert_true(fabs((double)one[i] / ((double)magnitude[i] / sqrt(sum)) - 1) < 1e-6);
    }
    free(w);
    free(one);
    bench_close(&b);
    ace_pool_free(pool);
    ace_adapter_close(a);
    adapter_bench_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_works_as_merged),
        cmocka_unit_test(each_target_works_as_merged),
        cmocka_unit_test(kinds_add_up),
        cmocka_unit_test(bytes_are_planned),
        cmocka_unit_test(works_beside_int8),
        cmocka_unit_test(damage_is_named),
        cmocka_unit_test(rows_are_stretched_to_their_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
