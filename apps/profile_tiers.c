/* acestep profile --mode tier-test: a run on each simulated card. */
#include "profile.h"
#include "terminal.h"

#include <stdio.h>
#include <stdlib.h>

/* What a row is shown with. */
typedef struct profile_view {
    terminal_progress progress;
    const profile_switches *switches;
    bool table, headed;
    acestep_error failed; /* writing the file */
} profile_view;

/* ---- running --------------------------------------------------------------------------------- */

static bool show_progress(void *context, const char *stage, double fraction, double whole)
{
    profile_view *v = context;
    return terminal_progress_show(&v->progress, stage, fraction, whole);
}

/* The whole file anew: it can be read after every row. */
static bool write_rows(profile_view *v, const acestep_tier_test *test)
{
    if (v->switches->output == NULL) {
        return true;
    }
    char *text = acestep_tier_test_json(test, v->switches->summary);
    acestep_status status = acestep_file_write(v->switches->output, text, &v->failed);
    acestep_free(text);
    return status == ACESTEP_OK;
}

/* What has been measured is on the screen and in the file, whatever comes next. */
static bool show_row(void *context, const acestep_tier_test *test, int index)
{
    profile_view *v = context;
    terminal_progress_clear(&v->progress);
    if (v->table) {
        char *head = v->headed ? NULL : acestep_tier_test_head(test);
        char *row = acestep_tier_test_row(test, index);
        printf("%s%s", head != NULL ? head : "", row != NULL ? row : "");
        (void)fflush(stdout);
        acestep_free(head);
        acestep_free(row);
        v->headed = true;
    }
    return write_rows(v, test);
}

static void print_rest(const acestep_tier_test *test, const profile_view *v)
{
    char *text = v->table ? acestep_tier_test_text(test)
                          : acestep_tier_test_json(test, v->switches->summary);
    printf("%s%s", text != NULL ? text : "", v->table ? "" : "\n");
    (void)fflush(stdout);
    acestep_free(text);
}

/* The comparison goes where no JSON is expected. */
static int compare(const acestep_tier_test *test, const profile_view *v)
{
    acestep_error err = {.code = ACESTEP_OK};
    char *text = NULL;
    bool regressed = false;
    acestep_status status =
        acestep_tier_test_compare(test, v->switches->baseline, &text, &regressed, &err);
    fprintf(v->table ? stdout : stderr, "%s%s", v->table ? "\n" : "", text != NULL ? text : "");
    acestep_free(text);
    if (status != ACESTEP_OK) {
        return report_error(&err);
    }
    return regressed ? ACESTEP_FAILED : 0;
}

static int run(const acestep_request *request, const profile_switches *s,
               const acestep_tier_test_options *options)
{
    acestep_error err = {.code = ACESTEP_OK};
    acestep_tier_test *test = NULL;
    profile_view v = {.switches = s, .table = !s->common.json, .failed = {.code = ACESTEP_OK}};
    terminal_progress_init(&v.progress, !s->common.quiet && !s->common.json);
    acestep_status status =
        acestep_tier_test_run(request, options, show_progress, show_row, &v, &test, &err);
    terminal_progress_clear(&v.progress);
    if (test != NULL && (status == ACESTEP_OK || status == ACESTEP_CANCELLED)) {
        print_rest(test, &v);
    }
    int exit_status = 0;
    if (v.failed.code != ACESTEP_OK) {
        exit_status = report_error(&v.failed);
    } else if (status != ACESTEP_OK) {
        exit_status = report_error(&err);
    } else {
        exit_status = s->baseline != NULL ? compare(test, &v) : 0;
        if (exit_status == 0 && !acestep_tier_test_passed(test)) {
            exit_status = ACESTEP_FAILED;
        }
    }
    acestep_tier_test_free(test);
    return exit_status;
}

/* A length that is none, or a baseline that is none, is found out before the runs. */
static int check(const profile_switches *s, acestep_tier_test_options *options)
{
    acestep_error err = {.code = ACESTEP_OK};
    char *end = NULL;
    if (s->tier_duration != NULL) {
        options->duration = strtod(s->tier_duration, &end);
        if (*end != '\0' || !(options->duration >= 1)) {
            return profile_refuse("tier_duration: \"%.40s\" is not a number of seconds",
                                  s->tier_duration);
        }
    }
    if (s->baseline != NULL && acestep_tier_test_check(s->baseline, &err) != ACESTEP_OK) {
        return report_error(&err);
    }
    return 0;
}

int profile_tiers(acestep_request *request, const profile_switches *s)
{
    acestep_tier_test_options options = {.sizes = s->tier,
                                         .n_sizes = s->n_tiers,
                                         .with_lm = s->with_lm,
                                         .skip_compile = s->skip_compile,
                                         .boundary = s->boundary,
                                         .batch_boundary = s->batch_boundary};
    int exit_status = check(s, &options);
    return exit_status == 0 ? run(request, s, &options) : exit_status;
}
