/* acestep profile --mode tier-test: a run on each simulated card. */
#include "profile.h"
#include "terminal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_SIZES = 32 };

/* What the command itself takes; the rest goes to the request. */
typedef struct profile_arguments {
    acestep_tier_test_options test;
    double size[MOST_SIZES];
    const char *output, *baseline; /* NULL: none */
    bool summary;
} profile_arguments;

/* What a row is shown with. */
typedef struct profile_view {
    terminal_progress progress;
    const profile_arguments *arguments;
    bool table, headed;
    acestep_error failed; /* writing the file */
} profile_view;

/* ---- arguments ------------------------------------------------------------------------------- */

static bool read_number(const char *text, double *out)
{
    char *end = NULL;
    *out = strtod(text, &end);
    return end != text && *end == '\0';
}

/* "4,6" or "4"; false at what is no list of numbers. */
static bool read_sizes(const char *text, profile_arguments *a)
{
    for (const char *at = text;;) {
        char *end = NULL;
        double size = strtod(at, &end);
        if (end == at || (*end != ',' && *end != '\0') || a->test.n_sizes == MOST_SIZES) {
            return false;
        }
        a->size[a->test.n_sizes++] = size;
        if (*end == '\0') {
            return true;
        }
        at = end + 1;
    }
}

/* The words after --tiers up to the next option; returns how many. */
static int take_sizes(int argc, char **argv, profile_arguments *a)
{
    int n = 0;
    while (n < argc && argv[n][0] != '-' && read_sizes(argv[n], a)) {
        n++;
    }
    return n;
}

/* Where a switch is kept; NULL: no such switch. */
static bool *switch_of(profile_arguments *a, const char *name)
{
    const struct {
        const char *name;
        bool *at;
    } switches[] = {{"--tier-with-lm", &a->test.with_lm},
                    {"--tier-skip-compile", &a->test.skip_compile},
                    {"--tier-boundary", &a->test.boundary},
                    {"--tier-batch-boundary", &a->test.batch_boundary},
                    {"--json-summary", &a->summary}};
    for (size_t i = 0; i < sizeof switches / sizeof *switches; i++) {
        if (strcmp(name, switches[i].name) == 0) {
            return switches[i].at;
        }
    }
    return NULL;
}

/* The name that the request knows an option by; NULL: not one of this mode. */
static const char *request_name(const char *name)
{
    static const char *const known[][2] = {
        {"--exec", "exec"},           {"--weights", "weights"},
        {"--models", "models"},       {"--threads", "threads"},
        {"--gpu-tiers", "gpu_tiers"}, {"--lm-model", "lm_model_path"},
        {"--seed", "seed"},           {"--inference-steps", "inference_steps"},
        {"--config-path", "model"},   {"--device", "device"}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(name, known[i][0]) == 0) {
            return known[i][1];
        }
    }
    return NULL;
}

/* One option with its value. */
static int take_value(const char *name, const char *value, profile_arguments *a,
                      acestep_request *request)
{
    acestep_error err = {.code = ACESTEP_OK};
    const char *option = request_name(name);
    if (strcmp(name, "--tier-duration") == 0) {
        bool good = read_number(value, &a->test.duration) && a->test.duration >= 1;
        return good ? 0 : profile_refuse("tier_duration: \"%.40s\" is not a number of seconds", value);
    }
    if (strcmp(name, "--benchmark-output") == 0) {
        a->output = value;
        return 0;
    }
    if (strcmp(name, "--baseline") == 0) {
        a->baseline = value;
        return 0;
    }
    if (strcmp(name, "--device") == 0 && strcmp(value, "sim") != 0 && strcmp(value, "auto") != 0) {
        return profile_refuse("device: tier-test runs on simulated cards (sim), not on \"%.40s\"",
                              value);
    }
    if (option == NULL) {
        return profile_refuse("profile: \"%.60s\" is not an option of mode tier-test", name);
    }
    return acestep_request_set(request, option, value, &err) == ACESTEP_OK ? 0 : report_error(&err);
}

