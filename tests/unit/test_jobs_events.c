/* Events and how one goes on after them; the engine's comings and goings; what is kept and for how
 * long; how long a job is said to take. */
#include "server/jobs_events.h"
#include "support/fake_engine.h"
#include "support/job_service.h"
#include "support/temporary_folder.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static char folder[TEMPORARY_FOLDER_BYTES];

static int begin(void **state)
{
    (void)state;
    temporary_folder_make(folder);
    fake_engine_reset();
    return 0;
}

static int finish(void **state)
{
    (void)state;
    temporary_folder_remove(folder);
    return 0;
}

/* ---- events
 * ----------------------------------------------------------------------------------------- */

static void a_job_tells_its_life(void **state)
{
    (void)state;
    ace_jobs *jobs = job_service_start(folder, NULL);
    char *id = job_service_add(jobs, "careful");
    char *other = job_service_add(jobs, "fail");
    job_service_await(jobs, id, ACE_JOB_DONE);
    job_service_await(jobs, other, ACE_JOB_FAILED);
    char *names = job_service_events(jobs, id);
    assert_string_equal(names, "queued started phase phase warning item done");
    free(names);
    names = job_service_events(jobs, other);
    assert_string_equal(names, "queued started phase phase failed");
    free(names);
    (void)ace_jobs_remove(jobs, other);
    names = job_service_events(jobs, other);
    assert_non_null(strstr(names, "failed removed"));
    free(names);
    free(id);
    free(other);
    ace_jobs_close(jobs);
}

typedef struct numbers {
    uint64_t first, last;
    int count;
} numbers;

static void take_number(void *context, const ace_job_event *event)
{
    numbers *n = context;
    n->first = n->count == 0 ? event->number : n->first;
    assert_true(n->count == 0 || event->number > n->last);
    n->last = event->number;
    n->count++;
}

static void one_goes_on_where_one_was(void **state)
{
    (void)state;
    bool lost = true;
    numbers n = {0, 0, 0};
    ace_jobs *jobs = job_service_open(folder, NULL);
    char *a = job_service_add(jobs, "a");
    uint64_t after = ace_jobs_events(jobs, NULL, 0, &lost, take_number, &n);
    assert_false(lost);
    assert_int_equal(n.count, 1);
    assert_int_equal(after, n.last);
    char *b = job_service_add(jobs, "b");
    n = (numbers){0, 0, 0};
    after = ace_jobs_events(jobs, NULL, after, &lost, take_number, &n);
    assert_int_equal(n.count, 1);
    assert_false(lost);
    n = (numbers){0, 0, 0};
    assert_int_equal(ace_jobs_events(jobs, a, after, &lost, take_number, &n), after);
    assert_int_equal(n.count, 0);
    ace_jobs_close(jobs);
    jobs = job_service_open(folder, NULL);
    free(job_service_add(jobs, "c"));
    n = (numbers){0, 0, 0};
    assert_true(ace_jobs_events(jobs, NULL, after, &lost, take_number, &n) > after);
    assert_true(lost); /* what the last server has said is not known any more */
    ace_jobs_close(jobs);
    free(a);
    free(b);
}

static void whoever_is_too_late_is_told(void **state)
{
    (void)state;
    bool lost = false;
    ace_jobs_events_ring ring = {0};
    assert_true(ace_events_init(&ring));
    uint64_t first = ring.next;
    for (int i = 0; i < ACE_EVENTS_KEPT + 10; i++) {
        ace_events_add(&ring, i % 2 == 0 ? "j_a" : "j_b", "progress", strdup("{}"));
    }
    numbers n = {0, 0, 0};
    assert_int_equal(ace_events_visit(&ring, NULL, first + 8, &lost, take_number, &n),
                     ring.next - 1);
    assert_true(lost);
    assert_int_equal(n.count, ACE_EVENTS_KEPT);
    assert_int_equal(n.first, first + 10);
    n = (numbers){0, 0, 0};
    (void)ace_events_visit(&ring, "j_b", first + 9, &lost, take_number, &n);
    assert_false(lost); /* exactly the next one is the oldest */
    assert_int_equal(n.count, ACE_EVENTS_KEPT / 2);
    n = (numbers){0, 0, 0};
    (void)ace_events_visit(&ring, NULL, ring.next + 5, &lost, take_number, &n);
    assert_true(lost);
    ace_events_free(&ring);
}

/* ---- the engine
 * ------------------------------------------------------------------------------------- */

static void await_engine(ace_jobs *jobs, const char *state)
{
    const struct timespec moment = {0, 1000000};
    double end = ace_clock_seconds() + 20;
    bool there = false;
    while (!there && ace_clock_seconds() < end) {
        json_t *now = ace_jobs_engine_state(jobs);
        there = strcmp(json_string_value(json_object_get(now, "state")), state) == 0;
        json_decref(now);
        (void)nanosleep(&moment, NULL);
    }
    assert_true(there);
}

