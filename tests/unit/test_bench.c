/* The benchmarks: figures from times, the arithmetic of their workloads, files and their
 * comparison. */
#include "api/bench.h"
#include "base/file_map.h"
#include "base/memory.h"
#include "cpu/peak.h"
#include "run/device_peaks.h"
#include "weights/demo_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- figures
 * -------------------------------------------------------------------------------------- */

static ace_roofline limits(void)
{
    return (ace_roofline){
        .peaks = {.flops = {2e11, 4e11, 8e11, 4e11}, .own = {true, true, true, true}},
        .bandwidth = 4e10};
}

static ace_bench_machine machine(void)
{
    return (ace_bench_machine){
        .cpu = "a \"fast\" one, really", .level = "avx512", .threads = 2, .limits = limits()};
}

static void figures_of_times(void **state)
{
    (void)state;
    ace_bench_row row = {
        .matrix = ACE_BF16, .seconds = {4, 1, 3}, .n = 3, .flops = 2e11, .limits = limits()};
    assert_true(ace_bench_median(&row) == 3);
    assert_true(ace_bench_best(&row) == 1);
    assert_int_equal(ace_bench_bound(&row), ACE_PEAK_BF16);
    assert_true(ace_bench_share(&row) == 0.5);
    row.matrix = ACE_F32;
    assert_true(ace_bench_share(&row) == 1);
    row.matrix = ACE_I8; /* by 16-bit inputs, but for the diffusion layers and convolutions */
    assert_int_equal(ace_bench_bound(&row), ACE_PEAK_I16);
    assert_true(ace_bench_share(&row) == 0.5);
    strcpy(row.stage, "song.vae");
    assert_int_equal(ace_bench_bound(&row), ACE_PEAK_BF16);
    strcpy(row.stage, "dit-xl");
    assert_int_equal(ace_bench_bound(&row), ACE_PEAK_I8);
    assert_true(ace_bench_share(&row) == 0.25);
    row.seconds[3] = 2;
    row.n = 4;
    assert_true(ace_bench_median(&row) == 2.5);
    row.bytes = 2e10; /* half a second of memory against a quarter of arithmetic */
    assert_int_equal(ace_bench_bound(&row), ACE_ROOF_MEMORY);
    assert_string_equal(ace_roof_name(ACE_ROOF_MEMORY), "memory");
    assert_true(ace_bench_share(&row) == 0.5);
    row.n = 0;
    assert_true(ace_bench_median(&row) == 0 && ace_bench_share(&row) == 0);
}

/* What a level lacks has the figure of f32. How much it is, a busy machine decides. */
static void peaks_of_every_level(void **state)
{
    (void)state;
    for (int level = 0; level <= (int)ace_cpu_detect(); level++) {
        ace_device *device = NULL;
        ace_cpu_peaks p = {0};
        assert_int_equal(ace_cpu_device_open(1, (ace_cpu_level)level, &device, NULL), ACESTEP_OK);
        ace_cpu_device_peaks(device, &p);
        ace_device_close(device);
        assert_true(p.own[ACE_PEAK_F32]);
        for (int i = 0; i < ACE_PEAKS; i++) {
            assert_true(p.own[i] ? p.flops[i] > 0 : p.flops[i] == p.flops[ACE_PEAK_F32]);
        }
    }
}

/* Through the device's own operations, as a card is measured; and wherever memory ends. */
static void peaks_by_operations(void **state)
{
    (void)state;
    ace_device *device = NULL;
    ace_roofline found;
    ace_error err = {.code = ACESTEP_OK};
    assert_int_equal(ace_cpu_device_open(1, ace_cpu_detect(), &device, NULL), ACESTEP_OK);
    uint64_t live = ace_memory_live();
    for (uint64_t n = 1; n <= 4; n++) {
        ace_memory_fail_at(n);
        assert_int_equal(ace_device_peaks(device, &found, &err), ACESTEP_MEMORY);
        ace_memory_fail_at(0);
        assert_int_equal(ace_memory_live(), live);
    }
    assert_int_equal(ace_device_peaks(device, &found, &err), ACESTEP_OK);
    assert_int_equal(ace_memory_live(), live);
    assert_true(found.bandwidth > 0);
    for (int i = 0; i < ACE_PEAKS; i++) {
        assert_true(found.peaks.flops[i] > 0);
        assert_int_equal(found.peaks.own[i], i != ACE_PEAK_I16);
    }
    ace_device_close(device);
}

