#include "support/golden.h"

#include "base/block_formats.h"

#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka wants the four headers above first */
#include <setjmp.h>

#include <cmocka.h>

const char *golden_path(const char *below)
{
    static char path[4][1024];
    static int next;
    next = (next + 1) % 4;
    (void)snprintf(path[next], sizeof path[next], "%s/tests/golden/%s", ACESTEP_SOURCE_DIR, below);
    return path[next];
}

golden golden_open(const char *name)
{
    char below[256];
    ace_error err = {.code = ACESTEP_OK};
    golden g = {.name = name};
    (void)snprintf(below, sizeof below, "golden/%s.safetensors", name);
    if (ace_weights_open(golden_path(below), &g.weights, &err) != ACESTEP_OK) {
        fail_msg("%s", err.message);
    }
    g.index = json_load_file(golden_path("golden/index.json"), 0, NULL);
    assert_non_null(g.index);
    (void)snprintf(below, sizeof below, "%s.safetensors", name);
    g.entry = json_object_get(json_object_get(g.index, "files"), below);
    assert_non_null(g.entry);
    return g;
}

void golden_close(golden *g)
{
    ace_weights_close(g->weights);
    json_decref(g->index);
}

const ace_weight *golden_tensor(const golden *g, const char *name)
{
    const ace_weight *t = ace_weights_find(g->weights, name);
    if (t == NULL) {
        fail_msg("%s: no tensor %s", g->name, name);
    }
    return t;
}

int64_t golden_elements(const ace_weight *t)
{
    int64_t n = 1;
    for (int i = 0; i < t->rank; i++) {
        n *= t->dim[i];
    }
    return n;
}

float *golden_f32(const golden *g, const char *name)
{
    const ace_weight *t = golden_tensor(g, name);
    int64_t n = golden_elements(t);
    float *out = malloc((size_t)n * sizeof *out);
    assert_non_null(out);
    ace_decode_row(t->dtype, t->data, n, out);
    return out;
}

int64_t *golden_i64(const golden *g, const char *name)
{
    const ace_weight *t = golden_tensor(g, name);
    int64_t n = golden_elements(t);
    int64_t *out = malloc((size_t)n * sizeof *out);
    assert_non_null(out);
    assert_int_equal(t->dtype, ACE_I64);
    memcpy(out, t->data, (size_t)n * sizeof *out);
    return out;
}

static double tolerance(const golden *g, const char *name)
{
    json_t *out = json_object_get(json_object_get(g->entry, "outputs"), name + strlen("out."));
    json_t *tol = json_object_get(out, "tol_abs");
    if (!json_is_number(tol)) {
        fail_msg("%s: no tolerance for %s", g->name, name);
    }
    return json_number_value(tol);
}

bool golden_matches(const golden *g, const char *name, const float *got)
{
    float *want = golden_f32(g, name);
    int64_t n = golden_elements(golden_tensor(g, name));
    double tol = tolerance(g, name);
    double worst = 0;
    int64_t at = 0;
    for (int64_t i = 0; i < n; i++) {
        double d = fabs((double)got[i] - (double)want[i]);
        if (!(d <= worst)) {
            worst = d;
            at = i;
        }
    }
    bool matches = worst <= tol;
    if (!matches) {
        print_error("%s %s: error %.3g > %.3g at %lld of %lld (%.6g, recorded %.6g)\n", g->name,
                    name, worst, tol, (long long)at, (long long)n, (double)got[at],
                    (double)want[at]);
    }
    free(want);
    return matches;
}

bool golden_matches_i64(const golden *g, const char *name, const int64_t *got)
{
    int64_t *want = golden_i64(g, name);
    int64_t n = golden_elements(golden_tensor(g, name));
    bool matches = memcmp(want, got, (size_t)n * sizeof *want) == 0;
    if (!matches) {
        print_error("%s %s: integers differ\n", g->name, name);
    }
    free(want);
    return matches;
}

void golden_distance(const golden *g, const char *name, const float *got, double *cosine,
                     double *relative_rms)
{
    float *want = golden_f32(g, name);
    int64_t n = golden_elements(golden_tensor(g, name));
    double dot = 0;
    double a = 0;
    double b = 0;
    double d = 0;
    for (int64_t i = 0; i < n; i++) {
        double x = (double)got[i];
        double y = (double)want[i];
        dot += x * y;
        a += x * x;
        b += y * y;
        d += (x - y) * (x - y);
    }
    *cosine = dot / sqrt(a * b);
    *relative_rms = sqrt(d / b);
    free(want);
}
