/* The queue: order, bound, cancelling, reordering, what a client may ask for. */
#include "support/fake_engine.h"
#include "support/job_service.h"
#include "support/temporary_folder.h"

#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static void jobs_run_one_after_another_in_order(void **state)
{
    (void)state;
    static const char *const captions[] = {"a", "b", "c", "d"};
    char *id[4];
    ace_jobs *jobs = job_service_open(folder, NULL);
    for (int i = 0; i < 4; i++) {
        char *place = NULL;
        id[i] = job_service_add(jobs, captions[i]);
        place = job_service_text(jobs, id[i], "queue_position");
        assert_int_equal(atoi(place), i + 1);
        free(place);
    }
    assert_int_equal(ace_jobs_start(jobs, NULL), ACESTEP_OK);
    for (int i = 0; i < 4; i++) {
        job_service_await(jobs, id[i], ACE_JOB_DONE);
        assert_string_equal(fake_engine_caption(i), captions[i]);
        assert_true(job_service_file(jobs, id[i], 0, ACE_JOB_AUDIO));
        assert_true(job_service_file(jobs, id[i], 0, ACE_JOB_SIDECAR));
        assert_false(job_service_file(jobs, id[i], 0, ACE_JOB_LRC));
        assert_false(job_service_file(jobs, id[i], 1, ACE_JOB_AUDIO));
        free(id[i]);
    }
    assert_int_equal(fake_engine_opens(), 1);
    ace_jobs_close(jobs);
    assert_int_equal(fake_engine_closes(), 1);
}

static void a_full_queue_refuses_and_says_when_to_come_again(void **state)
{
    (void)state;
    char *id = NULL;
    double retry = 0;
    ace_jobs *jobs = job_service_open(folder, &(ace_jobs_options){.queue_limit = 2});
    free(job_service_add(jobs, "a"));
    free(job_service_add(jobs, "b"));
    assert_int_equal(job_service_try(jobs, "c", &retry, &id), ACESTEP_BUSY);
    assert_true(retry >= 1);
    ace_jobs_statistics s;
    ace_jobs_statistics_read(jobs, &s);
    assert_int_equal(s.queued, 2);
    assert_int_equal(s.added, 2);
    assert_int_equal(s.refused, 1);
    assert_true(s.wait_seconds >= 14); /* two of seven seconds, says the plan */
    ace_jobs_close(jobs);
}

static void a_queued_job_is_cancelled_at_once(void **state)
{
    (void)state;
    ace_jobs *jobs = job_service_open(folder, NULL);
    char *a = job_service_add(jobs, "a");
    char *b = job_service_add(jobs, "b");
    assert_int_equal(ace_jobs_cancel(jobs, a), ACE_JOB_CHANGED);
    assert_int_equal(ace_jobs_status(jobs, a), ACE_JOB_CANCELLED);
    assert_int_equal(ace_jobs_cancel(jobs, a), ACE_JOB_FINISHED);
    assert_int_equal(ace_jobs_cancel(jobs, "j_nobody"), ACE_JOB_UNKNOWN);
    assert_int_equal(ace_jobs_start(jobs, NULL), ACESTEP_OK);
    job_service_await(jobs, b, ACE_JOB_DONE);
    assert_int_equal(fake_engine_runs(), 1);
    free(a);
    free(b);
    ace_jobs_close(jobs);
}

static void a_running_job_is_cancelled_at_its_next_step(void **state)
{
    (void)state;
    fake_engine_hold(true);
    ace_jobs *jobs = job_service_start(folder, NULL);
    char *a = job_service_add(jobs, "a");
    fake_engine_await_runs(1);
    assert_int_equal(ace_jobs_cancel(jobs, a), ACE_JOB_CHANGED);
    job_service_await(jobs, a, ACE_JOB_CANCELLED);
    assert_false(job_service_file(jobs, a, 0, ACE_JOB_AUDIO));
    fake_engine_hold(false);
    char *b = job_service_add(jobs, "b"); /* the worker goes on */
    job_service_await(jobs, b, ACE_JOB_DONE);
    free(a);
    free(b);
    ace_jobs_close(jobs);
}

