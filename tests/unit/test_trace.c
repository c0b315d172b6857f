/* The trace of a run: what is in the file, and that its sums are the stages' own. */
#include "base/file_map.h"
#include "support/job_run.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const char SONG[] = "caption=piano and drums;duration=5.12;seed=7";

/* The file gets a name that no other test has; the caller removes it. */
static made *make_traced(const char *more, char *path, size_t room)
{
    char options[600];
    (void)snprintf(path, room, "/tmp/acestep-trace-%ld.json", (long)getpid());
    (void)snprintf(options, sizeof options, "%s;trace=%s%s", SONG, path, more);
    return job_make(options, NULL);
}

static json_t *read_events(const char *path, json_t **root)
{
    json_error_t error;
    *root = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    if (*root == NULL) {
        fail_msg("%s:%d: %s", path, error.line, error.text);
    }
    (void)unlink(path);
    return json_object_get(*root, "traceEvents");
}

static double number(const json_t *event, const char *key)
{
    const json_t *value = json_object_get(event, key);
    assert_true(json_is_number(value));
    return json_number_value(value);
}

static bool is_phase(const json_t *event, const char *phase)
{
    return strcmp(json_string_value(json_object_get(event, "ph")), phase) == 0;
}

static bool is_on_track(const json_t *event, int track)
{
    return is_phase(event, "X") && (int)number(event, "tid") == track;
}

/* Does the span lie within one of the stages? ts and dur are rounded to a nanosecond. */
static bool lies_in_a_stage(const json_t *events, const json_t *span)
{
    static const double rounding = 0.01;
    for (size_t i = 0; i < json_array_size(events); i++) {
        const json_t *stage = json_array_get(events, i);
        if (is_on_track(stage, 1) && number(stage, "ts") <= number(span, "ts") + rounding &&
            number(span, "ts") + number(span, "dur") <=
                number(stage, "ts") + number(stage, "dur") + rounding) {
            return true;
        }
    }
    return false;
}

/* Operations follow one another, and each lies in a stage, as loads do. */
static void check_order(const json_t *events)
{
    double end = 0;
    size_t operations = 0;
    for (size_t i = 0; i < json_array_size(events); i++) {
        const json_t *e = json_array_get(events, i);
        if (!is_phase(e, "X")) {
            continue;
        }
        assert_true(number(e, "dur") >= 0);
        if (is_on_track(e, 3)) {
            assert_true(number(e, "ts") >= end - 0.01);
            end = number(e, "ts") + number(e, "dur");
            operations++;
            if (operations % 50 != 1) { /* every stage for every operation takes long */
                continue;
            }
        }
        assert_true(is_on_track(e, 1) || lies_in_a_stage(events, e));
    }
    assert_true(operations > 100);
}

static void every_flop_is_in_the_file(const json_t *events, const ace_stage_log *log)
{
    double counted = 0;
    double traced = 0;
    double operations = 0;
    double heard = 0;
    for (int i = 0; i < log->count; i++) {
        counted += log->stage[i].counters.flops;
        operations += (double)log->stage[i].counters.operations;
    }
    for (size_t i = 0; i < json_array_size(events); i++) {
        const json_t *e = json_array_get(events, i);
        if (is_on_track(e, 3)) {
            traced += number(json_object_get(e, "args"), "flops");
            heard++;
        }
    }
    assert_true(counted > 0);
    assert_true(traced == counted); /* halves of whole numbers below 2^53: exact */
    assert_true(heard >= operations);
}

static double summed_flops(const ace_trace_summary *s, const char *key)
{
    double flops = 0;
    for (int i = 0; i < s->n_stages; i++) {
        for (int k = 0; k < s->stage[i].n_operations; k++) {
            flops += strcmp(s->stage[i].key, key) == 0 ? s->stage[i].operation[k].flops : 0;
        }
    }
    return flops;
}

static void check_summary(const made *m)
{
    const ace_stage_log *log = &m->report.log;
    assert_true(m->report.operations.n_stages > 2);
    for (int i = 0; i < log->count; i++) {
        double flops = 0; /* of all stages of this kind */
        for (int k = 0; k < log->count; k++) {
            bool same = strcmp(log->stage[k].key, log->stage[i].key) == 0;
            flops += same ? log->stage[k].counters.flops : 0;
        }
        assert_true(summed_flops(&m->report.operations, log->stage[i].key) == flops);
    }
    for (int i = 0; i < m->report.operations.n_stages; i++) {
        const ace_trace_stage *s = &m->report.operations.stage[i];
        double seconds = s->load_seconds;
        for (int k = 0; k < s->n_operations; k++) {
            assert_true(s->operation[k].calls > 0);
            seconds += s->operation[k].seconds;
        }
        assert_true(seconds <= s->seconds + 1e-6);
    }
}

/* The memory counter reaches the peak of the log, without the device's own workspace. */
static void check_memory(const json_t *events, const made *m)
{
    double most = 0;
    for (size_t i = 0; i < json_array_size(events); i++) {
        const json_t *e = json_array_get(events, i);
        if (!is_phase(e, "C")) {
            continue;
        }
        double all = 0;
        const char *key = NULL;
        json_t *value = NULL;
        json_object_foreach (json_object_get(e, "args"), key, value) {
            all += json_number_value(value);
        }
        most = all > most ? all : most;
    }
    assert_true((size_t)most == ace_stage_log_peak(&m->report.log) - m->report.log.workspace_bytes);
}

static void check_device(const char *more)
{
    char path[100];
    json_t *root = NULL;
    char options[300];
    (void)snprintf(options, sizeof options, "%s%s", SONG, more);
    made *plain = job_make(options, NULL);
    made *m = make_traced(more, path, sizeof path);
    json_t *events = read_events(path, &root);
    check_order(events);
    every_flop_is_in_the_file(events, &m->report.log);
    check_summary(m);
    check_memory(events, m);
    assert_true(job_same_song(&plain->song[0], &m->song[0]));
    assert_int_equal(plain->report.operations.n_stages, 0);
    json_decref(root);
    job_discard(plain);
    job_discard(m);
}

static void on_the_cpu(void **state)
{
    (void)state;
    check_device(";device=cpu");
}

static void on_the_simulated_card(void **state)
{
    (void)state;
    check_device(";device=sim;max_cuda_vram=8");
}

/* A disk that is full costs the trace, not the song. */
static void a_full_disk_is_a_warning(void **state)
{
    (void)state;
    static const char *const paths[] = {"/dev/full", "/nowhere/trace.json"};
    for (int i = 0; i < 2; i++) {
        char options[200];
        (void)snprintf(options, sizeof options, "%s;trace=%s", SONG, paths[i]);
        made *m = job_make(options, NULL);
        int told = 0;
        for (int k = 0; k < m->warnings.count; k++) {
            told += strcmp(m->warnings.item[k].field, "trace") == 0;
        }
        assert_int_equal(m->n, 1);
        assert_int_equal(told, 1);
        job_discard(m);
    }
}

static void shapes_have_no_times(void **state)
{
    (void)state;
    made *m = NULL;
    ace_error err = {.code = ACESTEP_OK};
    assert_int_equal(job_try("caption=x;exec=shape;weights=synthetic:turbo;duration=5;"
                             "trace=/nowhere/trace.json",
                             NULL, &m, &err),
                     ACESTEP_ARGUMENT);
    assert_non_null(strstr(err.message, "exec=shape"));
    job_discard(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(on_the_cpu),
        cmocka_unit_test(on_the_simulated_card),
        cmocka_unit_test(a_full_disk_is_a_warning),
        cmocka_unit_test(shapes_have_no_times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
