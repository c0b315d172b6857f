/* Two results side by side. Files may come from anywhere: nothing is taken from them unchecked. */
#include "api/bench.h"
#include "api/lines.h"
#include "base/file_map.h"
#include "base/json.h"

#include <stdio.h>
#include <string.h>

enum { MOST_ROWS = 1000 };

typedef struct result_file {
    const char *path;
    json_t *root, *machine, *rows;
} result_file;

/* ---- reading
 * -------------------------------------------------------------------------------------- */

static ace_status not_a_result(const char *path, const char *what, ace_error *err)
{
    return ace_fail(err, ACESTEP_ARGUMENT, "%s: %s; acestep bench --json makes such files", path,
                    what);
}

static bool is_positive(const json_t *row, const char *key)
{
    double value = json_number_value(json_object_get(row, key));
    return value > 0 && value < 1e12;
}

static bool is_row(const json_t *row)
{
    static const char *const texts[] = {"stage", "work", "precision"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (!json_is_string(json_object_get(row, texts[i]))) {
            return false;
        }
    }
    return is_positive(row, "best_seconds") && is_positive(row, "median_seconds") &&
           is_positive(row, "share_of_peak");
}

static ace_status check(result_file *f, ace_error *err)
{
    const char *format = json_string_value(json_object_get(f->root, "format"));
    if (format == NULL || strcmp(format, ACE_BENCH_FORMAT) != 0) {
        return not_a_result(f->path, "not a result of acestep bench", err);
    }
    json_int_t version = json_integer_value(json_object_get(f->root, "format_version"));
    if (version != ACE_BENCH_FORMAT_VERSION) {
        return not_a_result(f->path, "of another version of the format", err);
    }
    f->machine = json_object_get(f->root, "machine");
    f->rows = json_object_get(f->root, "stages");
    if (!json_is_object(f->machine) || !json_is_array(f->rows) ||
        json_array_size(f->rows) > MOST_ROWS) {
        return not_a_result(f->path, "no machine and no list of stages in it", err);
    }
    for (size_t i = 0; i < json_array_size(f->rows); i++) {
        if (!is_row(json_array_get(f->rows, i))) {
            return not_a_result(f->path, "a stage without name, work, times or share", err);
        }
    }
    return ACESTEP_OK;
}

static ace_status read_result(const char *path, result_file *out, ace_error *err)
{
    ace_file file;
    ace_error inner = {.code = ACESTEP_OK};
    out->path = path;
    ace_status status = ace_file_open(path, &file, err);
    if (status != ACESTEP_OK) {
        return status;
    }
    status = ace_json_parse_object((const char *)file.data, file.bytes, path, &out->root, &inner);
    ace_file_close(&file);
    if (status != ACESTEP_OK) {
        return ace_fail(err, status == ACESTEP_MEMORY ? status : ACESTEP_ARGUMENT, "%s",
                        inner.message);
    }
    return check(out, err);
}

/* ---- showing
 * -------------------------------------------------------------------------------------- */

/* A text of a file for a terminal: no control characters, "?" where there is none. */
static const char *shown(const json_t *object, const char *key, char *out, size_t room)
{
    const char *text = json_string_value(json_object_get(object, key));
    (void)snprintf(out, room, "%s", text != NULL ? text : "?");
    for (char *c = out; *c != '\0'; c++) {
        *c = *c < 0x20 || *c > 0x7e ? '?' : *c;
    }
    return out;
}

