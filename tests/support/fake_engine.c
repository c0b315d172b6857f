#include "support/fake_engine.h"

#include "base/clock.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

enum { MOST_RUNS = 512, TEXT_BYTES = 64 };

static struct {
    pthread_mutex_t lock;
    bool hold, refuse;
    int runs, opens, closes;
    char caption[MOST_RUNS][TEXT_BYTES], seeds[MOST_RUNS][TEXT_BYTES];
} fake = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void pause_briefly(void)
{
    const struct timespec moment = {0, 1000000};
    (void)nanosleep(&moment, NULL);
}

void fake_engine_reset(void)
{
    (void)pthread_mutex_lock(&fake.lock);
    fake.hold = fake.refuse = false;
    fake.runs = fake.opens = fake.closes = 0;
    (void)pthread_mutex_unlock(&fake.lock);
}

static void set(bool *what, bool value)
{
    (void)pthread_mutex_lock(&fake.lock);
    *what = value;
    (void)pthread_mutex_unlock(&fake.lock);
}

static int get(const int *what)
{
    (void)pthread_mutex_lock(&fake.lock);
    int value = *what;
    (void)pthread_mutex_unlock(&fake.lock);
    return value;
}

void fake_engine_hold(bool hold)
{
    set(&fake.hold, hold);
}

void fake_engine_refuse_to_open(bool refuse)
{
    set(&fake.refuse, refuse);
}

int fake_engine_runs(void)
{
    return get(&fake.runs);
}

int fake_engine_opens(void)
{
    return get(&fake.opens);
}

int fake_engine_closes(void)
{
    return get(&fake.closes);
}

const char *fake_engine_caption(int run)
{
    return fake.caption[run];
}

const char *fake_engine_seeds(int run)
{
    return fake.seeds[run];
}

void fake_engine_await_runs(int n)
{
    double end = ace_clock_seconds() + 20;
    while (fake_engine_runs() < n && ace_clock_seconds() < end) {
        pause_briefly();
    }
    assert_true(fake_engine_runs() >= n);
}

/* ---- the engine
 * ------------------------------------------------------------------------------------- */

static json_t *options_of(const acestep_request *request)
{
    char *text = acestep_request_json(request, false);
    json_t *all = json_loads(text, 0, NULL);
    acestep_free(text);
    return all;
}

static const char *text_of(const json_t *options, const char *name)
{
    return json_string_value(json_object_get(options, name));
}

static acestep_status give_up(acestep_error *err, acestep_status code, const char *message)
{
    err->code = code;
    (void)snprintf(err->message, sizeof err->message, "%s", message);
    return code;
}

static acestep_status open_engine(const acestep_request *request, void **engine, acestep_error *err)
{
    json_t *options = options_of(request);
    bool for_plans = strcmp(text_of(options, "exec"), "shape") == 0;
    json_decref(options);
    (void)pthread_mutex_lock(&fake.lock);
    bool refuse = fake.refuse;
    fake.opens += refuse || for_plans ? 0 : 1;
    (void)pthread_mutex_unlock(&fake.lock);
    if (refuse) {
        return give_up(err, ACESTEP_MODEL, "model: there is none");
    }
    *engine = malloc(1);
    *(char *)*engine = for_plans ? 'p' : 'r';
    return ACESTEP_OK;
}

static void close_engine(void *engine)
{
    (void)pthread_mutex_lock(&fake.lock);
    fake.closes += *(char *)engine == 'r';
    (void)pthread_mutex_unlock(&fake.lock);
    free(engine);
}

static char *describe(void *engine)
{
    (void)engine;
    return strdup("{\"device\": \"fake\"}");
}

static void note(const json_t *options)
{
    (void)pthread_mutex_lock(&fake.lock);
    int i = fake.runs < MOST_RUNS ? fake.runs : MOST_RUNS - 1;
    (void)snprintf(fake.caption[i], TEXT_BYTES, "%.60s", text_of(options, "caption"));
    (void)snprintf(fake.seeds[i], TEXT_BYTES, "%.60s", text_of(options, "seed"));
    fake.runs++;
    (void)pthread_mutex_unlock(&fake.lock);
}

static bool is_held(const char *caption)
{
    (void)pthread_mutex_lock(&fake.lock);
    bool hold = fake.hold || strcmp(caption, "slow") == 0;
    (void)pthread_mutex_unlock(&fake.lock);
    return hold;
}

static bool write_text(const char *path, const char *text, size_t repeat)
{
    FILE *f = fopen(path, "wb");
    bool good = f != NULL;
    for (size_t i = 0; good && i < repeat; i++) {
        good = fputs(text, f) >= 0;
    }
    return f != NULL && fclose(f) == 0 && good;
}

