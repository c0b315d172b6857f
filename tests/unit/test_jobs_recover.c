/* What survives: killed programs, stopped ones, damaged journals, full disks. */
#include "support/fake_engine.h"
#include "support/job_service.h"
#include "support/temporary_folder.h"

#include "base/log.h"

#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[TEMPORARY_FOLDER_BYTES];

static int begin(void **state)
{
    (void)state;
    ace_log_set_level(ACE_LOG_QUIET);
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

static void path_of(const char *below, char path[256])
{
    (void)snprintf(path, 256, "%s/%s", folder, below);
}

/* The id of the job with this caption. */
static char *find(ace_jobs *jobs, const char *caption)
{
    const ace_jobs_filter all = {.favourite = -1, .limit = 50};
    json_t *list = ace_jobs_list(jobs, &all);
    char *id = NULL;
    size_t i = 0;
    json_t *record = NULL;
    json_array_foreach (json_object_get(list, "jobs"), i, record) {
        const char *text =
            json_string_value(json_object_get(json_object_get(record, "params"), "caption"));
        if (id == NULL && text != NULL && strcmp(text, caption) == 0) {
            id = strdup(json_string_value(json_object_get(record, "id")));
        }
    }
    json_decref(list);
    return id;
}

/* ---- killed
 * ----------------------------------------------------------------------------------------- */

static void queue_and_die(const char *where)
{
    ace_jobs *jobs = job_service_open(where, NULL);
    free(job_service_add(jobs, "kill"));
    free(job_service_add(jobs, "b"));
    free(job_service_add(jobs, "c"));
    (void)ace_jobs_start(jobs, NULL);
    (void)pause();
}

static void run_on(const char *where)
{
    (void)job_service_start(where, NULL);
    (void)pause();
}

static void assert_killed(int status)
{
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGKILL);
}

static void the_queue_survives_and_a_deadly_job_runs_twice_at_most(void **state)
{
    (void)state;
    assert_killed(job_service_fork(queue_and_die, folder));
    assert_killed(job_service_fork(run_on, folder)); /* tried once more */
    ace_jobs *jobs = job_service_open(folder, NULL);
    char *a = find(jobs, "kill");
    char *b = find(jobs, "b");
    char *c = find(jobs, "c");
    assert_int_equal(ace_jobs_status(jobs, a), ACE_JOB_FAILED);
    char *message = job_service_text(jobs, a, "error.message");
    assert_non_null(strstr(message, "twice"));
    assert_int_equal(ace_jobs_status(jobs, b), ACE_JOB_QUEUED);
    assert_int_equal(ace_jobs_start(jobs, NULL), ACESTEP_OK);
    job_service_await(jobs, b, ACE_JOB_DONE);
    job_service_await(jobs, c, ACE_JOB_DONE);
    assert_string_equal(fake_engine_caption(0), "b");
    assert_int_equal(fake_engine_runs(), 2);
    ace_jobs_close(jobs);
    free(message);
    free(a);
    free(b);
    free(c);
}

static void queue_slow_and_die(const char *where)
{
    ace_jobs *jobs = job_service_start(where, NULL);
    free(job_service_add(jobs, "slow"));
    fake_engine_await_runs(1);
    (void)raise(SIGKILL);
}

/* A stop does not count as an interruption. */
static void stop_and_die(const char *where)
{
    ace_jobs *jobs = job_service_start(where, NULL);
    free(job_service_add(jobs, "slow"));
    fake_engine_await_runs(1);
    ace_jobs_close(jobs);
    (void)job_service_start(where, NULL);
    fake_engine_await_runs(2);
    (void)raise(SIGKILL);
}

static void only_interruptions_count(void **state)
{
    (void)state;
    assert_killed(job_service_fork(stop_and_die, folder));
    ace_jobs *jobs = job_service_open(folder, NULL);
    char *id = find(jobs, "slow");
    assert_int_equal(ace_jobs_status(jobs, id), ACE_JOB_QUEUED);
    ace_jobs_close(jobs);
    free(id);
}

