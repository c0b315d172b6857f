#include "source_argument.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- the argument
 * ----------------------------------------------------------------------------------- */

/* What may stand behind a flag, so that "--sidecar false" names no file. */
static bool is_truth(const char *text)
{
    static const char *const words[] = {"true", "false", "1",  "0",   "yes", "no",
                                        "y",    "n",     "on", "off", "auto"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcasecmp(text, words[i]) == 0) {
            return true;
        }
    }
    return false;
}

static bool belongs_to(const char *option, const char *argument)
{
    return acestep_option_takes_value(option) || strcmp(option, "--request") == 0 ||
           (strchr(option, '=') == NULL && is_truth(argument));
}

const char *take_positional(int *argc, char **argv)
{
    for (int i = 0; i < *argc; i++) {
        bool is_option = argv[i][0] == '-' && argv[i][1] != '\0';
        if (is_option && i + 1 < *argc && belongs_to(argv[i], argv[i + 1])) {
            i++;
        } else if (!is_option) {
            const char *found = argv[i];
            memmove(argv + i, argv + i + 1, (size_t)(*argc - i - 1) * sizeof *argv);
            (*argc)--;
            return found;
        }
    }
    return NULL;
}

/* ---- the file
 * --------------------------------------------------------------------------------------- */

static bool ends_in(const char *text, const char *end)
{
    size_t all = strlen(text);
    size_t last = strlen(end);
    return all > last && strcasecmp(text + all - last, end) == 0;
}

static bool is_latents(const char *path)
{
    return ends_in(path, ".latents") || ends_in(path, ".vae");
}

acestep_status set_source(acestep_request *request, const char *path, acestep_error *err)
{
    return acestep_request_set(request, is_latents(path) ? "src_latents" : "src_audio", path, err);
}

/* ---- its words
 * -------------------------------------------------------------------------------------- */

static json_t *asked_options(const acestep_request *request)
{
    char *text = acestep_request_json(request, true);
    json_t *asked = text != NULL ? json_loads(text, 0, NULL) : NULL;
    acestep_free(text);
    return asked;
}

/* What a song is about, and what its sampling depends on: the server tells the same of its songs.
 */
static json_t *words_unasked(const acestep_request *request, const json_t *told)
{
    static const char *const names[] = {"caption",        "lyrics",          "instrumental", "bpm",
                                        "keyscale",       "timesignature",   "duration",     "lora",
                                        "vocal_language", "inference_steps", "audio_codes"};
    json_t *asked = asked_options(request);
    json_t *words = asked != NULL ? json_object() : NULL;
    for (size_t i = 0; words != NULL && i < sizeof names / sizeof *names; i++) {
        if (json_object_get(asked, names[i]) == NULL) {
            json_object_set(words, names[i], json_object_get(told, names[i]));
        }
    }
    json_decref(asked);
    return words;
}

acestep_status set_words_of(acestep_request *request, const char *path, acestep_error *err)
{
    acestep_error unheard = {.code = ACESTEP_OK};
    char *settings = is_latents(path) ? NULL : acestep_audio_settings_json(path, &unheard);
    json_t *told = settings != NULL ? json_loads(settings, 0, NULL) : NULL;
    acestep_free(settings);
    if (unheard.code == ACESTEP_IO) { /* else it would be words that are said to be missing */
        *err = unheard;
        return err->code;
    }
    if (told == NULL) {
        return ACESTEP_OK; /* what else is wrong with the file is said by who listens to it */
    }
    json_t *words = words_unasked(request, told);
    char *text = words != NULL ? json_dumps(words, JSON_COMPACT | JSON_REAL_PRECISION(17)) : NULL;
    acestep_status status =
        text != NULL ? acestep_request_set_json(request, text, strlen(text), err) : ACESTEP_MEMORY;
    if (text == NULL) {
        err->code = ACESTEP_MEMORY;
        (void)snprintf(err->message, sizeof err->message, "%.400s: no host memory", path);
    }
    free(text);
    json_decref(words);
    json_decref(told);
    return status;
}