/* int8 weights on a card, which has one unit for them, and on a processor. */
static void units_of_int8(void **state)
{
    (void)state;
    ace_bench_row row = {
        .matrix = ACE_I8, .seconds = {1}, .n = 1, .flops = 1e11, .limits = limits()};
    (void)snprintf(row.stage, sizeof row.stage, "text");
    assert_int_equal(ace_bench_bound(&row), ACE_PEAK_I16);
    row.limits.peaks.own[ACE_PEAK_I16] = false;
    assert_int_equal(ace_bench_bound(&row), ACE_PEAK_I8);
}

/* ---- workloads
 * ------------------------------------------------------------------------------------ */

/* What a stage counts on published shapes: all of it is walked, nothing is computed. */
static double count_gflop(const char *weights, const char *stage, double seconds,
                          ace_dit_config *config)
{
    ace_workshop *w = calloc(1, sizeof *w);
    ace_bench *bench = calloc(1, sizeof *bench);
    acestep_request *request = NULL;
    ace_error err = {.code = ACESTEP_OK};
    assert_true(w != NULL && bench != NULL);
    assert_int_equal(acestep_request_create(&request, NULL), ACESTEP_OK);
    assert_int_equal(acestep_request_set(request, "weights", weights, NULL), ACESTEP_OK);
    assert_int_equal(acestep_request_set(request, "exec", "shape", NULL), ACESTEP_OK);
    request->options->duration = seconds;
    assert_int_equal(ace_workshop_open(request->options, w, &err), ACESTEP_OK);
    bench->repeats = 2;
    ace_bench_context c = {.workshop = w, .request = request->options, .bench = bench, .err = &err};
    assert_int_equal(ace_bench_network(&c, stage), ACESTEP_OK);
    assert_int_equal(bench->n_rows, 1);
    assert_int_equal(bench->row[0].n, 2);
    double flops = bench->row[0].flops;
    assert_true(flops > 0 && bench->row[0].bytes > 0);
    if (config != NULL) {
        *config = w->models.dit_config;
    }
    ace_workshop_close(w);
    acestep_request_free(request);
    free(bench);
    free(w);
    return flops * 1e-9;
}

static void assert_near(double found, double expected, double relative)
{
    if (!(found > expected * (1 - relative) && found < expected * (1 + relative))) {
        fail_msg("%.4f where %.4f was expected", found, expected);
    }
}

enum { S = 375, E = 173, TEXT = 102, LYRICS = 70 };

/* One step with everything computed anew and full attention in all layers, GFLOP: products of the
 * layers, of keys and values for the condition (and of the matrix that brings it to the width), of
 * the first and last convolution, of two time embeddings; attention. */
static double full_step(const ace_dit_config *c)
{
    const ace_block_config *b = &c->decoder;
    double heads = (double)(b->heads * b->head_dim);
    double kv = (double)(b->kv_heads * b->head_dim);
    double h = (double)b->hidden;
    double n = (double)c->layers;
    double layer =
        h * (heads + 2 * kv) + heads * h + 2 * h * heads + 3 * h * (double)b->intermediate;
    double patches = (double)((c->in_channels + c->latent_channels) * c->patch) * h;
    double time = 2 * (256 * h + h * h + 6 * h * h);
    double flop = n * (2 * S * layer + 4 * S * heads * (S + E)) +
                  2 * E * (double)c->encoder.hidden * h + n * 2 * E * 2 * kv * h + 2 * S * patches +
                  2 * time;
    return flop * 1e-9;
}

/* What the engine leaves out of it: keys far away in sliding layers, and what stays the same over
 * all steps of a song. */