static void an_interrupted_job_runs_again_with_its_seeds(void **state)
{
    (void)state;
    assert_killed(job_service_fork(queue_slow_and_die, folder));
    ace_jobs *jobs = job_service_open(folder, NULL);
    char *id = find(jobs, "slow");
    assert_int_equal(ace_jobs_status(jobs, id), ACE_JOB_QUEUED);
    char *seed = job_service_text(jobs, id, "params.seed");
    assert_true(seed[0] != '\0' && seed[0] != '-');
    assert_int_equal(ace_jobs_start(jobs, NULL), ACESTEP_OK);
    fake_engine_await_runs(1);
    assert_string_equal(fake_engine_seeds(0), seed);
    ace_jobs_close(jobs);
    free(seed);
    free(id);
}

/* ---- stopped
 * ---------------------------------------------------------------------------------------- */

static void a_stopped_job_is_queued_again_as_often_as_it_takes(void **state)
{
    (void)state;
    char *id = NULL;
    for (int i = 0; i < 4; i++) {
        fake_engine_reset();
        fake_engine_hold(true);
        ace_jobs *jobs = job_service_start(folder, NULL);
        if (id == NULL) {
            id = job_service_add(jobs, "a");
        }
        fake_engine_await_runs(1);
        ace_jobs_stop(jobs, 0);
        assert_int_equal(ace_jobs_status(jobs, id), ACE_JOB_QUEUED);
        char *none = NULL;
        assert_int_equal(job_service_try(jobs, "late", NULL, &none), ACESTEP_BUSY);
        ace_jobs_close(jobs);
    }
    fake_engine_hold(false);
    ace_jobs *jobs = job_service_start(folder, NULL);
    job_service_await(jobs, id, ACE_JOB_DONE);
    ace_jobs_close(jobs);
    free(id);
}

static void a_job_may_finish_within_the_grace(void **state)
{
    (void)state;
    ace_jobs *jobs = job_service_start(folder, NULL);
    fake_engine_hold(true);
    char *id = job_service_add(jobs, "a");
    fake_engine_await_runs(1);
    fake_engine_hold(false);
    ace_jobs_stop(jobs, 20);
    assert_int_equal(ace_jobs_status(jobs, id), ACE_JOB_DONE);
    ace_jobs_close(jobs);
    free(id);
}

static void a_folder_has_one_server(void **state)
{
    (void)state;
    ace_jobs *other = NULL;
    ace_error err = {.code = ACESTEP_OK};
    ace_jobs *jobs = job_service_open(folder, NULL);
    const ace_jobs_options options = {.folder = folder, .engine = &fake_engine};
    assert_int_equal(ace_jobs_open(&options, &other, &err), ACESTEP_BUSY);
    assert_null(other);
    assert_non_null(strstr(err.message, "another server"));
    ace_jobs_close(jobs);
    assert_int_equal(ace_jobs_open(&options, &other, NULL), ACESTEP_OK);
    ace_jobs_close(other);
}

/* ---- damaged
 * ---------------------------------------------------------------------------------------- */

static int files_like(const char *prefix)
{
    int n = 0;
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (struct dirent *d = readdir(dir); d != NULL; d = readdir(dir)) {
        n += strncmp(d->d_name, prefix, strlen(prefix)) == 0;
    }
    (void)closedir(dir);
    return n;
}

static void overwrite(const char *name, const char *text, long at, int times)
{
    char path[256];
    path_of(name, path);
    FILE *f = fopen(path, at < 0 ? "wb" : "r+b");
    assert_non_null(f);
    assert_int_equal(fseek(f, at < 0 ? 0 : at, SEEK_SET), 0);
    for (int i = 0; i < times; i++) {
        assert_true(fputs(text, f) >= 0);
    }
    assert_int_equal(fclose(f), 0);
}

static void a_damaged_journal_is_set_aside_and_its_songs_are_kept(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        long at;
        int times;
    } damages[] = {
        {"this is no database, it is a letter to a friend who lives far away. ", -1, 100},
        {"x", 0, 16},
        {"\xff\xff\xff\xff\xff\xff\xff\xff", 4096, 512},
        {"\xff\xff\xff\xff\xff\xff\xff\xff", 100, 400}};
    ace_jobs *jobs = job_service_start(folder, NULL);
    char *id = job_service_add(jobs, "a");
    job_service_await(jobs, id, ACE_JOB_DONE);
    ace_jobs_close(jobs);
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        char path[256];
        path_of("jobs.db-wal", path);
        (void)unlink(path);
        overwrite("jobs.db", damages[i].text, damages[i].at, damages[i].times);
        jobs = job_service_start(folder, NULL);
        assert_true(files_like("jobs.db.damaged-") > 0);
        assert_int_equal(ace_jobs_status(jobs, id), ACE_JOB_DONE);
        assert_true(job_service_file(jobs, id, 0, ACE_JOB_AUDIO));
        char *b = job_service_add(jobs, "b");
        job_service_await(jobs, b, ACE_JOB_DONE);
        free(b);
        ace_jobs_close(jobs);
    }
    free(id);
}