static bool is_known(const char *name)
{
    static const char *const own[] = {"--tier-duration", "--benchmark-output", "--baseline"};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
        if (strcmp(name, own[i]) == 0) {
            return true;
        }
    }
    return request_name(name) != NULL;
}

static int read_arguments(int argc, char **argv, profile_arguments *a, acestep_request *request)
{
    for (int i = 0; i < argc; i++) {
        const char *name = argv[i];
        bool *on = switch_of(a, name);
        if (on != NULL) {
            *on = true;
            continue;
        }
        if (strcmp(name, "--tiers") == 0) {
            int n = take_sizes(argc - i - 1, argv + i + 1, a);
            if (n == 0) {
                return profile_refuse("tiers: %s", "sizes in GB must follow, such as 4,8,16");
            }
            i += n;
            continue;
        }
        if (!is_known(name)) {
            return profile_refuse("profile: \"%.60s\" is not an option of mode tier-test", name);
        }
        if (i + 1 == argc) {
            return profile_refuse("profile: a value must follow %s", name);
        }
        int exit_status = take_value(name, argv[++i], a, request);
        if (exit_status != 0) {
            return exit_status;
        }
    }
    a->test.sizes = a->size;
    return 0;
}

/* ---- running --------------------------------------------------------------------------------- */

static bool show_progress(void *context, const char *stage, double fraction, double whole)
{
    profile_view *v = context;
    return terminal_progress_show(&v->progress, stage, fraction, whole);
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
    return v->arguments->output == NULL ||
           acestep_tier_test_write(test, v->arguments->output, v->arguments->summary, &v->failed) ==
               ACESTEP_OK;
}

static void print_rest(const acestep_tier_test *test, const profile_view *v)
{
    char *text = v->table ? acestep_tier_test_text(test)
                          : acestep_tier_test_json(test, v->arguments->summary);
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
        acestep_tier_test_compare(test, v->arguments->baseline, &text, &regressed, &err);
    fprintf(v->table ? stdout : stderr, "%s%s", v->table ? "\n" : "", text != NULL ? text : "");
    acestep_free(text);
    if (status != ACESTEP_OK) {
        return report_error(&err);
    }
    return regressed ? ACESTEP_FAILED : 0;
}

/* Found out before the runs, not after them. */
static int check_baseline(const char *path)
{
    FILE *f = path != NULL ? fopen(path, "rb") : NULL;
    if (path != NULL && f == NULL) {
        acestep_error err = {.code = ACESTEP_IO};
        (void)snprintf(err.message, sizeof err.message, "baseline: %.300s: %s", path,
                       strerror(errno));
        return report_error(&err);
    }
    if (f != NULL) {
        (void)fclose(f);
    }
    return 0;
}

static int run(const acestep_request *request, const profile_arguments *a, common_switches s)
{
    acestep_error err = {.code = ACESTEP_OK};
    acestep_tier_test *test = NULL;
    profile_view v = {.arguments = a, .table = !s.json, .failed = {.code = ACESTEP_OK}};
    terminal_progress_init(&v.progress, !s.quiet && !s.json);
    acestep_status status =
        acestep_tier_test_run(request, &a->test, show_progress, show_row, &v, &test, &err);
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
        exit_status = a->baseline != NULL ? compare(test, &v) : 0;
        if (exit_status == 0 && !acestep_tier_test_passed(test)) {
            exit_status = ACESTEP_FAILED;
        }
    }
    acestep_tier_test_free(test);
    return exit_status;
}

int profile_tiers(int argc, char **argv, common_switches common)
{
    acestep_error err = {.code = ACESTEP_OK};
    acestep_request *request = NULL;
    profile_arguments a = {.output = NULL};
    int exit_status;
    if (acestep_request_create(&request, &err) != ACESTEP_OK) {
        exit_status = report_error(&err);
    } else {
        exit_status = read_arguments(argc, argv, &a, request);
        exit_status = exit_status == 0 ? check_baseline(a.baseline) : exit_status;
        exit_status = exit_status == 0 ? run(request, &a, common) : exit_status;
    }
    acestep_request_free(request);
    return exit_status;
}
