/* acestep understand, sample, format, score: the language model without a song. */
#include "commands.h"
#include "source_argument.h"
#include "terminal.h"

#include <stdio.h>
#include <string.h>

typedef acestep_status make_words(acestep_engine *engine, const acestep_request *request,
                                  acestep_progress *progress, void *context, acestep_words **out,
                                  acestep_error *err);

typedef struct words_command {
    const char *help;
    enum {
        TAKES_NONE,
        TAKES_SENTENCE,
        TAKES_RECORDING,
        TAKES_SONG
    } positional;        /* without a name */
    const char *implied; /* an option that is always true; NULL: none */
    make_words *make;
} words_command;

static const words_command understand = {
    "usage: acestep understand FILE [--models DIR] [--audio-codes TEXT] [--json]\n\n"
    "Listens to a song and says what it is: caption, tempo, key, meter, language, lyrics. --json\n"
    "prints a request that makes a song like it, with its audio codes: save it and use it with\n"
    "acestep generate --request FILE. Codes from elsewhere can be read instead of a file.\n",
    TAKES_RECORDING, NULL, acestep_understand};
static const words_command sample = {
    "usage: acestep sample \"ONE SENTENCE ABOUT A SONG\" [--instrumental] [--vocal-language en] "
    "[--json]\n\n"
    "Lets the language model invent the song: caption, lyrics and metadata. --json prints them as\n"
    "a request for acestep generate --request FILE.\n",
    TAKES_SENTENCE, NULL, acestep_compose};
static const words_command format = {
    "usage: acestep format --caption TEXT --lyrics TEXT [--bpm N …] [--json]\n\n"
    "Lets the language model rewrite caption and lyrics the way it likes them best, and choose "
    "the\n"
    "metadata that are not given. --json prints a request for acestep generate --request FILE.\n",
    TAKES_NONE, "use_format", acestep_compose};
static const words_command score = {
    "usage: acestep score FILE [--caption TEXT] [--lyrics TEXT] [--bpm N …] [--json]\n\n"
    "Says how well a song fits its words, in the language model's eyes: 0 to 1, for all of them\n"
    "and for each. FILE is audio, latents (.latents) or left out for --audio-codes TEXT or @FILE.\n"
    "Words that are not given are those in the tags of a song made here; --request FILE takes\n"
    "them from its sidecar.\n",
    TAKES_SONG, NULL, acestep_score};

static int print_words(acestep_engine *engine, const acestep_request *request,
                       const words_command *c, common_switches s)
{
    acestep_error err = {.code = ACESTEP_OK};
    acestep_words *words = NULL;
    terminal_progress progress;
    terminal_progress_init(&progress, !s.quiet && !s.json);
    acestep_status status =
        c->make(engine, request, terminal_progress_show, &progress, &words, &err);
    terminal_progress_clear(&progress);
    if (status != ACESTEP_OK) {
        return report_error(&err);
    }
    char *text = s.json ? acestep_words_json(words) : acestep_words_text(words);
    printf("%s%s", text != NULL ? text : "", s.json ? "\n" : "");
    acestep_free(text);
    acestep_words_free(words);
    return 0;
}

static acestep_status set_positional(acestep_request *request, const words_command *c,
                                     const char *positional, acestep_error *err)
{
    if (positional == NULL) {
        return ACESTEP_OK;
    }
    if (c->positional == TAKES_SENTENCE) {
        return acestep_request_set(request, "sample_query", positional, err);
    }
    acestep_status status = set_source(request, positional, err);
    return status == ACESTEP_OK && c->positional == TAKES_SONG
               ? set_words_of(request, positional, err)
               : status;
}

static int with_request(const words_command *c, int argc, char **argv, const char *positional,
                        common_switches s)
{
    int exit_status = 0;
    acestep_error err = {.code = ACESTEP_OK};
    acestep_engine *engine = NULL;
    acestep_request *request = read_request(argc, argv, &exit_status);
    if (request == NULL) {
        return exit_status;
    }
    acestep_status status = set_positional(request, c, positional, &err);
    if (status == ACESTEP_OK && c->implied != NULL) {
        status = acestep_request_set(request, c->implied, "true", &err);
    }
    if (status == ACESTEP_OK) {
        status = acestep_engine_open(request, &engine, &err);
    }
    exit_status = status == ACESTEP_OK ? print_words(engine, request, c, s) : report_error(&err);
    acestep_engine_close(engine);
    acestep_request_free(request);
    return exit_status;
}

static int run(const words_command *c, int argc, char **argv)
{
    common_switches s = take_common_switches(&argc, argv);
    if (s.help) {
        printf("%s\nOptions are those of acestep generate.\n", c->help);
        return 0;
    }
    const char *positional = c->positional != TAKES_NONE ? take_positional(&argc, argv) : NULL;
    return with_request(c, argc, argv, positional, s);
}

int command_understand(int argc, char **argv)
{
    return run(&understand, argc, argv);
}

int command_sample(int argc, char **argv)
{
    return run(&sample, argc, argv);
}

int command_format(int argc, char **argv)
{
    return run(&format, argc, argv);
}

int command_score(int argc, char **argv)
{
    return run(&score, argc, argv);
}
