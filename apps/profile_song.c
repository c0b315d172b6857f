/* acestep profile: one measured song, and where its time went. */
#include "profile.h"
#include "terminal.h"

#include <stdio.h>
#include <string.h>

enum { SHOWN_OPERATIONS = 20, FILED_OPERATIONS = 100 };

/* The original's name for the file of the detailed profile. */
static const char DETAILED_FILE[] = "profile_cprofile_detailed.txt";

/* On CANCELLED *result holds the stages so far; NULL: none had begun. */
static acestep_status make_song(acestep_engine *engine, const acestep_request *request,
                                const profile_switches *s, acestep_result **result,
                                acestep_error *err)
{
    terminal_progress progress;
    terminal_progress_init(&progress, !s->common.quiet && !s->common.json);
    acestep_status status =
        acestep_measure(engine, request, terminal_progress_show, &progress, result, err);
    terminal_progress_clear(&progress);
    return status;
}

/* The entry of the first request, for which the language model has worked; NULL: none. */
static const json_t *lm_entry(const json_t *result)
{
    const json_t *entry = json_array_get(json_object_get(result, "lm"), 0);
    return json_is_object(entry) ? entry : NULL;
}

/* 100 lines into a file in the working folder, 20 on the screen. */
static int report_operations(const acestep_result *result, const profile_switches *s)
{
    acestep_error err = {.code = ACESTEP_OK};
    char *shown = acestep_result_operations(result, SHOWN_OPERATIONS);
    char *filed = acestep_result_operations(result, FILED_OPERATIONS);
    bool empty = filed != NULL && filed[0] == '\0'; /* cut off before the first */
    acestep_status status = empty ? ACESTEP_OK : acestep_file_write(DETAILED_FILE, filed, &err);
    if (!s->common.json && shown != NULL && !empty) {
        printf("\nOperations that take longest (the first %d are in %s)\n%s", FILED_OPERATIONS,
               DETAILED_FILE, shown);
    }
    acestep_free(shown);
    acestep_free(filed);
    return status != ACESTEP_OK ? report_error(&err) : 0;
}

/* A picture of the run, in a file or on the screen. */
static int report_timeline(const acestep_result *result, const profile_switches *s)
{
    acestep_error err = {.code = ACESTEP_OK};
    acestep_status status = ACESTEP_OK;
    if (s->timeline != NULL) {
        char *svg = acestep_result_memory_svg(result);
        bool empty = svg != NULL && svg[0] == '\0'; /* cut off before the first change */
        status = empty ? ACESTEP_OK : acestep_file_write(s->timeline, svg, &err);
        acestep_free(svg);
    }
    if (!s->common.json) {
        char *picture = acestep_result_memory(result, terminal_columns(), terminal_has_colour());
        if (picture != NULL && picture[0] != '\0') {
            printf("\nMemory on the device\n%s", picture);
        }
        acestep_free(picture);
    }
    return status != ACESTEP_OK ? report_error(&err) : 0;
}

static void print_memory(const json_t *result)
{
    static const double gb = 1024.0 * 1024 * 1024;
    double peak =
        json_number_value(json_object_get(json_object_get(result, "measured"), "peak_bytes"));
    double planned =
        json_number_value(json_object_get(json_object_get(result, "plan"), "peak_bytes"));
    printf("\n  peak memory %.3f GB, planned %.3f GB%s\n", peak / gb, planned / gb,
           peak == planned ? ": as planned to the byte" : "");
}

static void print_stages(const json_t *result)
{
    size_t i;
    const json_t *stage;
    const json_t *stages = json_object_get(json_object_get(result, "measured"), "stages");
    printf("\n  %-18s %9s %9s %9s %12s %12s\n", "stage", "load s", "compute s", "peak GB", "GFLOP",
           "allocations");
    json_array_foreach (stages, i, stage) {
        printf("  %-18s %9.3f %9.3f %9.3f %12.1f %12lld\n",
               json_string_value(json_object_get(stage, "name")),
               json_number_value(json_object_get(stage, "load_seconds")),
               json_number_value(json_object_get(stage, "compute_seconds")),
               json_number_value(json_object_get(stage, "peak_bytes")) / (1024.0 * 1024 * 1024),
               json_number_value(json_object_get(stage, "flops")) / 1e9,
               (long long)json_integer_value(json_object_get(stage, "allocations")));
    }
}