static void the_engine_is_kept_while_the_options_allow(void **state)
{
    (void)state;
    json_t *record = NULL;
    json_t *params = json_pack("{s:s, s:i}", "caption", "a", "threads", 3);
    const ace_job_wish wish = {
        .kind = ACE_JOB_SONG, .origin = "native", .params = params, .admin = true};
    ace_jobs *jobs = job_service_start(folder, NULL);
    for (int i = 0; i < 3; i++) {
        char *id = job_service_add(jobs, "a");
        job_service_await(jobs, id, ACE_JOB_DONE);
        free(id);
    }
    assert_int_equal(fake_engine_opens(), 1);
    assert_int_equal(ace_jobs_add(jobs, &wish, &record, NULL, NULL), ACESTEP_OK);
    job_service_await(jobs, json_string_value(json_object_get(record, "id")), ACE_JOB_DONE);
    assert_int_equal(fake_engine_opens(), 2);
    assert_int_equal(fake_engine_closes(), 1); /* never two at once */
    json_decref(record);
    json_decref(params);
    ace_jobs_close(jobs);
}

static void loading_waits_for_the_running_job(void **state)
{
    (void)state;
    ace_error err = {.code = ACESTEP_OK};
    json_t *options = json_pack("{s:i}", "threads", 2);
    json_t *bad = json_pack("{s:i}", "threads", 999);
    fake_engine_hold(true);
    ace_jobs *jobs = job_service_start(folder, NULL);
    char *id = job_service_add(jobs, "a");
    fake_engine_await_runs(1);
    assert_int_equal(ace_jobs_load(jobs, bad, &err), ACESTEP_ARGUMENT);
    assert_int_equal(ace_jobs_load(jobs, options, NULL), ACESTEP_OK);
    await_engine(jobs, "running");
    assert_int_equal(fake_engine_opens(), 1);
    fake_engine_hold(false);
    job_service_await(jobs, id, ACE_JOB_DONE);
    const struct timespec moment = {0, 1000000};
    double end = ace_clock_seconds() + 20;
    while (fake_engine_opens() < 2 && ace_clock_seconds() < end) {
        (void)nanosleep(&moment, NULL);
    }
    assert_int_equal(fake_engine_opens(), 2);
    await_engine(jobs, "loaded");
    ace_jobs_unload(jobs);
    await_engine(jobs, "unloaded");
    fake_engine_refuse_to_open(true);
    assert_int_equal(ace_jobs_load(jobs, options, &err), ACESTEP_MODEL); /* looked for at once */
    fake_engine_refuse_to_open(false);
    fake_engine_hold(true);
    free(id);
    id = job_service_add(jobs, "b");
    fake_engine_await_runs(2);
    assert_int_equal(ace_jobs_load(jobs, options, NULL), ACESTEP_OK);
    fake_engine_refuse_to_open(true); /* it has gone meanwhile */
    fake_engine_hold(false);
    end = ace_clock_seconds() + 20;
    bool told = false;
    while (!told && ace_clock_seconds() < end) {
        json_t *now = ace_jobs_engine_state(jobs);
        const char *error = json_string_value(json_object_get(now, "error"));
        told = error != NULL && strcmp(error, "model: there is none") == 0;
        json_decref(now);
    }
    assert_true(told);
    ace_jobs_close(jobs);
    json_decref(options);
    json_decref(bad);
    free(id);
}

static void an_idle_engine_goes(void **state)
{
    (void)state;
    ace_jobs *jobs = job_service_start(folder, &(ace_jobs_options){.idle_unload_seconds = 0.05});
    char *id = job_service_add(jobs, "a");
    job_service_await(jobs, id, ACE_JOB_DONE);
    await_engine(jobs, "unloaded");
    assert_int_equal(fake_engine_closes(), 1);
    ace_jobs_close(jobs);
    free(id);
}

/* ---- keeping
 * ---------------------------------------------------------------------------------------- */

/* Makes n songs; the first becomes a favourite. Then waits until the oldest other one has gone. */
static void make_songs(const ace_jobs_options *options, int n, int left)
{
    ace_jobs *jobs = job_service_start(folder, options);
    char *id[8];
    for (int i = 0; i < n; i++) {
        id[i] = job_service_add(jobs, "large");
        job_service_await(jobs, id[i], ACE_JOB_DONE);
        if (i == 0) {
            assert_int_equal(ace_jobs_edit(jobs, id[0], NULL, 1), ACE_JOB_CHANGED);
        }
    }
    ace_jobs_statistics s;
    double end = ace_clock_seconds() + 20;
    do {
        ace_jobs_statistics_read(jobs, &s);
    } while ((int)s.jobs[ACE_JOB_SONG][ACE_JOB_DONE] > left && ace_clock_seconds() < end);
    assert_int_equal(s.jobs[ACE_JOB_SONG][ACE_JOB_DONE], left);
    for (int i = 0; i < n; i++) {
        bool stays = i == 0 || i > n - left;
        assert_int_equal(job_service_file(jobs, id[i], 0, ACE_JOB_AUDIO), stays);
        free(id[i]);
    }
    ace_jobs_close(jobs);
}

