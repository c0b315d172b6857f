/* The request of a profile mode, and the command's own switches. */
#include "profile.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { LONGEST_EXAMPLE = 1 << 20 };

int profile_refuse(const char *format, const char *value)
{
    acestep_error err = {.code = ACESTEP_ARGUMENT};
    (void)snprintf(err.message, sizeof err.message, format, value);
    return report_error(&err);
}

acestep_status profile_set_number(acestep_request *request, const char *name, double value,
                                  acestep_error *err)
{
    char text[32];
    (void)snprintf(text, sizeof text, "%.10g", value);
    return acestep_request_set(request, name, text, err);
}

/* ---- switches -------------------------------------------------------------------------------- */

/* Takes the command's own words out of argv: what an option's value is stays. */
static int take_switches(int *argc, char **argv, profile_switches *s)
{
    const struct {
        const char *name;
        bool *at;
    } flags[] = {{"--no-warmup", &s->no_warmup},
                 {"--detailed", &s->detailed},
                 {"--llm-debug", &s->llm_debug}};
    const struct {
        const char *name;
        const char **at;
    } values[] = {{"--example", &s->example}, {"--benchmark-output", &s->output}, {"--timeline", &s->timeline}};
    int kept = 0;
    for (int i = 0; i < *argc; i++) {
        bool own = false;
        bool is_value = kept > 0 && acestep_option_takes_value(argv[kept - 1]);
        for (size_t k = 0; !is_value && k < sizeof flags / sizeof *flags; k++) {
            if (strcmp(argv[i], flags[k].name) == 0) {
                own = *flags[k].at = true;
            }
        }
        for (size_t k = 0; !is_value && k < sizeof values / sizeof *values; k++) {
            if (strcmp(argv[i], values[k].name) == 0) {
                if (i + 1 == *argc || argv[i + 1][0] == '\0') {
                    return profile_refuse("profile: a value must follow %s", argv[i]);
                }
                own = true;
                *values[k].at = argv[++i];
            }
        }
        if (!own) {
            argv[kept++] = argv[i];
        }
    }
    *argc = kept;
    return 0;
}

/* The original's other two ways of quantising. */
static int check_quantization(int argc, char **argv)
{
    static const char *const unsupported[] = {"fp8_weight_only", "w8a8_dynamic"};
    for (int i = 0; i + 1 < argc; i++) {
        for (size_t k = 0; k < sizeof unsupported / sizeof *unsupported; k++) {
            if (strcmp(argv[i], "--quantization") == 0 && strcmp(argv[i + 1], unsupported[k]) == 0) {
                acestep_error err = {.code = ACESTEP_UNSUPPORTED};
                (void)snprintf(err.message, sizeof err.message,
                               "quantization: %s is not supported; int8_weight_only is",
                               unsupported[k]);
                return report_error(&err);
            }
        }
    }
    return 0;
}

/* ---- the example ----------------------------------------------------------------------------- */

static char *read_file(const char *path, acestep_error *err)
{
    FILE *f = fopen(path, "rb");
    char *text = f != NULL ? malloc(LONGEST_EXAMPLE + 1) : NULL;
    if (text == NULL) {
        err->code = f == NULL ? ACESTEP_IO : ACESTEP_MEMORY;
        (void)snprintf(err->message, sizeof err->message, "example: %.300s: %s", path,
                       f == NULL ? strerror(errno) : "no host memory");
    } else {
        text[fread(text, 1, LONGEST_EXAMPLE, f)] = '\0';
    }
    if (f != NULL) {
        (void)fclose(f);
    }
    return text;
}

/* A path where it looks like one that is there; otherwise one of the program's own. */
static acestep_status set_example(acestep_request *request, const char *name, acestep_error *err)
{
    bool is_path = strchr(name, '/') != NULL || access(name, R_OK) == 0;
    char *text = is_path ? read_file(name, err) : acestep_example_json(name, err);
    if (text == NULL) {
        return err->code;
    }
    acestep_status status = acestep_request_set_json(request, text, strlen(text), err);
    acestep_free(text);
    return status;
}

/* ---- the request ----------------------------------------------------------------------------- */

/* What the original's tool starts from. Guidance stays what the model wants: its 7.0 means nothing to a turbo. */
static acestep_status set_defaults(acestep_request *request, acestep_error *err)
{
    static const char *const defaults[][2] = {
        {"thinking", "false"},        {"use_cot_metas", "false"},
        {"use_cot_caption", "false"}, {"use_cot_language", "false"},
        {"batch_size", "1"},          {"inference_steps", "8"},
        {"seed", "42"}};
    acestep_status status = ACESTEP_OK;
    for (size_t i = 0; i < sizeof defaults / sizeof *defaults && status == ACESTEP_OK; i++) {
        status = acestep_request_set(request, defaults[i][0], defaults[i][1], err);
    }
    return status;
}

static acestep_status fill(acestep_request *request, int argc, char **argv,
                           const profile_switches *s, acestep_error *err)
{
    static const char *const detail[] = {"--profile"};
    acestep_status status = set_defaults(request, err);
    if (status == ACESTEP_OK) {
        status = acestep_request_set_environment(request, err);
    }
    bool own_words = strcmp(s->mode, "understand") == 0 || strcmp(s->mode, "create_sample") == 0;
    if (status == ACESTEP_OK && !own_words) {
        status = set_example(request, s->example, err);
    }
    if (status == ACESTEP_OK && (s->detailed || s->timeline != NULL)) {
        status = acestep_request_set_arguments(request, 1, (char *const *)(uintptr_t)detail, err);
    }
    if (status == ACESTEP_OK) {
        status = acestep_request_set_arguments(request, argc, argv, err);
    }
    return status;
}

acestep_request *profile_read_request(int argc, char **argv, profile_switches *s, int *exit_status)
{
    acestep_error err = {.code = ACESTEP_OK};
    acestep_request *request = NULL;
    *exit_status = take_switches(&argc, argv, s);
    if (*exit_status == 0) {
        *exit_status = check_quantization(argc, argv);
    }
    if (*exit_status == 0 && (acestep_request_create(&request, &err) != ACESTEP_OK ||
                              fill(request, argc, argv, s, &err) != ACESTEP_OK)) {
        *exit_status = report_error(&err);
    }
    if (*exit_status != 0) {
        acestep_request_free(request);
        return NULL;
    }
    return request;
}
