#include "commands.h"
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

static void print_help(void)
{
    printf(
        "usage: acestep profile --mode tier-test [--tiers 4,6,8] [--tier-with-lm] ...\n\n"
        "One run for each simulated card, with the defaults of its tier, on published shapes with\n"
        "made-up weights. Shows what the tier chose, the peak of memory, and whether it held.\n\n"
        "options:\n"
        "  --mode tier-test          the mode\n"
        "  --tiers N,N... or N N...  sizes in GB, decimals too (4 6 7 8 12 16 20 24)\n"
        "  --tier-with-lm            with the language model where the tier offers one\n"
        "  --tier-duration S         length of the song, clamped to the tier's limit (30)\n"
        "  --tier-skip-compile       not compiled where nothing is quantised\n"
        "  --tier-boundary           also without INT8, and with neither INT8 nor offloading\n"
        "  --tier-batch-boundary     also 1, 2, 4, 8 songs at once, until one fails\n"
        "  --benchmark-output FILE   the runs as JSON, written anew after each\n"
        "  --json-summary            one more element of the JSON, with the boundaries\n"
        "  --baseline FILE           compare with an earlier JSON: settings that differ, passes "
        "that\n"
        "                            fail now and memory that grew by more than 2 %% fail\n"
        "  --json                    the JSON on stdout in place of the tables\n"
        "  --exec shape|full         walk the schedule (the default), or compute as well\n"
        "  --weights SHAPES, --models DIR, --gpu-tiers FILE, --lm-model NAME, --threads N,\n"
        "  --inference-steps N, --seed N: as for generate\n\n"
        "exit status: 0 all default runs pass, 1 one does not or the baseline differs, 2 bad\n"
        "  parameter, 3 model missing or damaged, 5 out of memory, 10 file error, 130 "
        "interrupted\n");
}

static int fail(const char *format, const char *value)
{
    acestep_error err = {.code = ACESTEP_ARGUMENT};
    (void)snprintf(err.message, sizeof err.message, format, value);
    return report_error(&err);
}

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
        {"--seed", "seed"},           {"--inference-steps", "inference_steps"}};
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
    if (strcmp(name, "--mode") == 0) {
        return strcmp(value, "tier-test") == 0
                   ? 0
                   : fail("mode: \"%.40s\" is not available; tier-test is", value);
    }
    if (strcmp(name, "--tier-duration") == 0) {
        bool good = read_number(value, &a->test.duration) && a->test.duration >= 1;
        return good ? 0 : fail("tier_duration: \"%.40s\" is not a number of seconds", value);
    }
    if (strcmp(name, "--benchmark-output") == 0) {
        a->output = value;
        return 0;
    }
    if (strcmp(name, "--baseline") == 0) {
        a->baseline = value;
        return 0;
    }
    if (option == NULL) {
        return fail("profile: \"%.60s\" is not an option of mode tier-test", name);
    }
    return acestep_request_set(request, option, value, &err) == ACESTEP_OK ? 0 : report_error(&err);
}

static bool is_known(const char *name)
{
    static const char *const own[] = {"--mode", "--tier-duration", "--benchmark-output",
                                      "--baseline"};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
        if (strcmp(name, own[i]) == 0) {
            return true;
        }
    }
    return request_name(name) != NULL;
}

static int read_arguments(int argc, char **argv, profile_arguments *a, acestep_request *request)
{
    bool has_mode = false;
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
                return fail("tiers: %s", "sizes in GB must follow, such as 4,8,16");
            }
            i += n;
            continue;
        }
        if (!is_known(name)) {
            return fail("profile: \"%.60s\" is not an option of mode tier-test", name);
        }
        if (i + 1 == argc) {
            return fail("profile: a value must follow %s", name);
        }
        has_mode = has_mode || strcmp(name, "--mode") == 0;
        int exit_status = take_value(name, argv[++i], a, request);
        if (exit_status != 0) {
            return exit_status;
        }
    }
    a->test.sizes = a->size;
    return has_mode ? 0 : fail("mode: %s", "say --mode tier-test");
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

int command_profile(int argc, char **argv)
{
    common_switches s = take_common_switches(&argc, argv);
    if (s.help) {
        print_help();
        return 0;
    }
    if (!s.verbose) {
        acestep_set_log_level(1); /* warnings stand in the rows */
    }
    acestep_error err = {.code = ACESTEP_OK};
    acestep_request *request = NULL;
    profile_arguments a = {.output = NULL};
    int exit_status;
    if (acestep_request_create(&request, &err) != ACESTEP_OK) {
        exit_status = report_error(&err);
    } else {
        exit_status = read_arguments(argc, argv, &a, request);
        exit_status = exit_status == 0 ? check_baseline(a.baseline) : exit_status;
        exit_status = exit_status == 0 ? run(request, &a, s) : exit_status;
    }
    acestep_request_free(request);
    return exit_status;
}