static double left_out(const ace_dit_config *c)
{
    const ace_block_config *b = &c->decoder;
    double kv = (double)(b->kv_heads * b->head_dim);
    double h = (double)b->hidden;
    double condition =
        2 * E * (double)c->encoder.hidden * h + (double)c->layers * 2 * E * 2 * kv * h;
    double far = 0;
    for (int64_t i = 0; i < c->layers; i++) {
        double seen = 2 * (double)b->window + 1;
        far += c->sliding[i] ? 4 * S * (double)(b->heads * b->head_dim) * (S - seen) : 0;
    }
    return (condition + far) * 1e-9;
}

static void step_of_30_seconds(void **state)
{
    (void)state;
    ace_dit_config c;
    double found = count_gflop("synthetic:turbo", "dit", 30, &c);
    assert_near(full_step(&c), 1134.6, 1e-4); /* the published 2B shapes */
    assert_near(left_out(&c), 34.83 + 1.45 + 4.35, 1e-3);
    assert_near(found, full_step(&c) - left_out(&c), 1e-9);
    found = count_gflop("synthetic:xl-turbo", "dit-xl", 30, &c);
    assert_near(found, full_step(&c) - left_out(&c), 1e-9);
}

static void encoders(void **state)
{
    (void)state;
    /* 28 layers; causal attention looks at half of the pairs */
    double text = 28 * (2.0 * TEXT * 15728640 + 8192.0 * TEXT * TEXT / 2);
    assert_near(count_gflop("synthetic:turbo", "text", 30, NULL), text * 1e-9, 1e-9);
    /* 8 layers for lyrics, 4 for one frame of timbre, and the projections into the width */
    double condition = 8 * (2.0 * LYRICS * 50331648 + 8192.0 * LYRICS * LYRICS) +
                       4 * (2.0 * 50331648 + 8192.0) + 2.0 * (LYRICS + TEXT) * 2097152 +
                       2.0 * 64 * 2048;
    assert_near(count_gflop("synthetic:turbo", "condition", 30, NULL), condition * 1e-9, 1e-9);
    assert_true(count_gflop("synthetic:turbo", "condition-timbre", 30, NULL) > 5e-9 * condition);
}

/* 4.874 GFLOP for each of 25 latent frames a second, more where windows overlap. */
static void autoencoder(void **state)
{
    (void)state;
    assert_near(count_gflop("synthetic:turbo", "vae-decode", 2, NULL), 50 * 4.874, 1e-3);
    assert_true(count_gflop("synthetic:turbo", "vae-decode", 30, NULL) > 750 * 4.87);
    double second = count_gflop("synthetic:turbo", "vae-encode", 1, NULL);
    assert_near(count_gflop("synthetic:turbo", "vae-encode", 4, NULL), 4 * second, 1e-3);
}

/* Wherever memory ends, the stage ends with MEMORY and leaves nothing behind. */
static void memory_ends(void **state)
{
    (void)state;
    ace_workshop *w = calloc(1, sizeof *w);
    ace_bench *bench = calloc(1, sizeof *bench);
    acestep_request *request = NULL;
    assert_true(w != NULL && bench != NULL);
    assert_int_equal(acestep_request_create(&request, NULL), ACESTEP_OK);
    assert_int_equal(acestep_request_set(request, "weights", "synthetic:turbo", NULL), ACESTEP_OK);
    assert_int_equal(acestep_request_set(request, "exec", "shape", NULL), ACESTEP_OK);
    request->options->duration = 10;
    assert_int_equal(ace_workshop_open(request->options, w, NULL), ACESTEP_OK);
    ace_status status = ACESTEP_MEMORY;
    uint64_t n = 1;
    for (; status != ACESTEP_OK; n++) {
        ace_error err = {.code = ACESTEP_OK};
        ace_bench_context c = {
            .workshop = w, .request = request->options, .bench = bench, .err = &err};
        uint64_t live = ace_memory_live();
        bench->n_rows = 0;
        bench->repeats = 1;
        ace_memory_fail_at(n);
        status = ace_bench_network(&c, "dit");
        ace_memory_fail_at(0);
        assert_int_equal(ace_memory_live(), live);
        assert_true(status == ACESTEP_OK || status == ACESTEP_MEMORY);
        assert_int_equal(err.code, status);
    }
    assert_true(n > 10); /* some allocations there were */
    ace_workshop_close(w);
    acestep_request_free(request);
    free(bench);
    free(w);
}

