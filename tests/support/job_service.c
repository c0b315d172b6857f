#include "support/job_service.h"

#include "base/clock.h"
#include "base/memory.h"
#include "support/fake_engine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

ace_jobs *job_service_open(const char *folder, const ace_jobs_options *options)
{
    ace_jobs *jobs = NULL;
    ace_error err = {.code = ACESTEP_OK};
    ace_jobs_options o = options != NULL ? *options : (ace_jobs_options){0};
    o.folder = folder;
    o.engine = &fake_engine;
    o.queue_limit = o.queue_limit > 0 ? o.queue_limit : 8;
    if (ace_jobs_open(&o, &jobs, &err) != ACESTEP_OK) {
        fail_msg("%s", err.message);
    }
    return jobs;
}

ace_jobs *job_service_start(const char *folder, const ace_jobs_options *options)
{
    ace_jobs *jobs = job_service_open(folder, options);
    assert_int_equal(ace_jobs_start(jobs, NULL), ACESTEP_OK);
    return jobs;
}

ace_status job_service_try(ace_jobs *jobs, const char *caption, double *retry_seconds, char **id)
{
    json_t *record = NULL;
    json_t *params = json_pack("{s:s}", "caption", caption);
    const ace_job_wish wish = {
        .kind = ACE_JOB_SONG, .origin = "native", .params = params, .admin = true};
    ace_error err = {.code = ACESTEP_OK};
    ace_status status = ace_jobs_add(jobs, &wish, &record, retry_seconds, &err);
    json_decref(params);
    *id = status == ACESTEP_OK ? strdup(json_string_value(json_object_get(record, "id"))) : NULL;
    json_decref(record);
    return status;
}

char *job_service_add(ace_jobs *jobs, const char *caption)
{
    char *id = NULL;
    assert_int_equal(job_service_try(jobs, caption, NULL, &id), ACESTEP_OK);
    return id;
}

void job_service_await(ace_jobs *jobs, const char *id, ace_job_status status)
{
    const struct timespec moment = {0, 1000000};
    double end = ace_clock_seconds() + 20;
    while (ace_jobs_status(jobs, id) != (int)status && ace_clock_seconds() < end) {
        (void)nanosleep(&moment, NULL);
    }
    assert_int_equal(ace_jobs_status(jobs, id), status);
}

char *job_service_text(ace_jobs *jobs, const char *id, const char *path)
{
    char *names = strdup(path);
    char *rest = names;
    json_t *record = ace_jobs_record(jobs, id);
    const json_t *at = record;
    for (const char *name = NULL; (name = strtok_r(rest, ".", &rest)) != NULL;) {
        at = json_is_array(at) ? json_array_get(at, (size_t)atoi(name)) : json_object_get(at, name);
    }
    char *text = json_is_string(at) ? strdup(json_string_value(at))
                 : at != NULL       ? json_dumps(at, JSON_ENCODE_ANY)
                                    : strdup("");
    json_decref(record);
    free(names);
    return text;
}

bool job_service_file(ace_jobs *jobs, const char *id, int item, ace_job_file file)
{
    char *path = NULL;
    bool there =
        ace_jobs_file(jobs, id, item, file, &path, NULL) == ACESTEP_OK && access(path, R_OK) == 0;
    ace_free(path);
    return there;
}

static void append_name(void *context, const ace_job_event *event)
{
    FILE *f = context;
    fprintf(f, "%s%s", ftell(f) > 0 ? " " : "", event->name);
}

char *job_service_events(ace_jobs *jobs, const char *id)
{
    char *text = NULL;
    size_t bytes = 0;
    bool lost = false;
    FILE *f = open_memstream(&text, &bytes);
    (void)ace_jobs_events(jobs, id, 0, &lost, append_name, f);
    assert_false(lost);
    assert_int_equal(fclose(f), 0);
    return text;
}

int job_service_fork(void (*work)(const char *folder), const char *folder)
{
    int status = 0;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        work(folder);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}