static void a_running_job_can_be_removed(void **state)
{
    (void)state;
    fake_engine_hold(true);
    ace_jobs *jobs = job_service_start(folder, NULL);
    char *a = job_service_add(jobs, "a");
    fake_engine_await_runs(1);
    assert_int_equal(ace_jobs_remove(jobs, a), ACE_JOB_CHANGED);
    assert_int_equal(ace_jobs_status(jobs, a), -1);
    assert_null(ace_jobs_record(jobs, a));
    assert_int_equal(ace_jobs_remove(jobs, a), ACE_JOB_UNKNOWN);
    fake_engine_hold(false);
    char *b = job_service_add(jobs, "b");
    job_service_await(jobs, b, ACE_JOB_DONE);
    assert_int_equal(ace_jobs_status(jobs, a), -1);
    assert_int_equal(ace_jobs_remove(jobs, b), ACE_JOB_CHANGED);
    assert_false(job_service_file(jobs, b, 0, ACE_JOB_AUDIO));
    free(a);
    free(b);
    ace_jobs_close(jobs);
}

static void the_named_jobs_go_first(void **state)
{
    (void)state;
    static const char *const captions[] = {"a", "b", "c", "d"};
    static const char *const order[] = {"d", "b", "a", "c"};
    char *id[4];
    ace_jobs *jobs = job_service_open(folder, NULL);
    for (int i = 0; i < 4; i++) {
        id[i] = job_service_add(jobs, captions[i]);
    }
    const char *const named[] = {id[3], "j_nobody", id[1], id[3]};
    assert_int_equal(ace_jobs_reorder(jobs, named, 4), ACE_JOB_CHANGED);
    ace_jobs_close(jobs);
    jobs = job_service_start(folder, NULL); /* also for the next start */
    for (int i = 0; i < 4; i++) {
        job_service_await(jobs, id[i], ACE_JOB_DONE);
        free(id[i]);
    }
    for (int i = 0; i < 4; i++) {
        assert_string_equal(fake_engine_caption(i), order[i]);
    }
    ace_jobs_close(jobs);
}

static void a_failure_is_told_in_one_sentence(void **state)
{
    (void)state;
    ace_jobs *jobs = job_service_start(folder, NULL);
    char *id = job_service_add(jobs, "fail");
    job_service_await(jobs, id, ACE_JOB_FAILED);
    char *code = job_service_text(jobs, id, "error.code");
    char *message = job_service_text(jobs, id, "error.message");
    assert_string_equal(code, "failed");
    assert_string_equal(message, "diffusion: it was asked to fail");
    free(code);
    free(message);
    free(id);
    ace_jobs_close(jobs);
}

static void what_cannot_be_planned_is_refused(void **state)
{
    (void)state;
    char *id = NULL;
    ace_jobs *jobs = job_service_start(folder, NULL);
    assert_int_equal(job_service_try(jobs, "no plan", NULL, &id), ACESTEP_UNSUPPORTED);
    ace_jobs_close(jobs);
}

static void a_missing_model_is_told_before_anybody_waits(void **state)
{
    (void)state;
    char *id = NULL;
    ace_jobs *jobs = job_service_open(folder, NULL);
    fake_engine_refuse_to_open(true);
    assert_int_equal(job_service_try(jobs, "a", NULL, &id), ACESTEP_MODEL);
    ace_jobs_close(jobs);
}

static ace_status ask(ace_jobs *jobs, json_t *params, bool admin, ace_error *err)
{
    json_t *record = NULL;
    const ace_job_wish wish = {
        .kind = ACE_JOB_SONG, .origin = "native", .params = params, .admin = admin};
    *err = (ace_error){.code = ACESTEP_OK};
    ace_status status = ace_jobs_add(jobs, &wish, &record, NULL, err);
    json_decref(params);
    json_decref(record);
    return status;
}

