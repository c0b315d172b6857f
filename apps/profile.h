/* acestep profile: one file for each group of modes. */
#ifndef APPS_PROFILE_H
#define APPS_PROFILE_H

#include "commands.h"

#include <jansson.h>
#include <stdbool.h>

/* What the modes that make a song, or its words, take besides the request's options. */
typedef struct profile_switches {
    const char *mode;   /* "profile", "benchmark", "understand", "create_sample", "format_sample" */
    const char *example; /* name or path */
    const char *output; /* --benchmark-output; NULL: none */
    const char *timeline; /* file for a picture of the memory; NULL: none */
    bool no_warmup, detailed, llm_debug;
    common_switches common;
} profile_switches;

/* The modes; argv holds what follows --mode. They return the program's exit status. */
int profile_tiers(int argc, char **argv, common_switches common);
int profile_song(acestep_request *request, const profile_switches *s);
int profile_matrix(acestep_request *request, const profile_switches *s);
int profile_words(acestep_request *request, const profile_switches *s);

/* ---- profile_request.c ---- */

/* Takes the switches out of argv and makes the request: the mode's defaults, the environment, the
 * example, the arguments. NULL with *exit_status set after reporting an error. */
acestep_request *profile_read_request(int argc, char **argv, profile_switches *s, int *exit_status);
/* acestep_request_set with a number. */
acestep_status profile_set_number(acestep_request *request, const char *name, double value,
                                  acestep_error *err);
/* "profile: format" as a bad argument; returns its exit status. */
int profile_refuse(const char *format, const char *value);

/* ---- profile_times.c ---- */

/* Seconds of one run, from acestep_result_json. */
typedef struct profile_times {
    double wall;
    double lm, lm_words, lm_codes; /* with loading */
    double encoder;                /* text, condition and audio encoders */
    double diffusion;
    double vae;
    double moving; /* bringing weights to the device, in the stages of the diffusion model and the VAE */
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

/* ---- profile_header.c ---- */

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