static void unknown_stages(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",    "dit,", ",dit",      "dit,,vae-decode",
                                        "DIT", "di",   "everything"};
    acestep_request *request = NULL;
    assert_int_equal(acestep_request_create(&request, NULL), ACESTEP_OK);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        acestep_error err;
        acestep_bench *bench = NULL;
        assert_int_equal(acestep_bench_run(request, wrong[i], 1, NULL, NULL, &bench, &err),
                         ACESTEP_ARGUMENT);
        assert_null(bench);
        assert_non_null(strstr(err.message, "stage: "));
        assert_non_null(strstr(err.message, "vae-decode"));
    }
    acestep_error err;
    acestep_bench *bench = NULL;
    assert_int_equal(acestep_bench_run(request, "dit", 0, NULL, NULL, &bench, &err),
                     ACESTEP_ARGUMENT);
    assert_int_equal(acestep_bench_run(request, "dit", 101, NULL, NULL, &bench, &err),
                     ACESTEP_ARGUMENT);
    acestep_request_free(request);
}

/* ---- files
 * ---------------------------------------------------------------------------------------- */

typedef struct files {
    char folder[64];
    char path[2][96];
} files;

static int make_folder(void **state)
{
    files *f = calloc(1, sizeof *f);
    (void)snprintf(f->folder, sizeof f->folder, "/tmp/acestep-test-bench-XXXXXX");
    if (f == NULL || mkdtemp(f->folder) == NULL) {
        return -1;
    }
    for (int i = 0; i < 2; i++) {
        (void)snprintf(f->path[i], sizeof f->path[i], "%s/%d", f->folder, i);
    }
    *state = f;
    return 0;
}

static int remove_folder(void **state)
{
    files *f = *state;
    for (int i = 0; i < 2; i++) {
        (void)remove(f->path[i]);
    }
    int removed = rmdir(f->folder);
    free(f);
    return removed;
}

static void write_bytes(const char *path, const char *text, size_t bytes)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, bytes, f), bytes);
    assert_int_equal(fclose(f), 0);
}

static void write_text(const char *path, const char *text)
{
    write_bytes(path, text, strlen(text));
}

static char *read_text(const char *path)
{
    FILE *f = fopen(path, "rb");
    char *text = calloc(1, 1 << 16);
    assert_true(f != NULL && text != NULL);
    (void)fread(text, 1, (1 << 16) - 1, f);
    (void)fclose(f);
    return text;
}

/* A step of the transformer that took so long, and a stage of another name. */
static acestep_bench *result(double seconds, double peak, const char *other)
{
    acestep_bench *b = ace_calloc(1, sizeof *b);
    assert_non_null(b);
    (void)snprintf(b->date, sizeof b->date, "2026-01-02T03:04:05Z");
    b->measured.machine = machine();
    b->measured.machine.limits.peaks.flops[ACE_PEAK_BF16] = peak;
    b->measured.repeats = 2;
    b->measured.n_rows = 2;
    b->measured.row[0] = (ace_bench_row){.stage = "dit",
                                         .work = "1 step, 375 tokens",
                                         .model = "synthetic:turbo",
                                         .matrix = ACE_BF16,
                                         .audio_seconds = 30,
                                         .load_seconds = 1,
                                         .seconds = {seconds, 2 * seconds},
                                         .n = 2,
                                         .flops = 1e12,
                                         .bytes = 3e9,
                                         .device_bytes = 100,
                                         .resident_bytes = 200,
                                         .limits = b->measured.machine.limits};
    b->measured.row[1] = b->measured.row[0];
    (void)snprintf(b->measured.row[1].stage, sizeof b->measured.row[1].stage, "%s", other);
    return b;
}

static void write_result(const char *path, acestep_bench *b)
{
    char *text = acestep_bench_json(b);
    assert_non_null(text);
    write_text(path, text);
    acestep_free(text);
    acestep_bench_free(b);
}

