/* acestep profile --mode understand, create_sample, format_sample: the language model alone. */
#include "profile.h"
#include "terminal.h"

#include <stdio.h>
#include <string.h>

/* Columns of a long text. */
enum { SHOWN_CHARACTERS = 100 };

static const char DEFAULT_QUERY[] = "a slow, warm song for the end of a long summer, sung softly";

/* Prints one line of a text, cut at a whole character. */
static void print_text(const char *name, const char *text)
{
    int shown = 0;
    printf("  %-16s ", name);
    for (const unsigned char *c = (const unsigned char *)text; *c != '\0'; c++) {
        if ((*c & 0xc0) != 0x80 && shown++ == SHOWN_CHARACTERS) {
            fputs("...", stdout);
            break;
        }
        putchar(*c < 0x20 || *c == 0x7f ? ' ' : *c);
    }
    putchar('\n');
}

static void print_value(const json_t *words, const char *title, const char *name)
{
    const json_t *value = json_object_get(words, name);
    if (json_is_string(value)) {
        print_text(title, json_string_value(value));
    } else if (json_is_number(value)) {
        printf("  %-16s %.10g\n", title, json_number_value(value));
    } else {
        printf("  %-16s %s\n", title, "-");
    }
}

static void print_words(const json_t *words, const char *instrumental)
{
    static const char *const rows[][2] = {
        {"caption", "caption"},         {"bpm", "bpm"},
        {"duration", "duration"},       {"key", "keyscale"},
        {"language", "vocal_language"}, {"time signature", "timesignature"}};
    const json_t *history = json_object_get(words, "acestep");
    printf("\n  %-16s %.3f s\n", "wall", json_number_value(json_object_get(history, "seconds")));
    printf("  %-16s %s\n", "success", "yes");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        print_value(words, rows[i][0], rows[i][1]);
    }
    printf("  %-16s %s\n", "instrumental", instrumental);
    print_value(words, "lyrics", "lyrics");
}

/* A failure is told on one line; that the language model cannot run is what the original exits with
 * 1 for. */
static int fail(const acestep_error *err)
{
    int exit_status = report_error(err);
    return err->code == ACESTEP_UNSUPPORTED || err->code == ACESTEP_MODEL ? ACESTEP_FAILED
                                                                          : exit_status;
}

static void report(acestep_words *made, json_t *configuration, const profile_switches *s)
{
    char *text = acestep_words_json(made);
    json_t *words = text != NULL ? json_loads(text, 0, NULL) : NULL;
    const json_t *history = json_object_get(words, "acestep");
    acestep_free(text);
    const char *lyrics = json_string_value(json_object_get(words, "lyrics"));
    bool instrumental = lyrics == NULL || strncmp(lyrics, "[Instrumental]", 14) == 0;
    if (s->common.json) {
        json_t *root = json_pack("{s:O, s:f, s:b, s:b, s:o}", "config", configuration, "wall_time",
                                 json_number_value(json_object_get(history, "seconds")), "success",
                                 1, "instrumental", (int)instrumental, "result", words);
        text = root != NULL ? json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(12)) : NULL;
        printf("%s\n", text != NULL ? text : "{}");
        acestep_free(text);
        json_decref(root);
        return;
    }
    profile_print_header(configuration);
    print_words(words, instrumental ? "yes" : "no");
    if (s->llm_debug) {
        profile_print_lm(history);
    }
    json_decref(words);
}

static int measure(acestep_engine *engine, const acestep_request *request,
                   const profile_switches *s)
{
    acestep_error err = {.code = ACESTEP_OK};
    acestep_words *words = NULL;
    terminal_progress progress;
    json_t *configuration = profile_configuration(engine, request, s);
    terminal_progress_init(&progress, !s->common.quiet && !s->common.json);
    bool understands = s->mode == MODE_UNDERSTAND;
    acestep_status status = (understands ? acestep_understand : acestep_compose)(
        engine, request, terminal_progress_show, &progress, &words, &err);
    terminal_progress_clear(&progress);
    if (status == ACESTEP_OK) {
        report(words, configuration, s);
    }
    acestep_words_free(words);
    json_decref(configuration);
    return status == ACESTEP_OK ? 0 : fail(&err);
}

/* What each mode implies. */
static acestep_status complete(acestep_request *request, const profile_switches *s,
                               acestep_error *err)
{
    if (s->mode == MODE_FORMAT_SAMPLE) {
        return acestep_request_set(request, "use_format", "true", err);
    }
    if (s->mode != MODE_CREATE_SAMPLE) {
        return ACESTEP_OK;
    }
    char *asked = acestep_request_json(request, true);
    json_t *options = asked != NULL ? json_loads(asked, 0, NULL) : NULL;
    const char *query = json_string_value(json_object_get(options, "sample_query"));
    acestep_status status = query == NULL || query[0] == '\0'
                                ? acestep_request_set(request, "sample_query", DEFAULT_QUERY, err)
                                : ACESTEP_OK;
    acestep_free(asked);
    json_decref(options);
    return status;
}

int profile_words(acestep_request *request, const profile_switches *s)
{
    acestep_error err = {.code = ACESTEP_OK};
    acestep_engine *engine = NULL;
    int exit_status;
    if (complete(request, s, &err) != ACESTEP_OK ||
        acestep_engine_open(request, &engine, &err) != ACESTEP_OK) {
        exit_status = fail(&err);
    } else {
        exit_status = measure(engine, request, s);
    }
    acestep_engine_close(engine);
    return exit_status;
}
