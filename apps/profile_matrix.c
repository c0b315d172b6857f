/* acestep profile --mode benchmark: lengths × songs at once × with and without the language model ×
 * steps. */
#include "profile.h"
#include "terminal.h"

#include <stdio.h>
#include <string.h>

enum {
    DURATIONS = 4,
    BATCHES = 3,
    THINKINGS = 2,
    STEPS = 2,
    FIRST_SEED = 42,
    ERROR_CHARACTERS = 28
};

static const double matrix_durations[DURATIONS] = {30, 60, 120, 240};
static const int matrix_batches[BATCHES] = {1, 2, 4};
static const int matrix_steps[STEPS] = {8, 16};

/* One point of it. */
typedef struct matrix_point {
    double duration;
    int batch, steps;
    bool thinking;
} matrix_point;

typedef struct matrix {
    acestep_engine *engine;
    acestep_request *request;
    const profile_switches *s;
    matrix_point point[DURATIONS * BATCHES * THINKINGS * STEPS];
    int n;
    json_t *runs;
    int failed;
    terminal_progress progress;
} matrix;

/* ---- which points ---------------------------------------------------------------------------- */

static acestep_status ask(acestep_request *request, const matrix_point *p, acestep_error *err)
{
    acestep_status status = profile_set_number(request, "duration", p->duration, err);
    if (status == ACESTEP_OK) {
        status = profile_set_number(request, "batch_size", p->batch, err);
    }
    if (status == ACESTEP_OK) {
        status = profile_set_number(request, "inference_steps", p->steps, err);
    }
    if (status == ACESTEP_OK) {
        status = acestep_request_set(request, "thinking", p->thinking ? "true" : "false", err);
    }
    return status;
}

/* A new object, NULL where such a song cannot be planned. */
static json_t *plan_of(const matrix *m, const matrix_point *p)
{
    acestep_plan *plan = NULL;
    char *text = NULL;
    if (ask(m->request, p, NULL) == ACESTEP_OK &&
        acestep_plan_create(m->engine, m->request, &plan, NULL) == ACESTEP_OK) {
        text = acestep_plan_json(plan);
    }
    json_t *json = text != NULL ? json_loads(text, 0, NULL) : NULL;
    acestep_free(text);
    acestep_plan_free(plan);
    return json;
}

/* Not where length, number or steps would be clamped to another point's, nor where the language
 * model would not run: such a run has its own point already. */
static bool is_as_asked(const matrix *m, const matrix_point *p)
{
    json_t *plan = plan_of(m, p);
    int songs = (int)json_number_value(json_object_get(plan, "batch_size"));
    double seconds = json_number_value(json_object_get(plan, "audio_seconds"));
    int steps = (int)json_number_value(json_object_get(plan, "inference_steps"));
    bool uses_lm = json_is_true(json_object_get(plan, "use_lm"));
    bool same = plan != NULL && songs == p->batch && seconds > songs * (p->duration - 0.5) &&
                steps == p->steps && uses_lm == p->thinking;
    json_decref(plan);
    return same;
}

static void add_point(matrix *m, matrix_point p)
{
    if (is_as_asked(m, &p)) {
        m->point[m->n++] = p;
    }
}

static void choose_points(matrix *m)
{
    for (int d = 0; d < DURATIONS; d++) {
        for (int b = 0; b < BATCHES; b++) {
            for (int t = 0; t < THINKINGS; t++) {
                for (int i = 0; i < STEPS; i++) {
                    add_point(m, (matrix_point){.duration = matrix_durations[d],
                                                .batch = matrix_batches[b],
                                                .thinking = t == 1,
                                                .steps = matrix_steps[i]});
                }
            }
        }
    }
    if (m->n == 0) { /* never empty: what can be made of the smallest is seen in its row */
        m->point[m->n++] =
            (matrix_point){.duration = matrix_durations[0], .batch = 1, .steps = matrix_steps[0]};
    }
}

/* ---- running --------------------------------------------------------------------------------- */

static bool show_progress(void *context, const char *stage, double fraction, double whole)
{
    matrix *m = context;
    double done = (double)json_array_size(m->runs);
    return terminal_progress_show(&m->progress, stage, fraction, (done + whole) / m->n);
}

static void print_head(const matrix *m)
{
    printf("\n%d runs\n\n  %10s %6s %6s %6s %10s %10s %10s %10s  %s\n", m->n, "duration", "batch",
           "think", "steps", "wall s", "LM s", "DiT s", "VAE s", "status");
}

static void print_row(const matrix_point *p, const profile_times *t, const acestep_error *err)
{
    printf("  %8.0f s %6d %6s %6d ", p->duration, p->batch, p->thinking ? "yes" : "no", p->steps);
    if (err->code == ACESTEP_OK) {
        printf("%10.3f %10.3f %10.3f %10.3f  OK\n", t->wall, t->lm, t->dit - t->vae, t->vae);
    } else {
        printf("%10s %10s %10s %10s  FAIL %.*s\n", "-", "-", "-", "-", ERROR_CHARACTERS,
               err->message);
    }
    (void)fflush(stdout);
}