static void the_oldest_go_by_number(void **state)
{
    (void)state;
    make_songs(&(ace_jobs_options){.keep_jobs = 2}, 5, 3);
}

static void the_oldest_go_by_bytes(void **state)
{
    (void)state;
    make_songs(&(ace_jobs_options){.keep_bytes = 3500000}, 5, 3);
}

static void the_oldest_go_by_age(void **state)
{
    (void)state;
    char *id[3];
    ace_jobs *jobs = job_service_start(folder, NULL);
    for (int i = 0; i < 3; i++) {
        id[i] = job_service_add(jobs, "a");
        job_service_await(jobs, id[i], ACE_JOB_DONE);
    }
    assert_int_equal(ace_jobs_edit(jobs, id[1], NULL, 1), ACE_JOB_CHANGED);
    ace_jobs_close(jobs);
    jobs = job_service_start(folder, &(ace_jobs_options){.keep_seconds = 3600});
    char *b = job_service_add(jobs, "b"); /* by then the worker has looked */
    job_service_await(jobs, b, ACE_JOB_DONE);
    assert_int_equal(ace_jobs_status(jobs, id[0]), ACE_JOB_DONE);
    ace_jobs_close(jobs);
    fake_engine_hold(true);
    jobs = job_service_start(folder, &(ace_jobs_options){.keep_seconds = 1e-6});
    free(job_service_add(jobs, "c"));
    fake_engine_await_runs(5);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ace_jobs_status(jobs, id[i]), i == 1 ? (int)ACE_JOB_DONE : -1);
        assert_int_equal(job_service_file(jobs, id[i], 0, ACE_JOB_AUDIO), i == 1);
        free(id[i]);
    }
    ace_jobs_close(jobs);
    free(b);
}

/* ---- times
 * ------------------------------------------------------------------------------------------ */

static void speeds_are_learned(void **state)
{
    (void)state;
    json_t *preview = NULL;
    json_t *params = json_pack("{s:s}", "caption", "a");
    const ace_job_wish wish = {.kind = ACE_JOB_SONG, .origin = "native", .params = params};
    ace_jobs *jobs = job_service_start(folder, NULL);
    assert_int_equal(ace_jobs_preview(jobs, &wish, &preview, NULL), ACESTEP_OK);
    assert_string_equal(json_string_value(json_object_get(preview, "basis")), "planned");
    assert_true(json_number_value(json_object_get(preview, "seconds")) == 7.0);
    assert_string_equal(json_string_value(json_object_get(preview, "plan_svg")), "<svg/>");
    assert_non_null(json_object_get(json_object_get(preview, "request"), "duration"));
    json_decref(preview);
    char *id = job_service_add(jobs, "a");
    job_service_await(jobs, id, ACE_JOB_DONE);
    assert_int_equal(ace_jobs_preview(jobs, &wish, &preview, NULL), ACESTEP_OK);
    assert_string_equal(json_string_value(json_object_get(preview, "basis")), "measured");
    /* two seconds of the stage, and the rest of three */
    double seconds = json_number_value(json_object_get(preview, "seconds"));
    assert_true(seconds > 2.999 && seconds < 3.001);
    json_decref(preview);
    json_decref(params);
    free(id);
    ace_jobs_close(jobs);
}

static void figures_count(void **state)
{
    (void)state;
    ace_jobs *jobs = job_service_start(folder, NULL);
    char *a = job_service_add(jobs, "careful");
    char *b = job_service_add(jobs, "fail");
    job_service_await(jobs, a, ACE_JOB_DONE);
    job_service_await(jobs, b, ACE_JOB_FAILED);
    ace_jobs_statistics s;
    ace_jobs_statistics_read(jobs, &s);
    assert_int_equal(s.jobs[ACE_JOB_SONG][ACE_JOB_DONE], 1);
    assert_int_equal(s.ended[ACE_JOB_SONG][ACE_JOB_FAILED], 1);
    assert_int_equal(s.songs, 1);
    assert_int_equal(s.warnings, 1);
    assert_true(s.audio_seconds == 10.0);
    assert_true(s.result_bytes > 0);
    assert_int_equal(s.engine_loads, 1);
    ace_jobs_close(jobs);
    free(a);
    free(b);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, finish)
    const struct CMUnitTest tests[] = {
        TEST(a_job_tells_its_life),
        TEST(one_goes_on_where_one_was),
        TEST(whoever_is_too_late_is_told),
        TEST(the_engine_is_kept_while_the_options_allow),
        TEST(loading_waits_for_the_running_job),
        TEST(an_idle_engine_goes),
        TEST(the_oldest_go_by_number),
        TEST(the_oldest_go_by_bytes),
        TEST(the_oldest_go_by_age),
        TEST(speeds_are_learned),
        TEST(figures_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