static void compared(void **state)
{
    files *f = *state;
    acestep_error err;
    write_result(f->path[0], result(10, 4e11, "text"));
    write_result(f->path[1], result(4, 5e11, "lm.decode"));
    char *text = acestep_bench_compare(f->path[0], f->path[1], &err);
    assert_non_null(text);
    const char *line = strstr(text, "\n  dit ");
    assert_non_null(line);
    char words[160];
    (void)snprintf(words, sizeof words, "%.*s", (int)strcspn(line + 1, "\n"), line + 1);
    assert_non_null(strstr(words, "10.0000"));
    assert_non_null(strstr(words, " 4.0000"));
    assert_non_null(strstr(words, "2.50 x")); /* of the times */
    assert_non_null(strstr(words, "25 %"));   /* 0.1 TFLOP/s of 0.4 */
    assert_non_null(strstr(words, "50 %"));   /* 0.25 of 0.5 */
    assert_non_null(strstr(words, "2.00 x")); /* of the shares */
    assert_non_null(strstr(words, "375 tokens"));
    assert_non_null(strstr(text, "1.25 x")); /* of the peaks */
    assert_non_null(strstr(text, "only in the old file"));
    assert_non_null(strstr(text, "only in the new file"));
    acestep_free(text);
}

#define ROW_HEAD "{\"stage\":\"dit\",\"work\":\"w\",\"precision\":\"bf16\""
#define FILE_HEAD "{\"format\":\"acestep-bench\",\"format_version\":1,\"machine\":{},\"stages\":["

static void hostile_files(void **state)
{
    files *f = *state;
    static const char *const foreign[] = {
        "",
        "[]",
        "nonsense",
        "{",
        "{}",
        "{\"format\":\"acestep-bench\"}",
        "{\"format\":7,\"format_version\":1,\"machine\":{},\"stages\":[]}",
        "{\"format\":\"acestep-bench\",\"format_version\":2,\"machine\":{},\"stages\":[]}",
        "{\"format\":\"acestep-bench\",\"format_version\":1,\"machine\":[],\"stages\":[]}",
        "{\"format\":\"acestep-bench\",\"format_version\":1,\"machine\":{},\"stages\":{}}",
        FILE_HEAD "1]}",
        FILE_HEAD "null]}",
        FILE_HEAD ROW_HEAD "}]}",
        FILE_HEAD ROW_HEAD ",\"best_seconds\":0,\"median_seconds\":1,\"share_of_peak\":1}]}",
        FILE_HEAD ROW_HEAD ",\"best_seconds\":-1,\"median_seconds\":1,\"share_of_peak\":1}]}",
        FILE_HEAD ROW_HEAD ",\"best_seconds\":1e400,\"median_seconds\":1,\"share_of_peak\":1}]}",
        FILE_HEAD ROW_HEAD ",\"best_seconds\":NaN,\"median_seconds\":1,\"share_of_peak\":1}]}",
        FILE_HEAD ROW_HEAD ",\"best_seconds\":\"1\",\"median_seconds\":1,\"share_of_peak\":1}]}",
        FILE_HEAD "{\"stage\":1,\"work\":\"w\",\"precision\":\"bf16\",\"best_seconds\":1,"
                  "\"median_seconds\":1,\"share_of_peak\":1}]}"};
    write_result(f->path[0], result(10, 4e11, "text"));
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++) {
        acestep_error err;
        write_text(f->path[1], foreign[i]);
        for (int side = 0; side < 2; side++) {
            assert_null(acestep_bench_compare(f->path[side], f->path[1 - side], &err));
            assert_int_equal(err.code, ACESTEP_ARGUMENT);
            assert_non_null(strstr(err.message, f->path[1]));
            assert_null(strchr(err.message, '\n'));
        }
    }
    acestep_error err;
    write_bytes(f->path[1], "{\"format\":\"\0\"}", 14);
    assert_null(acestep_bench_compare(f->path[0], f->path[1], &err));
    assert_null(acestep_bench_compare(f->folder, f->path[0], &err));
    assert_null(acestep_bench_compare(f->path[0], "/nowhere/at/all", &err));
    assert_int_equal(err.code, ACESTEP_IO);
}