static void places_on_the_disk_are_not_for_clients(void **state)
{
    (void)state;
    ace_error err;
    ace_jobs *jobs = job_service_open(folder, NULL);
    static const char *const own[] = {"output", "trace",     "trace_mem", "gpu_tiers",
                                      "genres", "cache_dir", "plugin_dir"};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
        assert_int_equal(ask(jobs, json_pack("{s:s}", own[i], "/etc/x"), true, &err),
                         ACESTEP_ARGUMENT);
        assert_non_null(strstr(err.message, own[i]));
    }
    assert_int_equal(ask(jobs, json_pack("{s:s}", "model", "../x"), true, &err), ACESTEP_ARGUMENT);
    assert_int_equal(ask(jobs, json_pack("{s:s}", "models", "/x"), false, &err), ACESTEP_ARGUMENT);
    assert_int_equal(ask(jobs, json_pack("{s:s}", "models", "/x"), true, &err), ACESTEP_OK);
    assert_int_equal(ask(jobs, json_pack("{s:b}", "cublas", 0), false, &err), ACESTEP_ARGUMENT);
    assert_int_equal(ask(jobs, json_pack("{s:s, s:b}", "output", "", "sidecar", 1), false, &err),
                     ACESTEP_OK); /* as a sidecar says it */
    assert_int_equal(ask(jobs, json_pack("{s:s}", "nonsense", ""), true, &err), ACESTEP_ARGUMENT);
    ace_jobs_close(jobs);
}

static void random_seeds_are_fixed_when_it_starts(void **state)
{
    (void)state;
    json_t *record = NULL;
    json_t *params = json_pack("{s:s, s:i, s:s}", "caption", "x", "batch_size", 3, "seed", "7,-1");
    const ace_job_wish wish = {.kind = ACE_JOB_SONG, .origin = "native", .params = params};
    ace_jobs *jobs = job_service_start(folder, NULL);
    assert_int_equal(ace_jobs_add(jobs, &wish, &record, NULL, NULL), ACESTEP_OK);
    char *id = strdup(json_string_value(json_object_get(record, "id")));
    json_decref(record);
    job_service_await(jobs, id, ACE_JOB_DONE);
    char *seeds = job_service_text(jobs, id, "params.seed");
    unsigned long first = 0;
    unsigned long second = 0;
    unsigned long third = 0;
    char end = 0;
    assert_int_equal(sscanf(seeds, "%lu,%lu,%lu%c", &first, &second, &third, &end), 3);
    assert_int_equal(first, 7);
    assert_string_equal(seeds, fake_engine_seeds(0));
    assert_true(job_service_file(jobs, id, 2, ACE_JOB_AUDIO));
    char *seed = job_service_text(jobs, id, "items.2.seed");
    assert_int_equal(strtoul(seed, NULL, 10), third);
    free(seed);
    free(seeds);
    free(id);
    json_decref(params);
    ace_jobs_close(jobs);
}

static void the_same_key_gives_the_same_job(void **state)
{
    (void)state;
    json_t *one = NULL;
    json_t *two = NULL;
    json_t *params = json_pack("{s:s}", "caption", "x");
    const ace_job_wish wish = {
        .kind = ACE_JOB_SONG, .origin = "native", .params = params, .repeat_key = "k"};
    ace_jobs *jobs = job_service_open(folder, &(ace_jobs_options){.queue_limit = 1});
    assert_int_equal(ace_jobs_add(jobs, &wish, &one, NULL, NULL), ACESTEP_OK);
    assert_int_equal(ace_jobs_add(jobs, &wish, &two, NULL, NULL), ACESTEP_OK);
    assert_string_equal(json_string_value(json_object_get(one, "id")),
                        json_string_value(json_object_get(two, "id")));
    json_decref(one);
    json_decref(two);
    json_decref(params);
    ace_jobs_close(jobs);
}

