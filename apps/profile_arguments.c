/* The command's own words: which mode, and what belongs to it. */
#include "own_arguments.h"
#include "profile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int profile_refuse(const char *format, const char *value)
{
    acestep_error err = {.code = ACESTEP_ARGUMENT};
    (void)snprintf(err.message, sizeof err.message, format, value);
    return report_error(&err);
}

/* ---- the mode -------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    profile_mode mode;
} modes[] = {{"profile", MODE_PROFILE},
             {"benchmark", MODE_BENCHMARK},
             {"tier-test", MODE_TIER_TEST},
             {"understand", MODE_UNDERSTAND},
             {"create_sample", MODE_CREATE_SAMPLE},
             {"format_sample", MODE_FORMAT_SAMPLE}};
enum { N_MODES = sizeof modes / sizeof *modes };

static int find_mode(profile_switches *s)
{
    for (int i = 0; i < N_MODES; i++) {
        if (strcmp(s->mode_name, modes[i].name) == 0) {
            s->mode = modes[i].mode;
            return 0;
        }
    }
    return profile_refuse("mode: there is no \"%.40s\"; there are profile, benchmark, tier-test, "
                          "understand, create_sample and format_sample",
                          s->mode_name);
}

/* ---- sizes of cards -------------------------------------------------------------------------- */

/* "4,6" or "4", also with a comma at the end, as before a blank. */
static bool read_sizes(const char *text, profile_switches *s)
{
    for (const char *at = text;;) {
        char *end = NULL;
        double size = strtod(at, &end);
        if (end == at || (*end != ',' && *end != '\0') || s->n_tiers == MOST_TIERS) {
            return false;
        }
        s->tier[s->n_tiers++] = size;
        if (*end == '\0' || end[1] == '\0') {
            return true;
        }
        at = end + 1;
    }
}

static bool begins_an_option(const char *word)
{
    return word[0] == '-' && word[1] == '-';
}

/* "--tiers 4 6", "--tiers 4,6", "--tiers=4,6": the words up to the next option. */
static int take_sizes(int *argc, char **argv, profile_switches *s)
{
    static const char name[] = "--tiers";
    enum { LENGTH = sizeof name - 1 };
    int kept = 0;
    for (int i = 0; i < *argc; i++) {
        bool is_value = kept > 0 && acestep_option_takes_value(argv[kept - 1]);
        bool inside = strncmp(argv[i], name, LENGTH) == 0 && argv[i][LENGTH] == '=';
        if (is_value || (strcmp(argv[i], name) != 0 && !inside)) {
            argv[kept++] = argv[i];
            continue;
        }
        int before = s->n_tiers;
        const char *word = inside ? argv[i] + LENGTH + 1 : i + 1 < *argc ? argv[++i] : "";
        bool good = read_sizes(word, s);
        while (good && !inside && i + 1 < *argc && !begins_an_option(argv[i + 1])) {
            word = argv[++i];
            good = read_sizes(word, s);
        }
        if (s->n_tiers == MOST_TIERS && !good) {
            return profile_refuse("tiers: at most 32 sizes, \"%.40s\" is one too many", word);
        }
        if (!good || s->n_tiers == before) {
            return profile_refuse("tiers: sizes in GB must follow, such as 4,8,16, not \"%.40s\"",
                                  word);
        }
    }
    *argc = kept;
    return 0;
}

/* ---- all of them ----------------------------------------------------------------------------- */

/* "profile, benchmark" */
static void name_modes(unsigned belongs, char *out, size_t room)
{
    size_t used = 0;
    for (int i = 0; i < N_MODES; i++) {
        if ((belongs & modes[i].mode) != 0 && used < room) {
            used += (size_t)snprintf(out + used, room - used, "%s%s", used > 0 ? ", " : "",
                                     modes[i].name);
        }
    }
}

/* An option without effect would look like one that was heard. */
static int refuse_foreign(const char *name, unsigned belongs, const profile_switches *s)
{
    char names[80];
    char message[200];
    name_modes(belongs, names, sizeof names);
    (void)snprintf(message, sizeof message, "profile: %s belongs to --mode %s, not to %s", name,
                   names, s->mode_name);
    return profile_refuse("%s", message);
}

static int check_modes(const own_argument *own, int n, const profile_switches *s)
{
    for (int i = 0; i < n; i++) {
        bool given = own[i].flag != NULL ? *own[i].flag : *own[i].value != NULL;
        if (given && (own[i].modes & s->mode) == 0) {
            return refuse_foreign(own[i].name, own[i].modes, s);
        }
    }
    return s->n_tiers > 0 && s->mode != MODE_TIER_TEST
               ? refuse_foreign("--tiers", MODE_TIER_TEST, s)
               : 0;
}

int profile_take_arguments(int *argc, char **argv, profile_switches *s)
{
    enum { ALL = (1 << N_MODES) - 1, SONGS = MODE_PROFILE | MODE_BENCHMARK | MODE_TIER_TEST };
    const own_argument own[] = {
        {"--mode", NULL, &s->mode_name, ALL},
        {"--no-warmup", &s->no_warmup, NULL, ALL},
        {"--example", NULL, &s->example, SONGS | MODE_FORMAT_SAMPLE},
        {"--benchmark-output", NULL, &s->output, MODE_BENCHMARK | MODE_TIER_TEST},
        {"--llm-debug", &s->llm_debug, NULL, MODE_PROFILE | MODES_OF_WORDS},
        {"--detailed", &s->detailed, NULL, MODE_PROFILE},
        {"--timeline", NULL, &s->timeline, MODE_PROFILE},
        {"--tier-duration", NULL, &s->tier_duration, MODE_TIER_TEST},
        {"--tier-with-lm", &s->with_lm, NULL, MODE_TIER_TEST},
        {"--tier-skip-compile", &s->skip_compile, NULL, MODE_TIER_TEST},
        {"--tier-boundary", &s->boundary, NULL, MODE_TIER_TEST},
        {"--tier-batch-boundary", &s->batch_boundary, NULL, MODE_TIER_TEST},
        {"--baseline", NULL, &s->baseline, MODE_TIER_TEST},
        {"--json-summary", &s->summary, NULL, MODE_TIER_TEST}};
    enum { N = sizeof own / sizeof *own };
    acestep_error err = {.code = ACESTEP_OK};
    s->mode_name = modes[0].name;
    int exit_status = take_sizes(argc, argv, s);
    if (exit_status == 0 && take_own_arguments(argc, argv, own, N, &err) != ACESTEP_OK) {
        exit_status = report_error(&err);
    }
    exit_status = exit_status == 0 ? find_mode(s) : exit_status;
    return exit_status == 0 ? check_modes(own, N, s) : exit_status;
}
