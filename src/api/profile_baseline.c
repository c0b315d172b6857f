/* A tier test against an earlier one: a setting that changed, a pass that fails now, memory that
 * grew. The file may come from anywhere: nothing is taken from it unchecked. */
#include "api/profile.h"
#include "base/file_map.h"

#include <math.h>
#include <string.h>

enum { MOST_BYTES = 16 << 20, MOST_ENTRIES = 1000 };

/* By how much a component or a peak may grow (the original's threshold of a regression). */
static const double TOLERANCE = 1.02;

typedef struct comparison {
    ace_lines text;
    int found; /* regressions */
    char where[64];
} comparison;

static ace_status read_array(const char *path, json_t **out, ace_error *err)
{
    ace_file file;
    json_error_t where;
    ace_status status = ace_file_open(path, &file, err);
    if (status != ACESTEP_OK) {
        return status;
    }
    *out = file.bytes <= MOST_BYTES
               ? json_loadb((const char *)file.data, file.bytes, JSON_REJECT_DUPLICATES, &where)
               : NULL;
    ace_file_close(&file);
    if (!json_is_array(*out) || json_array_size(*out) > MOST_ENTRIES) {
        json_decref(*out);
        *out = NULL;
        return ace_fail(err, ACESTEP_ARGUMENT,
                        "baseline: %s is no result of acestep profile --benchmark-output", path);
    }
    return ACESTEP_OK;
}

static bool same_work(const json_t *a, const json_t *b)
{
    static const char *const keys[] = {"tier_gb", "batch_size"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        double x = json_number_value(json_object_get(a, keys[i]));
        double y = json_number_value(json_object_get(b, keys[i]));
        if (!(fabs(x - y) < 1e-9)) {
            return false;
        }
    }
    const char *x = json_string_value(json_object_get(a, "test_variant"));
    const char *y = json_string_value(json_object_get(b, "test_variant"));
    return x != NULL && y != NULL && strcmp(x, y) == 0;
}

static const json_t *find_entry(const json_t *all, const json_t *entry)
{
    for (size_t i = 0; i < json_array_size(all); i++) {
        if (same_work(json_array_get(all, i), entry)) {
            return json_array_get(all, i);
        }
    }
    return NULL;
}

/* A value of a file for a terminal, without control characters. */
static void show(const json_t *value, char *out, size_t room)
{
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_ENSURE_ASCII);
    (void)snprintf(out, room, "%.60s", text != NULL ? text : "nothing");
    acestep_free(text);
}

static bool equal(const json_t *a, const json_t *b)
{
    if (json_is_number(a) && json_is_number(b)) { /* 30 and 30.0 are the same setting */
        return fabs(json_number_value(a) - json_number_value(b)) < 1e-6;
    }
    return a != NULL && b != NULL && json_equal(a, b);
}

static void compare_value(comparison *c, const char *name, const json_t *old, const json_t *now)
{
    if (old == NULL || equal(old, now)) { /* a file of the original's has not all of them */
        return;
    }
    char before[64];
    char after[64];
    show(old, before, sizeof before);
    show(now, after, sizeof after);
    ace_lines_add(&c->text, "  %s: %s was %s, is %s\n", c->where, name, before, after);
    c->found++;
}

static void compare_size(comparison *c, const char *name, const json_t *old, const json_t *now)
{
    double before = json_number_value(old);
    double after = json_number_value(now);
    if (after > before * TOLERANCE) {
        ace_lines_add(&c->text, "  %s: %s grew from %.4g to %.4g", c->where, name, before, after);
        ace_lines_add(&c->text, before > 0 ? " (%+.1f %%)\n" : "\n", (after / before - 1) * 100);
        c->found++;
    }
}

static void compare_sizes(comparison *c, const json_t *old, const json_t *now, const char *key)
{
    const char *name = NULL;
    json_t *value = NULL;
    if (!json_is_object(json_object_get(old, key))) {
        return;
    }
    json_object_foreach (json_object_get(now, key), name, value) {
        char label[48];
        (void)snprintf(label, sizeof label, "%s of %.24s (bytes)",
                       strcmp(key, "components") == 0 ? "weights" : "stage", name);
        compare_size(c, label, json_object_get(json_object_get(old, key), name), value);
    }
}

/* A failure that passes now is no regression. */
static void compare_outcome(comparison *c, const json_t *old, const json_t *now)
{
    if (json_is_true(json_object_get(old, "gen_success"))) {
        compare_value(c, "gen_success", json_true(), json_object_get(now, "gen_success"));
    }
}

static void compare_entries(comparison *c, const json_t *old, const json_t *now)
{
    static const char *const settings[] = {"tier",     "use_lm",      "lm_model",     "lm_backend",
                                           "offload",  "offload_dit", "quantization", "compile",
                                           "duration", "guard_batch", "vae_tier",     "dit_type"};
    const char *name = NULL;
    json_t *value = NULL;
    (void)snprintf(c->where, sizeof c->where, "%g GB %.32s",
                   json_number_value(json_object_get(now, "tier_gb")),
                   json_string_value(json_object_get(now, "test_variant")));
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        compare_value(c, settings[i], json_object_get(old, settings[i]),
                      json_object_get(now, settings[i]));
    }
    if (strcmp(json_string_value(json_object_get(now, "test_variant")), "default") == 0) {
        json_object_foreach (json_object_get(now, "tier_settings"), name, value) {
            compare_value(c, name, json_object_get(json_object_get(old, "tier_settings"), name),
                          value);
        }
    }
    compare_outcome(c, old, now);
    compare_sizes(c, old, now, "components");
    compare_sizes(c, old, now, "stages");
    compare_size(c, "peak (GB)", json_object_get(old, "peak_vram_gb"),
                 json_object_get(now, "peak_vram_gb"));
}

static ace_status compare_all(const ace_tier_test *test, const json_t *old, comparison *c,
                              ace_error *err)
{
    int both = 0;
    for (int i = 0; i < test->n_rows; i++) {
        json_t *now = ace_tier_row_json(test, &test->row[i]);
        if (now == NULL) {
            return ace_fail(err, ACESTEP_MEMORY, "baseline: no host memory");
        }
        const json_t *before = find_entry(old, now);
        if (before != NULL) {
            both++;
            compare_entries(c, before, now);
        }
        json_decref(now);
    }
    if (both == 0) {
        return ace_fail(err, ACESTEP_ARGUMENT,
                        "baseline: no run in it has a size and variant of this test");
    }
    ace_lines_add(&c->text, "baseline: %d of %d runs compared, %d difference%s\n", both,
                  test->n_rows, c->found, c->found == 1 ? "" : "s");
    return ACESTEP_OK;
}

acestep_status acestep_tier_test_check(const char *path, acestep_error *err)
{
    json_t *found = NULL;
    ace_status status = read_array(path, &found, ace_inner_error(err));
    json_decref(found);
    return status;
}

acestep_status acestep_tier_test_compare(const acestep_tier_test *test, const char *path,
                                         char **text, bool *regressed, acestep_error *err)
{
    ace_error *inner = ace_inner_error(err);
    json_t *old = NULL;
    comparison c = {.found = 0};
    *text = NULL;
    *regressed = false;
    ace_status status = read_array(path, &old, inner);
    if (status == ACESTEP_OK) {
        status = compare_all(&test->found, old, &c, inner);
    }
    json_decref(old);
    *text = ace_lines_take(&c.text);
    if (status == ACESTEP_OK && *text == NULL) {
        status = ace_fail(inner, ACESTEP_MEMORY, "baseline: no host memory");
    }
    *regressed = c.found > 0;
    return status;
}