static void words_come_without_files(void **state)
{
    (void)state;
    json_t *record = NULL;
    json_t *empty = json_object();
    json_t *params = json_pack("{s:s}", "sample_query", "a waltz");
    ace_job_wish wish = {.kind = ACE_JOB_SAMPLE, .origin = "native", .params = empty};
    ace_jobs *jobs = job_service_start(folder, NULL);
    assert_int_equal(ace_jobs_add(jobs, &wish, &record, NULL, NULL), ACESTEP_ARGUMENT);
    wish.params = params;
    assert_int_equal(ace_jobs_add(jobs, &wish, &record, NULL, NULL), ACESTEP_OK);
    char *id = strdup(json_string_value(json_object_get(record, "id")));
    json_decref(record);
    job_service_await(jobs, id, ACE_JOB_DONE);
    char *caption = job_service_text(jobs, id, "words.caption");
    assert_string_equal(caption, "invented");
    free(caption);
    free(id);
    json_decref(empty);
    json_decref(params);
    ace_jobs_close(jobs);
}

static void lists_are_filtered_and_paged(void **state)
{
    (void)state;
    ace_jobs *jobs = job_service_start(folder, NULL);
    char *id[5];
    for (int i = 0; i < 5; i++) {
        id[i] = job_service_add(jobs, i == 2 ? "50% swing_" : "polka");
        job_service_await(jobs, id[i], ACE_JOB_DONE);
    }
    assert_int_equal(ace_jobs_edit(jobs, id[1], "My Song", 1), ACE_JOB_CHANGED);
    ace_jobs_filter f = {.favourite = -1, .limit = 2};
    json_t *page = ace_jobs_list(jobs, &f);
    const char *next = json_string_value(json_object_get(page, "next"));
    assert_string_equal(next, id[3]);
    assert_int_equal(json_integer_value(json_object_get(page, "total")), 5);
    f.after = next;
    json_t *rest = ace_jobs_list(jobs, &f);
    assert_string_equal(
        json_string_value(json_object_get(json_array_get(json_object_get(rest, "jobs"), 0), "id")),
        id[2]);
    json_decref(page);
    json_decref(rest);
    static const struct {
        const char *text;
        int favourite;
        unsigned statuses, kinds;
        int found;
    } cases[] = {{"50% SWING_", -1, 0, 0, 1},
                 {"5_% ", -1, 0, 0, 0},
                 {NULL, 1, 0, 0, 1},
                 {"my song", -1, 0, 0, 1},
                 {"POLKA", 0, 0, 0, 3},
                 {NULL, -1, 1u << ACE_JOB_FAILED, 0, 0},
                 {NULL, -1, 1u << ACE_JOB_DONE, 1u << ACE_JOB_SONG, 5}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ace_jobs_filter one = {
            cases[i].statuses, cases[i].kinds, cases[i].favourite, cases[i].text, NULL, NULL, 50};
        json_t *found = ace_jobs_list(jobs, &one);
        assert_int_equal(json_integer_value(json_object_get(found, "total")), cases[i].found);
        assert_int_equal(json_array_size(json_object_get(found, "jobs")), cases[i].found);
        json_decref(found);
    }
    for (int i = 0; i < 5; i++) {
        free(id[i]);
    }
    ace_jobs_close(jobs);
}