/* A terminal is not steered by what a file calls its stages. */
static void names_are_shown_plainly(void **state)
{
    files *f = *state;
    acestep_error err;
    write_text(f->path[0], FILE_HEAD
               "{\"stage\":\"\\u001b[2J\\n\",\"work\":\"\\u00e9%s%n\",\"precision\":\"bf16\","
               "\"best_seconds\":1,\"median_seconds\":1,\"share_of_peak\":1}]}");
    char *text = acestep_bench_compare(f->path[0], f->path[0], &err);
    assert_non_null(text);
    assert_null(strchr(text, 0x1b));
    assert_non_null(strstr(text, "?[2J?"));
    assert_non_null(strstr(text, "??%s%n"));
    acestep_free(text);
}

/* Every array and object of a truncated file is let go: run under the leak checker. */
static void truncated_files(void **state)
{
    files *f = *state;
    acestep_error err;
    write_result(f->path[0], result(10, 4e11, "text"));
    char *text = read_text(f->path[0]);
    size_t end = (size_t)(strrchr(text, '}') - text);
    for (size_t bytes = 0; bytes < end; bytes += 7) {
        write_bytes(f->path[1], text, bytes);
        assert_null(acestep_bench_compare(f->path[0], f->path[1], &err));
    }
    free(text);
}

static int fields_of(const char *line, size_t length)
{
    int fields = 1;
    bool quoted = false;
    for (size_t i = 0; i < length; i++) {
        quoted = line[i] == '"' ? !quoted : quoted;
        fields += line[i] == ',' && !quoted;
    }
    return fields;
}

static void csv_lines(void **state)
{
    files *f = *state;
    acestep_error err;
    acestep_bench *b = result(10, 4e11, "text");
    b->measured.row[1].audio_seconds = 0;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(acestep_bench_append_csv(b, f->path[0], &err), ACESTEP_OK);
    }
    assert_int_equal(acestep_bench_append_csv(b, f->folder, &err), ACESTEP_IO);
    assert_non_null(strstr(err.message, f->folder));
    acestep_bench_free(b);
    char *text = read_text(f->path[0]);
    int lines = 0;
    int fields = 0;
    for (const char *line = text; *line != '\0'; line += strcspn(line, "\n") + 1) {
        size_t length = strcspn(line, "\n");
        fields = lines == 0 ? fields_of(line, length) : fields;
        assert_int_equal(fields_of(line, length), fields);
        assert_int_equal(strncmp(line, "date,", 5) == 0, lines == 0);
        lines++;
    }
    assert_int_equal(lines, 5);
    assert_non_null(strstr(text, "\"a \"\"fast\"\" one, really\""));
    assert_non_null(strstr(text, "\"1 step, 375 tokens\""));
    free(text);
}

/* Cancels when the second stage begins. */
static bool stop_at_condition(void *context, const char *stage, double fraction, double whole)
{
    (void)context;
    (void)fraction;
    (void)whole;
    return strcmp(stage, "condition") != 0;
}

static void what_was_measured_outlives_a_cancelled_bench(void **state)
{
    (void)state;
    acestep_error err = {.code = ACESTEP_OK};
    acestep_request *request = NULL;
    acestep_bench *bench = NULL;
    assert_int_equal(acestep_request_create(&request, &err), ACESTEP_OK);
    assert_int_equal(acestep_request_set(request, "duration", "1", &err), ACESTEP_OK);
    assert_int_equal(
        acestep_request_set(request, "models", ACESTEP_SOURCE_DIR "/tests/golden", &err),
        ACESTEP_OK);
    assert_int_equal(
        acestep_bench_run(request, "text,condition", 1, stop_at_condition, NULL, &bench, &err),
        ACESTEP_CANCELLED);
    assert_non_null(bench);
    assert_int_equal(bench->measured.n_rows, 1);
    assert_string_equal(bench->measured.row[0].stage, "text");
    acestep_bench_free(bench);
    assert_int_equal(
        acestep_bench_run(request, "condition", 1, stop_at_condition, NULL, &bench, &err),
        ACESTEP_CANCELLED);
    assert_null(bench);
    acestep_request_free(request);
}

/* Cancels at the n-th call, or where a stage of that name begins. */
typedef struct stop {
    int calls, at;
    const char *stage; /* NULL: none */
    double whole;      /* the highest so far */
} stop;

