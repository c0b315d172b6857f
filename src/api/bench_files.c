/* Results of the benchmarks as JSON and as lines of CSV. */
#include "api/bench.h"
#include "api/lines.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- JSON
 * ---------------------------------------------------------------------------------------- */

static json_t *number_or_null(double value)
{
    return value > 0 ? json_real(value) : json_null();
}

static json_t *bytes_or_null(size_t bytes)
{
    return bytes > 0 ? json_integer((json_int_t)bytes) : json_null();
}

static json_t *peaks_json(const ace_roofline *limits)
{
    json_t *peaks = json_object();
    for (int i = 0; i < ACE_PEAKS; i++) {
        (void)json_object_set_new(peaks, ace_peak_name((ace_peak)i),
                                  json_real(limits->peaks.flops[i] * 1e-9));
    }
    return peaks;
}

static json_t *machine_json(const ace_bench_machine *m)
{
    json_t *own = json_array();
    for (int i = 0; i < ACE_PEAKS; i++) {
        if (m->limits.peaks.own[i]) {
            (void)json_array_append_new(own, json_string(ace_peak_name((ace_peak)i)));
        }
    }
    return json_pack("{s:s?, s:s, s:s, s:i, s:o, s:o, s:f}", "device",
                     m->device[0] != '\0' ? m->device : NULL, "cpu", m->cpu, "level", m->level,
                     "threads", m->threads, "peak_gflops", peaks_json(&m->limits),
                     "own_instructions", own, "memory_gbps", m->limits.bandwidth * 1e-9);
}

static json_t *seconds_json(const ace_bench_row *row)
{
    json_t *list = json_array();
    for (int i = 0; i < row->n; i++) {
        (void)json_array_append_new(list, json_real(row->seconds[i]));
    }
    return list;
}

static json_t *row_json(const ace_bench_row *row)
{
    double best = ace_bench_best(row);
    double median = ace_bench_median(row);
    double audio = row->audio_seconds;
    return json_pack(
        "{s:s, s:s, s:s, s:s, s:o, s:o, s:f, s:o, s:f, s:f, s:f, s:f, s:o, s:o, s:s, s:f, s:o, "
        "s:o, "
        "s:o, s:o, s:o, s:f}",
        "stage", row->stage, "work", row->work, "model", row->model, "precision",
        ace_dtype_name(row->matrix), "audio_seconds", number_or_null(audio), "tokens",
        number_or_null(row->tokens), "load_seconds", row->load_seconds, "seconds",
        seconds_json(row), "median_seconds", median, "best_seconds", best, "gflop",
        row->flops * 1e-9, "gflops", row->flops / best * 1e-9, "read_bytes",
        bytes_or_null((size_t)row->bytes), "gbps", number_or_null(row->bytes / best * 1e-9),
        "bound", ace_roof_name(ace_bench_bound(row)), "share_of_peak", ace_bench_share(row),
        "seconds_per_audio_second", number_or_null(audio > 0 ? median / audio : 0),
        "tokens_per_second", number_or_null(row->tokens / best), "device_bytes",
        bytes_or_null(row->device_bytes), "resident_bytes", bytes_or_null(row->resident_bytes),
        "peak_gflops", peaks_json(&row->limits), "memory_gbps", row->limits.bandwidth * 1e-9);
}

char *acestep_bench_json(const acestep_bench *bench)
{
    const ace_bench *b = &bench->measured;
    json_t *rows = json_array();
    for (int i = 0; i < b->n_rows; i++) {
        (void)json_array_append_new(rows, row_json(&b->row[i]));
    }
    json_t *root =
        json_pack("{s:s, s:i, s:s, s:s, s:s, s:i, s:o, s:o}", "format", ACE_BENCH_FORMAT,
                  "format_version", ACE_BENCH_FORMAT_VERSION, "version", acestep_version(),
                  "commit", ace_bench_commit(), "date", bench->date, "repeats", b->repeats,
                  "machine", machine_json(&b->machine), "stages", rows);
    char *text = root != NULL ? json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(7)) : NULL;
    json_decref(root);
    return text;
}

