/* acestep profile: one file for each group of modes. */
#ifndef APPS_PROFILE_H
#define APPS_PROFILE_H

#include "commands.h"

#include <jansson.h>
#include <stdbool.h>

/* The modes, as bits: which of them an option belongs to. */
typedef enum profile_mode {
    MODE_PROFILE = 1 << 0,
    MODE_BENCHMARK = 1 << 1,
    MODE_TIER_TEST = 1 << 2,
    MODE_UNDERSTAND = 1 << 3,
    MODE_CREATE_SAMPLE = 1 << 4,
    MODE_FORMAT_SAMPLE = 1 << 5,
    MODES_OF_WORDS = MODE_UNDERSTAND | MODE_CREATE_SAMPLE | MODE_FORMAT_SAMPLE
} profile_mode;

enum { MOST_TIERS = 32 };

/* What the command takes besides the request's options. Texts are NULL where they are not given. */
typedef struct profile_switches {
    profile_mode mode;
    const char *mode_name; /* "profile", "benchmark", … */
    const char *example;   /* name or path */
    const char *output;    /* --benchmark-output */
    const char *timeline;  /* file for a picture of the memory */
    const char *baseline, *tier_duration;
    bool no_warmup, detailed, llm_debug;
    bool with_lm, skip_compile, boundary, batch_boundary, summary;
    double tier[MOST_TIERS]; /* GB */
    int n_tiers;
    common_switches common;
} profile_switches;

/* The modes. They return the program's exit status. */
int profile_song(acestep_request *request, const profile_switches *s);
int profile_matrix(acestep_request *request, const profile_switches *s);
int profile_tiers(acestep_request *request, const profile_switches *s);
int profile_words(acestep_request *request, const profile_switches *s);

/* ---- profile_arguments.c --------------------------------------------------------------------- */

/* Takes the command's own words out of argv, the mode among them; an option of another mode is
 * refused. 0, or the exit status after reporting an error. */
int profile_take_arguments(int *argc, char **argv, profile_switches *s);
/* "profile: format" as a bad argument; returns its exit status. */
int profile_refuse(const char *format, const char *value);

/* ---- profile_request.c ----------------------------------------------------------------------- */

/* The mode's defaults, the environment, the example, the arguments. NULL with *exit_status set
 * after reporting an error. */
acestep_request *profile_read_request(int argc, char **argv, const profile_switches *s,
                                      int *exit_status);
/* acestep_request_set with a number. */
acestep_status profile_set_number(acestep_request *request, const char *name, double value,
                                  acestep_error *err);

/* ---- profile_times.c ------------------------------------------------------------------------- */

/* Seconds of one run, from acestep_result_json. */
typedef struct profile_times {
    double wall;
    double lm, lm_words, lm_codes; /* with loading */
    double encoder;                /* text, condition and audio encoders */
    double diffusion;
    double vae;
    double moving; /* bringing weights to the device, in the stages of the diffusion model and the
                      VAE */
    double dit;    /* encoder + diffusion + vae + moving */
    double saving; /* files */
    double planning;
    int steps; /* of diffusion */
    int songs;
} profile_times;

profile_times profile_read_times(const json_t *result);
/* Under the original's names. A new object. */
json_t *profile_times_json(const profile_times *t);
/* For people. */
void profile_print_times(const profile_times *t, const json_t *lm);
/* Tokens, rates and phases: lm is an object with "phases". */
void profile_print_lm(const json_t *lm);
/* One sentence about what holds the run back. */
const char *profile_insight(const profile_times *t);

/* ---- profile_header.c ------------------------------------------------------------------------ */

/* What is measured: a new object for programs, lines for people. */
json_t *profile_configuration(acestep_engine *engine, const acestep_request *request,
                              const profile_switches *s);
void profile_print_header(const json_t *configuration);

/* A folder for songs that nobody asked for, set as the request's output unless one is given; gone
 * again with profile_scratch_remove. */
typedef struct profile_scratch {
    char path[64]; /* "" : none was needed */
} profile_scratch;

acestep_status profile_scratch_make(profile_scratch *scratch, acestep_request *request,
                                    acestep_error *err);
void profile_scratch_remove(const profile_scratch *scratch);

#endif