static double number(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

static void put_origin(ace_lines *t, const char *which, const result_file *f)
{
    char version[24];
    char commit[48];
    char cpu[96];
    char level[16];
    bool on_card = json_is_string(json_object_get(f->machine, "device"));
    ace_lines_add(t, "%s: acestep %s %s, %s, %s, %.0f threads\n", which,
                  shown(f->root, "version", version, sizeof version),
                  shown(f->root, "commit", commit, sizeof commit),
                  shown(f->machine, on_card ? "device" : "cpu", cpu, sizeof cpu),
                  shown(f->machine, "level", level, sizeof level), number(f->machine, "threads"));
}

static void put_peak(ace_lines *t, const char *name, double before, double after)
{
    if (before > 0 && after > 0) {
        ace_lines_add(t, "  %-8s %8.1f %8.1f  %5.2f x\n", name, before, after, after / before);
    }
}

static void put_machines(ace_lines *t, const result_file *before, const result_file *after)
{
    const json_t *a = json_object_get(before->machine, "peak_gflops");
    const json_t *b = json_object_get(after->machine, "peak_gflops");
    put_origin(t, "old", before);
    put_origin(t, "new", after);
    ace_lines_add(t, "\n  %-8s %8s %8s\n", "at most", "old", "new");
    for (int i = 0; i < ACE_PEAKS; i++) {
        const char *name = ace_peak_name((ace_peak)i);
        put_peak(t, name, number(a, name), number(b, name));
    }
    put_peak(t, "memory", number(before->machine, "memory_gbps"),
             number(after->machine, "memory_gbps"));
}

static bool same_text(const json_t *a, const json_t *b, const char *key)
{
    return strcmp(json_string_value(json_object_get(a, key)),
                  json_string_value(json_object_get(b, key))) == 0;
}

/* The same work in another file; NULL: not there. */
static const json_t *find_row(const result_file *f, const json_t *row)
{
    for (size_t i = 0; i < json_array_size(f->rows); i++) {
        const json_t *other = json_array_get(f->rows, i);
        if (same_text(row, other, "stage") && same_text(row, other, "work") &&
            same_text(row, other, "precision")) {
            return other;
        }
    }
    return NULL;
}

static void put_name(ace_lines *t, const json_t *row)
{
    char stage[24];
    char precision[8];
    ace_lines_add(t, "  %-16s %-5s", shown(row, "stage", stage, sizeof stage),
                  shown(row, "precision", precision, sizeof precision));
}

static void put_pair(ace_lines *t, const json_t *before, const json_t *after)
{
    char work[64];
    double old_best = number(before, "best_seconds");
    double new_best = number(after, "best_seconds");
    double old_share = number(before, "share_of_peak");
    double new_share = number(after, "share_of_peak");
    put_name(t, before);
    ace_lines_add(t, " %9.4f %9.4f %6.2f x %6.0f %% %6.0f %% %6.2f x  %s\n", old_best, new_best,
                  old_best / new_best, old_share * 100, new_share * 100, new_share / old_share,
                  shown(before, "work", work, sizeof work));
}

static void put_rest(ace_lines *t, const char *which, const result_file *f,
                     const result_file *other)
{
    for (size_t i = 0; i < json_array_size(f->rows); i++) {
        char work[64];
        const json_t *row = json_array_get(f->rows, i);
        if (find_row(other, row) == NULL) {
            put_name(t, row);
            ace_lines_add(t, " only in the %s file: %s\n", which,
                          shown(row, "work", work, sizeof work));
        }
    }
}

static char *compare(const result_file *before, const result_file *after)
{
    ace_lines t = {0};
    put_machines(&t, before, after);
    ace_lines_add(&t, "\n  %-16s %-5s %9s %9s %8s %8s %8s %8s\n", "stage", "type", "old s", "new s",
                  "speed", "old", "new", "of most");
    for (size_t i = 0; i < json_array_size(before->rows); i++) {
        const json_t *row = json_array_get(before->rows, i);
        const json_t *other = find_row(after, row);
        if (other != NULL) {
            put_pair(&t, row, other);
        }
    }
    put_rest(&t, "old", before, after);
    put_rest(&t, "new", after, before);
    return ace_lines_take(&t);
}

char *acestep_bench_compare(const char *old_path, const char *new_path, acestep_error *err)
{
    ace_error *inner = ace_inner_error(err);
    result_file before = {0};
    result_file after = {0};
    char *text = NULL;
    ace_status status = read_result(old_path, &before, inner);
    if (status == ACESTEP_OK) {
        status = read_result(new_path, &after, inner);
    }
    if (status == ACESTEP_OK) {
        text = compare(&before, &after);
        if (text == NULL) {
            (void)ace_fail(inner, ACESTEP_MEMORY, "bench: no host memory for the comparison");
        }
    }
    json_decref(before.root);
    json_decref(after.root);
    return text;
}