static json_t *write_song(const json_t *options, int index, int n, const char *seed)
{
    char path[4600];
    char sidecar[4600];
    const char *output = text_of(options, "output");
    const char *dot = strrchr(output, '.');
    char number[16] = "";
    if (n > 1) {
        (void)snprintf(number, sizeof number, "_%d", index + 1);
    }
    (void)snprintf(path, sizeof path, "%.*s%s%s", (int)(dot - output), output, number, dot);
    (void)snprintf(sidecar, sizeof sidecar, "%.*s%s.json", (int)(dot - output), output, number);
    bool large = strcmp(text_of(options, "caption"), "large") == 0;
    char *text = json_dumps(options, JSON_COMPACT);
    bool good = write_text(path, large ? "0123456789abcdef" : "song", large ? 65536 : 1) &&
                write_text(sidecar, text, 1);
    free(text);
    return good ? json_pack("{s:s, s:I, s:f, s:i}", "path", path, "seed", (json_int_t)atoll(seed),
                            "seconds", 10.0, "sample_rate", 48000)
                : NULL;
}

static json_t *write_songs(const json_t *options)
{
    json_t *outputs = json_array();
    char *seeds = strdup(text_of(options, "seed"));
    char *rest = seeds;
    int n = 1;
    for (const char *c = seeds; *c != '\0'; c++) {
        n += *c == ',';
    }
    for (int i = 0; i < n; i++) {
        json_t *song = write_song(options, i, n, strtok_r(rest, ",", &rest));
        if (song == NULL) {
            json_decref(outputs);
            outputs = NULL;
            break;
        }
        json_array_append_new(outputs, song);
    }
    free(seeds);
    return outputs;
}

static json_t *stages(void)
{
    return json_pack("[{s:s, s:s, s:f, s:f, s:f}]", "name", "diffusion", "stage", "diffusion",
                     "flops", 1e9, "load_seconds", 0.0, "compute_seconds", 2.0);
}

static json_t *warnings_of(const json_t *options)
{
    return strcmp(text_of(options, "caption"), "careful") == 0
               ? json_pack("[{s:s, s:s, s:s, s:s, s:s}]", "id", "W1", "field", "duration", "asked",
                           "900", "used", "600", "reason", "the longest song")
               : json_array();
}

static acestep_status report_of(const json_t *options, ace_job_kind kind, char **report,
                                acestep_error *err)
{
    json_t *root = NULL;
    if (kind == ACE_JOB_SONG) {
        json_t *outputs = write_songs(options);
        if (outputs == NULL) {
            return give_up(err, ACESTEP_IO, "song.flac: cannot be written: the disk is full");
        }
        root = json_pack("{s:o, s:o, s:{s:o}, s:{s:o}, s:{s:f}}", "outputs", outputs, "warnings",
                         warnings_of(options), "plan", "stages", stages(), "measured", "stages",
                         stages(), "timings", "total", 3.0);
    } else {
        root = json_pack("{s:s, s:{s:f, s:[]}}", "caption", "invented", "acestep", "seconds", 1.0,
                         "warnings");
    }
    *report = json_dumps(root, JSON_COMPACT);
    json_decref(root);
    return ACESTEP_OK;
}

static acestep_status run(void *engine, ace_job_kind kind, const acestep_request *request,
                          acestep_progress *progress, void *context, char **report,
                          acestep_error *err)
{
    (void)engine;
    json_t *options = options_of(request);
    const char *caption = text_of(options, "caption");
    note(options);
    acestep_status status = ACESTEP_OK;
    if (strcmp(caption, "kill") == 0) {
        (void)raise(SIGKILL);
    }
    if (strcmp(caption, "fail") == 0) {
        status = give_up(err, ACESTEP_FAILED, "diffusion: it was asked to fail");
    }
    bool go_on = progress(context, "text", 0.5, 0.1) &&
                 progress(context, "diffusion, step 4", 0.5, 0.5) &&
                 progress(context, "diffusion, step 5", 0.5, 0.5);
    while (status == ACESTEP_OK && go_on && is_held(caption)) {
        pause_briefly();
        go_on = progress(context, "diffusion", 0.5, 0.5);
    }
    if (status == ACESTEP_OK && !go_on) {
        status = give_up(err, ACESTEP_CANCELLED, "cancelled");
    }
    if (status == ACESTEP_OK) {
        status = report_of(options, kind, report, err);
    }
    json_decref(options);
    return status;
}

static acestep_status plan(void *engine, ace_job_kind kind, const acestep_request *request,
                           char **json, char **svg, acestep_error *err)
{
    (void)engine;
    json_t *options = options_of(request);
    if (kind == ACE_JOB_SAMPLE && text_of(options, "sample_query")[0] == '\0') {
        json_decref(options);
        return give_up(err, ACESTEP_ARGUMENT, "sample_query: there is no sentence");
    }
    bool impossible = strcmp(text_of(options, "caption"), "no plan") == 0;
    if (!impossible) {
        json_t *root = json_pack("{s:f, s:o, s:o}", "expected_seconds", 7.0, "stages", stages(),
                                 "warnings", warnings_of(options));
        *json = json_dumps(root, JSON_COMPACT);
        json_decref(root);
    }
    json_decref(options);
    if (svg != NULL && !impossible) {
        *svg = strdup("<svg/>");
    }
    return impossible ? give_up(err, ACESTEP_UNSUPPORTED, "task_type: turbo cannot do this")
                      : ACESTEP_OK;
}

static acestep_status reopen(void *engine, const acestep_request *request, acestep_error *err)
{
    (void)engine;
    (void)request;
    (void)err;
    return ACESTEP_OK;
}

const ace_jobs_engine fake_engine = {open_engine, close_engine, describe, run, plan, reopen};