static void what_waits_is_listed_from_memory_as_from_the_journal(void **state)
{
    (void)state;
    char *id[4];
    fake_engine_hold(true);
    ace_jobs *jobs = job_service_start(folder, NULL);
    for (int i = 0; i < 4; i++) {
        id[i] = job_service_add(jobs, "polka");
        fake_engine_await_runs(1);
    }
    assert_int_equal(ace_jobs_edit(jobs, id[2], NULL, 1), ACE_JOB_CHANGED);
    const unsigned live = 1u << ACE_JOB_QUEUED | 1u << ACE_JOB_RUNNING;
    const ace_jobs_filter cases[] = {
        {.statuses = live, .favourite = -1, .limit = 9},
        {.statuses = live, .favourite = -1, .limit = 2},
        {.statuses = live, .favourite = -1, .limit = 2, .after = id[1]},
        {.statuses = live, .favourite = 1, .limit = 9},
        {.statuses = live, .favourite = 0, .limit = 9, .kinds = 1u << ACE_JOB_SAMPLE},
        {.statuses = 1u << ACE_JOB_RUNNING, .favourite = -1, .limit = 9},
        {.statuses = 1u << ACE_JOB_QUEUED, .favourite = -1, .limit = 9, .origin = "peer"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ace_jobs_filter by_text = cases[i];
        by_text.text = "polka"; /* so the journal is asked */
        json_t *one = ace_jobs_list(jobs, &cases[i]);
        json_t *other = ace_jobs_list(jobs, &by_text);
        assert_true(json_equal(json_object_get(one, "total"), json_object_get(other, "total")));
        assert_true(json_equal(json_object_get(one, "next"), json_object_get(other, "next")));
        json_t *a = json_object_get(one, "jobs");
        json_t *b = json_object_get(other, "jobs");
        assert_int_equal(json_array_size(a), json_array_size(b));
        for (size_t k = 0; k < json_array_size(a); k++) {
            assert_true(json_equal(json_object_get(json_array_get(a, k), "id"),
                                   json_object_get(json_array_get(b, k), "id")));
        }
        json_decref(one);
        json_decref(other);
    }
    for (int i = 0; i < 4; i++) {
        free(id[i]);
    }
    ace_jobs_close(jobs);
}

static void nothing_is_leaked(void **state)
{
    (void)state;
    uint64_t before = ace_memory_live();
    ace_jobs *jobs = job_service_start(folder, NULL);
    char *id = job_service_add(jobs, "careful");
    job_service_await(jobs, id, ACE_JOB_DONE);
    free(job_service_add(jobs, "slow"));
    free(id);
    ace_jobs_close(jobs);
    assert_int_equal(ace_memory_live(), before);
}

/* Everything but the worker's own part, which needs no memory of this kind but for strings. */
static bool lives_through(uint64_t nth)
{
    uint64_t before = ace_memory_live();
    uint64_t count = ace_memory_count();
    ace_jobs *jobs = NULL;
    const ace_jobs_options options = {.folder = folder, .engine = &fake_engine};
    ace_memory_fail_at(nth);
    if (ace_jobs_open(&options, &jobs, NULL) == ACESTEP_OK) {
        char *id = NULL;
        if (job_service_try(jobs, "a", NULL, &id) == ACESTEP_OK) {
            json_decref(ace_jobs_record(jobs, id));
            (void)ace_jobs_edit(jobs, id, "title", 1);
            (void)ace_jobs_reorder(jobs, &(const char *){id}, 1);
            (void)ace_jobs_cancel(jobs, id);
            json_decref(ace_jobs_record(jobs, id));
            (void)ace_jobs_remove(jobs, id);
        }
        free(id);
    }
    ace_jobs_close(jobs);
    ace_memory_fail_at(0);
    assert_int_equal(ace_memory_live(), before);
    return ace_memory_count() - count < nth;
}

static void a_shortage_of_memory_is_survived(void **state)
{
    (void)state;
    uint64_t nth = 1;
    while (!lives_through(nth)) {
        nth++;
    }
    assert_true(nth > 20);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, finish)
    const struct CMUnitTest tests[] = {
        TEST(jobs_run_one_after_another_in_order),
        TEST(a_full_queue_refuses_and_says_when_to_come_again),
        TEST(a_queued_job_is_cancelled_at_once),
        TEST(a_running_job_is_cancelled_at_its_next_step),
        TEST(a_running_job_can_be_removed),
        TEST(the_named_jobs_go_first),
        TEST(a_failure_is_told_in_one_sentence),
        TEST(what_cannot_be_planned_is_refused),
        TEST(a_missing_model_is_told_before_anybody_waits),
        TEST(places_on_the_disk_are_not_for_clients),
        TEST(random_seeds_are_fixed_when_it_starts),
        TEST(the_same_key_gives_the_same_job),
        TEST(words_come_without_files),
        TEST(lists_are_filtered_and_paged),
        TEST(what_waits_is_listed_from_memory_as_from_the_journal),
        TEST(a_shortage_of_memory_is_survived),
        TEST(nothing_is_leaked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