static void print_json(json_t *configuration, const profile_times *t, json_t *result,
                       const char *interrupted)
{
    json_t *root = json_pack("{s:O, s:f, s:o, s:o, s:b, s:o}", "config", configuration, "wall_time",
                             t->wall, "timings", profile_times_json(t), "insight",
                             interrupted == NULL ? json_string(profile_insight(t)) : json_null(),
                             "interrupted", interrupted != NULL, "result", result);
    char *text = root != NULL ? json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(12)) : NULL;
    printf("%s\n", text != NULL ? text : "{}");
    acestep_free(text);
    json_decref(root);
}

static void print_tables(const profile_times *t, const json_t *result, const profile_switches *s,
                         const char *interrupted)
{
    if (interrupted != NULL) {
        printf("\n  %s\n", interrupted);
    }
    profile_print_times(t, lm_entry(result));
    print_stages(result);
    print_memory(result);
    if (s->llm_debug && lm_entry(result) != NULL) {
        profile_print_lm(lm_entry(result));
    }
    if (interrupted == NULL) {
        printf("\n  %s\n", profile_insight(t));
    }
}

/* interrupted: what to say about a run that is not the one that was asked for; else NULL. */
static int report(const acestep_result *made, json_t *configuration, const profile_switches *s,
                  const char *interrupted)
{
    char *text = acestep_result_json(made);
    json_t *result = text != NULL ? json_loads(text, 0, NULL) : NULL;
    acestep_free(text);
    profile_times t = profile_read_times(result);
    if (s->common.json) {
        print_json(configuration, &t, result, interrupted);
    } else {
        print_tables(&t, result, s, interrupted);
        json_decref(result);
    }
    int exit_status = s->detailed ? report_operations(made, s) : 0;
    if (exit_status == 0 && (s->detailed || s->timeline != NULL)) {
        exit_status = report_timeline(made, s);
    }
    return exit_status;
}

/* Warnings of one run are those of the next. */
static void hear_warnings(const profile_switches *s, bool on)
{
    if (!s->common.quiet && !s->common.verbose) {
        acestep_set_log_level(on ? 2 : 1);
    }
}

/* *result: of the last run that was finished, or else of the one that was cut off; NULL: none got
 * anywhere. *whole: was it finished? */
static acestep_status make_songs(acestep_engine *engine, const acestep_request *request,
                                 const profile_switches *s, acestep_result **result, bool *whole,
                                 acestep_error *err)
{
    acestep_status status = ACESTEP_OK;
    *result = NULL;
    *whole = false;
    for (int left = s->no_warmup ? 1 : 2; left > 0 && status == ACESTEP_OK; left--) {
        acestep_result *made = NULL;
        status = make_song(engine, request, s, &made, err);
        if (status == ACESTEP_OK || *result == NULL) {
            acestep_result_free(*result);
            *result = made;
            *whole = status == ACESTEP_OK;
        } else {
            acestep_result_free(made);
        }
        hear_warnings(s, false);
    }
    return status;
}

static int measure(acestep_engine *engine, const acestep_request *request,
                   const profile_switches *s)
{
    acestep_error err = {.code = ACESTEP_OK};
    acestep_result *result = NULL;
    bool whole = false;
    hear_warnings(s, false);
    json_t *configuration = profile_configuration(engine, request, s);
    hear_warnings(s, true);
    if (!s->common.json) {
        profile_print_header(configuration);
    }
    acestep_status status = make_songs(engine, request, s, &result, &whole, &err);
    const char *interrupted = status == ACESTEP_OK ? NULL
                              : whole              ? "interrupted: this was measured in the warm-up"
                                                   : "interrupted: this was measured until then";
    bool measured = status == ACESTEP_OK || status == ACESTEP_CANCELLED;
    int exit_status =
        measured && result != NULL ? report(result, configuration, s, interrupted) : 0;
    if (status != ACESTEP_OK) {
        exit_status = report_error(&err);
    }
    acestep_result_free(result);
    json_decref(configuration);
    return exit_status;
}

int profile_song(acestep_request *request, const profile_switches *s)
{
    acestep_error err = {.code = ACESTEP_OK};
    acestep_engine *engine = NULL;
    profile_scratch scratch = {.path = ""};
    int exit_status;
    if (profile_scratch_make(&scratch, request, &err) != ACESTEP_OK ||
        acestep_engine_open(request, &engine, &err) != ACESTEP_OK) {
        exit_status = report_error(&err);
    } else {
        exit_status = measure(engine, request, s);
    }
    acestep_engine_close(engine);
    profile_scratch_remove(&scratch);
    return exit_status;
}