static void sql(const char *statement)
{
    char path[256];
    sqlite3 *db = NULL;
    path_of("jobs.db", path);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, statement, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void a_foreign_database_is_set_aside_and_a_newer_one_refused(void **state)
{
    (void)state;
    sql("CREATE TABLE birds(name TEXT)");
    ace_jobs_close(job_service_open(folder, NULL));
    assert_int_equal(files_like("jobs.db.damaged-"), 1);
    sql("PRAGMA user_version=99");
    ace_jobs *jobs = NULL;
    ace_error err = {.code = ACESTEP_OK};
    const ace_jobs_options options = {.folder = folder, .engine = &fake_engine};
    assert_int_equal(ace_jobs_open(&options, &jobs, &err), ACESTEP_UNSUPPORTED);
    assert_non_null(strstr(err.message, "newer"));
    assert_int_equal(files_like("jobs.db.damaged-"), 1);
}

/* ---- the disk
 * --------------------------------------------------------------------------------------- */

/* Writing beyond so many bytes of any file fails from now on. */
static void limit_files(rlim_t bytes)
{
    struct rlimit limit;
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void a_full_disk_fails_the_job_with_a_reason(void **state)
{
    (void)state;
    ace_jobs *jobs = job_service_start(folder, NULL);
    limit_files(512 * 1024);
    char *id = job_service_add(jobs, "large");
    job_service_await(jobs, id, ACE_JOB_FAILED);
    char *code = job_service_text(jobs, id, "error.code");
    char *message = job_service_text(jobs, id, "error.message");
    assert_string_equal(code, "disk");
    assert_non_null(strstr(message, "written"));
    char path[256];
    path_of("results", path);
    assert_int_equal(rmdir(path), 0); /* nothing half done is left */
    assert_int_equal(mkdir(path, 0700), 0);
    limit_files(RLIM_INFINITY);
    char *b = job_service_add(jobs, "large"); /* and it goes on when there is room again */
    job_service_await(jobs, b, ACE_JOB_DONE);
    ace_jobs_close(jobs);
    free(code);
    free(message);
    free(id);
    free(b);
}

static void a_journal_that_cannot_be_written_takes_no_jobs(void **state)
{
    (void)state;
    char *id = NULL;
    fake_engine_hold(true);
    ace_jobs *jobs = job_service_start(folder, NULL);
    char *a = job_service_add(jobs, "a");
    fake_engine_await_runs(1);
    limit_files(0);
    assert_int_equal(job_service_try(jobs, "b", NULL, &id), ACESTEP_IO);
    assert_int_equal(ace_jobs_edit(jobs, a, "title", -1), ACE_JOB_UNSAVED);
    assert_int_equal(ace_jobs_cancel(jobs, a), ACE_JOB_CHANGED);
    job_service_await(jobs, a, ACE_JOB_CANCELLED); /* in memory */
    limit_files(RLIM_INFINITY);
    char *b = job_service_add(jobs, "b");
    fake_engine_hold(false);
    job_service_await(jobs, b, ACE_JOB_DONE);
    ace_jobs_close(jobs);
    jobs = job_service_open(folder, NULL); /* and by now on the disk */
    assert_int_equal(ace_jobs_status(jobs, a), ACE_JOB_CANCELLED);
    ace_jobs_close(jobs);
    free(a);
    free(b);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, finish)
    const struct CMUnitTest tests[] = {
        TEST(the_queue_survives_and_a_deadly_job_runs_twice_at_most),
        TEST(an_interrupted_job_runs_again_with_its_seeds),
        TEST(only_interruptions_count),
        TEST(a_stopped_job_is_queued_again_as_often_as_it_takes),
        TEST(a_job_may_finish_within_the_grace),
        TEST(a_folder_has_one_server),
        TEST(a_damaged_journal_is_set_aside_and_its_songs_are_kept),
        TEST(a_foreign_database_is_set_aside_and_a_newer_one_refused),
        TEST(a_full_disk_fails_the_job_with_a_reason),
        TEST(a_journal_that_cannot_be_written_takes_no_jobs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