static bool stop_there(void *context, const char *stage, double fraction, double whole)
{
    stop *s = context;
    assert_true(fraction >= 0 && fraction <= 1 && whole >= 0 && whole <= 1);
    s->whole = whole > s->whole ? whole : s->whole;
    s->calls++;
    bool is_there =
        s->stage != NULL ? strncmp(stage, s->stage, strlen(s->stage)) == 0 : s->calls == s->at;
    return !is_there;
}

static acestep_bench *stopped_bench(const char *stages, stop *s)
{
    acestep_error err = {.code = ACESTEP_OK};
    acestep_request *request = NULL;
    acestep_bench *bench = NULL;
    assert_int_equal(acestep_request_create(&request, &err), ACESTEP_OK);
    assert_int_equal(acestep_request_set(request, "duration", "10", &err), ACESTEP_OK);
    assert_int_equal(acestep_request_set(request, "precision", "f32", &err), ACESTEP_OK);
    assert_int_equal(acestep_request_set(request, "thinking", "false", &err), ACESTEP_OK);
    assert_int_equal(
        acestep_request_set(request, "models", ACESTEP_SOURCE_DIR "/tests/golden", &err),
        ACESTEP_OK);
    assert_int_equal(acestep_bench_run(request, stages, 4, stop_there, s, &bench, &err),
                     ACESTEP_CANCELLED);
    acestep_request_free(request);
    for (int i = 0; bench != NULL && i < bench->measured.n_rows; i++) {
        const ace_bench_row *row = &bench->measured.row[i];
        assert_true(row->n > 0 && ace_bench_best(row) > 0 && row->flops > 0);
        assert_true(row->limits.bandwidth > 0);
    }
    return bench;
}

static void repetitions_outlive_a_cancelled_stage(void **state)
{
    (void)state;
    stop warm = {.at = 4};
    assert_null(stopped_bench("text", &warm)); /* in the warm-up */
    stop middle = {.at = 10};
    acestep_bench *bench = stopped_bench("text", &middle);
    assert_non_null(bench);
    assert_int_equal(bench->measured.n_rows, 1);
    assert_true(bench->measured.row[0].n < 4);
    acestep_bench_free(bench);

    stop step = {.at = 5}; /* the transformer itself asks nobody */
    bench = stopped_bench("dit", &step);
    assert_non_null(bench);
    assert_in_range(bench->measured.row[0].n, 1, 3);
    acestep_bench_free(bench);

    stop lm = {.at = 60};
    bench = stopped_bench("text,lm", &lm);
    assert_non_null(bench);
    assert_string_equal(bench->measured.row[0].stage, "text");
    assert_string_equal(bench->measured.row[1].stage, "lm.prefill");
    assert_true(lm.whole > 0.5 && lm.whole < 1);
    acestep_bench_free(bench);
}

static void stages_outlive_a_cancelled_song(void **state)
{
    (void)state;
    stop decoder = {.stage = "audio decoder"};
    acestep_bench *bench = stopped_bench("song", &decoder);
    assert_non_null(bench);
    assert_int_equal(bench->measured.n_rows, 3);
    assert_string_equal(bench->measured.row[0].stage, "song.text");
    assert_string_equal(bench->measured.row[2].stage, "song.diffusion");
    acestep_bench_free(bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(figures_of_times),
        cmocka_unit_test(peaks_of_every_level),
        cmocka_unit_test(peaks_by_operations),
        cmocka_unit_test(units_of_int8),
        cmocka_unit_test(step_of_30_seconds),
        cmocka_unit_test(encoders),
        cmocka_unit_test(autoencoder),
        cmocka_unit_test(memory_ends),
        cmocka_unit_test(unknown_stages),
        cmocka_unit_test(what_was_measured_outlives_a_cancelled_bench),
        cmocka_unit_test(repetitions_outlive_a_cancelled_stage),
        cmocka_unit_test(stages_outlive_a_cancelled_song),
        cmocka_unit_test_setup_teardown(compared, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(hostile_files, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(names_are_shown_plainly, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(truncated_files, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(csv_lines, make_folder, remove_folder),
    };
    ace_embedded_files_set(ace_demo_model_files()); /* made-up weights take its tokenizer */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