/* ---- CSV
 * ----------------------------------------------------------------------------------------- */

static const char csv_header[] =
    "date,version,commit,cpu,level,threads,stage,work,model,precision,repeats,audio_seconds,"
    "load_seconds,median_seconds,best_seconds,gflop,gflops,read_bytes,gbps,bound,share_of_peak,"
    "device_bytes,resident_bytes,peak_f32_gflops,peak_bf16_gflops,peak_int8_gflops,"
    "peak_int16_gflops,memory_gbps\n";

/* In quotes where it must be (RFC 4180). */
static void put_field(ace_lines *t, const char *value)
{
    if (strpbrk(value, ",\"\n") == NULL) {
        ace_lines_add(t, "%s,", value);
        return;
    }
    ace_lines_add(t, "\"");
    for (const char *c = value; *c != '\0'; c++) {
        ace_lines_add(t, *c == '"' ? "\"\"" : "%c", *c);
    }
    ace_lines_add(t, "\",");
}

/* Empty where it is not known. */
static void put_number(ace_lines *t, double value)
{
    if (value > 0) {
        ace_lines_add(t, "%.7g", value);
    }
    ace_lines_add(t, ",");
}

static void put_bytes(ace_lines *t, double bytes)
{
    if (bytes > 0) {
        ace_lines_add(t, "%.0f", bytes);
    }
    ace_lines_add(t, ",");
}

static void put_line(ace_lines *t, const acestep_bench *bench, const ace_bench_row *row)
{
    const ace_bench_machine *m = &bench->measured.machine;
    double best = ace_bench_best(row);
    put_field(t, bench->date);
    put_field(t, acestep_version());
    put_field(t, ace_bench_commit());
    put_field(t, m->device[0] != '\0' ? m->device : m->cpu); /* what computed */
    put_field(t, m->level);
    ace_lines_add(t, "%d,", m->threads);
    put_field(t, row->stage);
    put_field(t, row->work);
    put_field(t, row->model);
    put_field(t, ace_dtype_name(row->matrix));
    ace_lines_add(t, "%d,", row->n);
    put_number(t, row->audio_seconds);
    put_number(t, row->load_seconds);
    put_number(t, ace_bench_median(row));
    put_number(t, best);
    put_number(t, row->flops * 1e-9);
    put_number(t, row->flops / best * 1e-9);
    put_bytes(t, row->bytes);
    put_number(t, row->bytes / best * 1e-9);
    put_field(t, ace_roof_name(ace_bench_bound(row)));
    put_number(t, ace_bench_share(row));
    put_bytes(t, (double)row->device_bytes);
    put_bytes(t, (double)row->resident_bytes);
    for (int i = 0; i < ACE_PEAKS; i++) {
        put_number(t, row->limits.peaks.flops[i] * 1e-9);
    }
    ace_lines_add(t, "%.7g\n", row->limits.bandwidth * 1e-9);
}

/* The header goes where the file is new, told by where appending begins. */
static bool append(FILE *f, const char *lines)
{
    bool at_end = fseek(f, 0, SEEK_END) == 0;
    if (at_end && ftell(f) == 0 && fputs(csv_header, f) < 0) {
        return false;
    }
    return at_end && fputs(lines, f) >= 0;
}

acestep_status acestep_bench_append_csv(const acestep_bench *bench, const char *path,
                                        acestep_error *err)
{
    ace_error *inner = ace_inner_error(err);
    ace_lines t = {0};
    for (int i = 0; i < bench->measured.n_rows; i++) {
        put_line(&t, bench, &bench->measured.row[i]);
    }
    char *lines = ace_lines_take(&t);
    if (lines == NULL) {
        return ace_fail(inner, ACESTEP_MEMORY, "%s: no host memory", path);
    }
    FILE *f = fopen(path, "ab");
    bool written = f != NULL && append(f, lines);
    int reason = errno;
    if (f != NULL && fclose(f) != 0) {
        written = false;
        reason = errno;
    }
    free(lines);
    return written ? ACESTEP_OK : ace_fail(inner, ACESTEP_IO, "%s: %s", path, strerror(reason));
}
