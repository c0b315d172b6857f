/* The request of a profile mode. */
#include "profile.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { LONGEST_EXAMPLE = 1 << 20 };

static const char DEFAULT_EXAMPLE[] = "example_05.json";

acestep_status profile_set_number(acestep_request *request, const char *name, double value,
                                  acestep_error *err)
{
    char text[32];
    (void)snprintf(text, sizeof text, "%.10g", value);
    return acestep_request_set(request, name, text, err);
}

/* ---- arguments that do not suit the mode ----------------------------------------------------- */

/* The original's other two ways of quantising. */
static acestep_status check_quantization(int argc, char **argv, acestep_error *err)
{
    static const char *const unsupported[] = {"fp8_weight_only", "w8a8_dynamic"};
    static const char name[] = "--quantization";
    for (int i = 0; i < argc; i++) {
        bool inside =
            strncmp(argv[i], name, sizeof name - 1) == 0 && argv[i][sizeof name - 1] == '=';
        bool before = i > 0 && strcmp(argv[i - 1], name) == 0;
        const char *value = inside ? argv[i] + sizeof name : before ? argv[i] : "";
        for (size_t k = 0; k < sizeof unsupported / sizeof *unsupported; k++) {
            if (strcmp(value, unsupported[k]) == 0) {
                err->code = ACESTEP_UNSUPPORTED;
                (void)snprintf(err->message, sizeof err->message,
                               "quantization: %s is not supported; int8_weight_only is", value);
                return err->code;
            }
        }
    }
    return ACESTEP_OK;
}

static acestep_status refuse(const char *option, const char *why, acestep_error *err)
{
    err->code = ACESTEP_ARGUMENT;
    (void)snprintf(err->message, sizeof err->message, "%s: %s", option, why);
    return err->code;
}

/* Options that the tier test sets itself, from the tiers that it tests. */
static acestep_status check_decided(const json_t *asked, acestep_error *err)
{
    static const char *const decided[][2] = {
        {"duration", "mode tier-test has --tier-duration"},
        {"batch_size", "mode tier-test has --tier-batch-boundary"},
        {"max_cuda_vram", "mode tier-test has --tiers"},
        {"offload_to_cpu", "mode tier-test takes it from the tier, or has --tier-boundary"},
        {"offload_dit_to_cpu", "mode tier-test takes it from the tier, or has --tier-boundary"},
        {"quantization", "mode tier-test takes it from the tier, or has --tier-boundary"},
        {"force_config", "mode tier-test has --tier-boundary"},
        {"compile_model", "mode tier-test has --tier-skip-compile"},
        {"init_llm", "mode tier-test has --tier-with-lm"},
        {"thinking", "mode tier-test has --tier-with-lm"},
        {"use_cot_metas", "mode tier-test has --tier-with-lm"},
        {"use_cot_caption", "mode tier-test leaves caption and language as they are"},
        {"use_cot_language", "mode tier-test leaves caption and language as they are"},
        {"output", "mode tier-test keeps no songs"},
        {"trace", "mode tier-test makes many songs; --mode profile traces one"},
        {"trace_mem", "mode tier-test makes many songs; --mode profile traces one"}};
    for (size_t i = 0; i < sizeof decided / sizeof *decided; i++) {
        if (json_object_get(asked, decided[i][0]) != NULL) {
            return refuse(decided[i][0], decided[i][1], err);
        }
    }
    const char *device = json_string_value(json_object_get(asked, "device"));
    bool simulated = device == NULL || strcmp(device, "sim") == 0 || strcmp(device, "auto") == 0;
    return simulated ? ACESTEP_OK
                     : refuse("device", "mode tier-test runs on simulated cards (sim)", err);
}

/* By the arguments alone: the environment says what holds for other commands too. */
static acestep_status check_tier_arguments(int argc, char **argv, acestep_error *err)
{
    acestep_request *alone = NULL;
    acestep_status status = acestep_request_create(&alone, err);
    if (status == ACESTEP_OK) {
        status = acestep_request_set_arguments(alone, argc, argv, err);
    }
    char *text = status == ACESTEP_OK ? acestep_request_json(alone, true) : NULL;
    json_t *asked = text != NULL ? json_loads(text, 0, NULL) : NULL;
    if (status == ACESTEP_OK) {
        status = check_decided(asked, err);
    }
    json_decref(asked);
    acestep_free(text);
    acestep_request_free(alone);
    return status;
}