static void record(matrix *m, const matrix_point *p, const profile_times *t,
                   const acestep_error *err)
{
    bool success = err->code == ACESTEP_OK;
    json_array_append_new(
        m->runs,
        json_pack("{s:{s:f, s:i, s:b, s:i}, s:f, s:b, s:o, s:f, s:f, s:f, s:i, s:o}", "config",
                  "duration", p->duration, "batch_size", p->batch, "thinking", (int)p->thinking,
                  "inference_steps", p->steps, "wall_time", t->wall, "success", (int)success,
                  "error", success ? json_null() : json_string(err->message), "lm_time", t->lm,
                  "dit_time", t->dit - t->vae, "vae_time", t->vae, "n_audios", t->songs,
                  "time_costs", profile_times_json(t)));
    m->failed += success ? 0 : 1;
}

/* The whole file anew: it can be read after every run. */
static acestep_status write_runs(const matrix *m, acestep_error *err)
{
    if (m->s->output == NULL) {
        return ACESTEP_OK;
    }
    char *text = json_dumps(m->runs, JSON_INDENT(2) | JSON_REAL_PRECISION(12));
    acestep_status status = acestep_file_write(m->s->output, text, err);
    acestep_free(text);
    return status;
}

static acestep_status make_songs(matrix *m, profile_times *t, acestep_error *err)
{
    acestep_result *result = NULL;
    acestep_status status = acestep_generate(m->engine, m->request, show_progress, m, &result, err);
    terminal_progress_clear(&m->progress);
    if (status == ACESTEP_OK) {
        char *text = acestep_result_json(result);
        json_t *json = text != NULL ? json_loads(text, 0, NULL) : NULL;
        *t = profile_read_times(json);
        json_decref(json);
        acestep_free(text);
    }
    acestep_result_free(result);
    return status;
}

/* CANCELLED and IO end the benchmark; what else goes wrong is a row. */
static acestep_status run_point(matrix *m, int index, acestep_error *err)
{
    const matrix_point *p = &m->point[index];
    profile_times t = {0};
    acestep_error found = {.code = ACESTEP_OK};
    acestep_status status = ask(m->request, p, &found);
    if (status == ACESTEP_OK) {
        status = profile_set_number(m->request, "seed", FIRST_SEED + index, &found);
    }
    if (status == ACESTEP_OK) {
        status = make_songs(m, &t, &found);
    }
    if (status == ACESTEP_CANCELLED) {
        *err = found;
        return status;
    }
    found.code = status;
    record(m, p, &t, &found);
    if (!m->s->common.json) {
        print_row(p, &t, &found);
    }
    return write_runs(m, err);
}

static acestep_status run_all(matrix *m, acestep_error *err)
{
    profile_times t;
    acestep_status status = ACESTEP_OK;
    if (!m->s->no_warmup) {
        acestep_error warm = {.code = ACESTEP_OK};
        matrix_point first = m->point[0];
        if (ask(m->request, &first, &warm) == ACESTEP_OK &&
            make_songs(m, &t, &warm) == ACESTEP_CANCELLED) {
            *err = warm;
            return ACESTEP_CANCELLED;
        }
    }
    for (int i = 0; i < m->n && status == ACESTEP_OK; i++) {
        status = run_point(m, i, err);
    }
    return status;
}

static void print_rest(const matrix *m)
{
    int done = (int)json_array_size(m->runs);
    if (m->s->common.json) {
        char *text = json_dumps(m->runs, JSON_INDENT(2) | JSON_REAL_PRECISION(12));
        printf("%s\n", text != NULL ? text : "[]");
        acestep_free(text);
    } else {
        printf("\n  %d of %d runs, %d OK, %d failed\n", done, m->n, done - m->failed, m->failed);
    }
    (void)fflush(stdout);
}

static int measure(matrix *m)
{
    acestep_error err = {.code = ACESTEP_OK};
    m->runs = json_array();
    choose_points(m);
    terminal_progress_init(&m->progress, !m->s->common.quiet && !m->s->common.json);
    if (!m->s->common.json) {
        (void)ask(m->request, &m->point[0], NULL);
        json_t *configuration = profile_configuration(m->engine, m->request, m->s);
        profile_print_header(configuration);
        json_decref(configuration);
        print_head(m);
    }
    acestep_status status = run_all(m, &err);
    print_rest(m);
    int exit_status = status != ACESTEP_OK ? report_error(&err)
                      : m->failed > 0      ? ACESTEP_FAILED
                                           : 0;
    json_decref(m->runs);
    return exit_status;
}

int profile_matrix(acestep_request *request, const profile_switches *s)
{
    acestep_error err = {.code = ACESTEP_OK};
    matrix m = {.request = request, .s = s};
    profile_scratch scratch = {.path = ""};
    int exit_status;
    if (profile_scratch_make(&scratch, request, &err) != ACESTEP_OK ||
        acestep_engine_open(request, &m.engine, &err) != ACESTEP_OK) {
        exit_status = report_error(&err);
    } else {
        exit_status = measure(&m);
    }
    acestep_engine_close(m.engine);
    profile_scratch_remove(&scratch);
    return exit_status;
}