/* ---- the example ----------------------------------------------------------------------------- */

static char *read_file(const char *path, acestep_error *err)
{
    FILE *f = fopen(path, "rb");
    char *text = f != NULL ? malloc(LONGEST_EXAMPLE + 1) : NULL;
    size_t bytes = text != NULL ? fread(text, 1, LONGEST_EXAMPLE, f) : 0;
    const char *failure = f == NULL || (text != NULL && ferror(f)) ? strerror(errno)
                          : text == NULL                           ? "no host memory"
                          : bytes == LONGEST_EXAMPLE               ? "longer than a song's request"
                                                                   : NULL;
    if (failure != NULL) {
        err->code = f != NULL && text == NULL ? ACESTEP_MEMORY : ACESTEP_IO;
        (void)snprintf(err->message, sizeof err->message, "example: %.300s: %s", path, failure);
        free(text);
        text = NULL;
    } else {
        text[bytes] = '\0';
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
    if (status != ACESTEP_OK) {
        char reason[sizeof err->message];
        memcpy(reason, err->message, sizeof reason);
        (void)snprintf(err->message, sizeof err->message, "example %.100s: %.300s", name, reason);
    }
    return status;
}

/* ---- the request ----------------------------------------------------------------------------- */

/* What the original's tool starts from. Guidance stays what the model wants: its 7.0 means nothing
 * to a turbo. */
static acestep_status set_defaults(acestep_request *request, acestep_error *err)
{
    static const char *const defaults[][2] = {{"thinking", "false"},
                                              {"use_cot_metas", "false"},
                                              {"use_cot_caption", "false"},
                                              {"use_cot_language", "false"},
                                              {"batch_size", "1"},
                                              {"inference_steps", "8"},
                                              {"seed", "42"}};
    acestep_status status = set_downloaded_models(request, err);
    for (size_t i = 0; i < sizeof defaults / sizeof *defaults && status == ACESTEP_OK; i++) {
        status = acestep_request_set(request, defaults[i][0], defaults[i][1], err);
    }
    return status;
}

/* The example of a mode that has one; the tier test has a song of its own unless another is named.
 */
static const char *example_of(const profile_switches *s)
{
    bool has_one = (s->mode & (MODE_PROFILE | MODE_BENCHMARK | MODE_FORMAT_SAMPLE)) != 0;
    return s->example != NULL || !has_one ? s->example : DEFAULT_EXAMPLE;
}

static acestep_status fill(acestep_request *request, int argc, char **argv,
                           const profile_switches *s, acestep_error *err)
{
    static const char *const detail[] = {"--profile"};
    const char *example = example_of(s);
    acestep_status status = s->mode != MODE_TIER_TEST ? set_defaults(request, err) : ACESTEP_OK;
    if (status == ACESTEP_OK) {
        status = acestep_request_set_environment(request, err);
    }
    if (status == ACESTEP_OK && example != NULL) {
        status = set_example(request, example, err);
    }
    if (status == ACESTEP_OK && (s->detailed || s->timeline != NULL)) {
        status = acestep_request_set_arguments(request, 1, (char *const *)(uintptr_t)detail, err);
    }
    if (status == ACESTEP_OK) {
        status = acestep_request_set_arguments(request, argc, argv, err);
    }
    return status;
}

static acestep_status make(int argc, char **argv, const profile_switches *s, acestep_request **out,
                           acestep_error *err)
{
    acestep_status status = s->mode == MODE_TIER_TEST ? check_tier_arguments(argc, argv, err)
                                                      : check_quantization(argc, argv, err);
    if (status == ACESTEP_OK) {
        status = acestep_request_create(out, err);
    }
    return status == ACESTEP_OK ? fill(*out, argc, argv, s, err) : status;
}

acestep_request *profile_read_request(int argc, char **argv, const profile_switches *s,
                                      int *exit_status)
{
    acestep_error err = {.code = ACESTEP_OK};
    acestep_request *request = NULL;
    *exit_status = 0;
    if (make(argc, argv, s, &request, &err) != ACESTEP_OK) {
        *exit_status = report_error(&err);
        acestep_request_free(request);
        return NULL;
    }
    return request;
}
