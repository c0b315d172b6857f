/* acestep lrc, encode, decode: songs that are there. */
#include "commands.h"
#include "own_arguments.h"
#include "source_argument.h"
#include "terminal.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef acestep_status make_result(acestep_engine *engine, const acestep_request *request,
                                   acestep_progress *progress, void *context, acestep_result **out,
                                   acestep_error *err);

typedef struct recording_command {
    const char *help;
    bool beside; /* its files lie beside the recording unless an output is named */
    bool words;  /* those in the recording's tags count where none are given */
    bool codes;  /* --codes FILE */
    make_result *make;
} recording_command;

static const recording_command lrc = {
    "usage: acestep lrc SONG [--lyrics TEXT] [--output NAME] [--auto-score] [--json]\n\n"
    "Finds out when a song sings its lyrics and writes NAME.lrc and NAME.vtt, beside the song\n"
    "unless --output names another place. SONG is audio or latents (.latents). Words that are\n"
    "not given are those in the tags of a song made here; --request FILE takes them from its\n"
    "sidecar. --auto-score also says how well they are sung.\n",
    true, true, false, acestep_time_lyrics};
static const recording_command encode = {
    "usage: acestep encode RECORDING [--output NAME] [--codes FILE] [--json]\n\n"
    "Turns a recording into latents: NAME.latents, frames of 32-bit floats, 25 times a second,\n"
    "beside the recording unless --output names another place. --codes writes its 5 Hz audio\n"
    "codes as text too; - prints them. What is made: a source for --src-latents, and for\n"
    "acestep decode; codes for --audio-codes @FILE.\n",
    true, false, true, acestep_encode};
static const recording_command decode = {
    "usage: acestep decode LATENTS [--output FILE] [--audio-format NAME] [--json]\n"
    "       acestep decode --audio-codes TEXT|@FILE [--output FILE] …\n\n"
    "Turns latents (NAME.latents, of acestep encode or --save-latents) or 5 Hz audio codes into\n"
    "audio, levelled like a song. --no-enable-normalization leaves the level as it is.\n",
    false, false, false, acestep_decode};

static acestep_status fail(acestep_error *err, acestep_status code, const char *file,
                           const char *what)
{
    err->code = code;
    (void)snprintf(err->message, sizeof err->message, "%s: %s", file, what);
    return code;
}

/* ---- the request
 * ------------------------------------------------------------------------------------ */

/* The extensions of what is written take the place of the recording's own. */
static acestep_status put_beside(acestep_request *request, const char *recording,
                                 acestep_error *err)
{
    char *text = acestep_request_json(request, true);
    json_t *asked = text != NULL ? json_loads(text, 0, NULL) : NULL;
    bool named = json_object_get(asked, "output") != NULL;
    acestep_free(text);
    json_decref(asked);
    return named ? ACESTEP_OK : acestep_request_set(request, "output", recording, err);
}

static acestep_status set_recording(acestep_request *request, const recording_command *c,
                                    const char *path, acestep_error *err)
{
    if (path == NULL) {
        return ACESTEP_OK;
    }
    acestep_status status = c->make == acestep_decode
                                ? acestep_request_set(request, "src_latents", path, err)
                                : set_source(request, path, err);
    if (status == ACESTEP_OK && c->words) {
        status = set_words_of(request, path, err);
    }
    return status == ACESTEP_OK && c->beside ? put_beside(request, path, err) : status;
}

/* ---- codes
 * ------------------------------------------------------------------------------------------ */

static bool may_overwrite(const acestep_request *request)
{
    char *text = acestep_request_json(request, false);
    json_t *all = text != NULL ? json_loads(text, 0, NULL) : NULL;
    bool may = json_is_true(json_object_get(all, "overwrite"));
    acestep_free(text);
    json_decref(all);
    return may;
}

static bool can_write_beside(const char *path)
{
    char folder[4096];
    const char *slash = strrchr(path, '/');
    int length = slash != NULL ? (int)(slash - path) + 1 : 0;
    (void)snprintf(folder, sizeof folder, "%.*s", length, path);
    return access(length > 0 ? folder : ".", W_OK) == 0;
}

/* Before anything is computed. What is no file, as /dev/stdout, is written to. */
static acestep_status check_codes(const char *path, const acestep_request *request,
                                  acestep_error *err)
{
    struct stat found;
    if (path == NULL || strcmp(path, "-") == 0) {
        return ACESTEP_OK;
    }
    if (stat(path, &found) == 0) {
        return !S_ISREG(found.st_mode) || may_overwrite(request)
                   ? ACESTEP_OK
                   : fail(err, ACESTEP_IO, path, "it exists; --overwrite replaces it");
    }
    return can_write_beside(path) ? ACESTEP_OK : fail(err, ACESTEP_IO, path, strerror(errno));
}

static acestep_status write_codes(const json_t *output, const char *path, acestep_error *err)
{
    const char *codes = json_string_value(json_object_get(output, "codes"));
    if (codes == NULL && json_object_get(output, "latents") == NULL) {
        return ACESTEP_OK; /* --exec shape: nothing has been computed */
    }
    if (codes == NULL) {
        return fail(err, ACESTEP_UNSUPPORTED, "--codes",
                    "this model cannot tell them: it has no tokenizer of latents");
    }
    if (strcmp(path, "-") == 0) {
        printf("%s\n", codes);
        return ACESTEP_OK;
    }
    size_t bytes = strlen(codes) + sizeof "\n";
    char *line = malloc(bytes);
    if (line != NULL) {
        (void)snprintf(line, bytes, "%s\n", codes);
    }
    acestep_status status = acestep_file_write(path, line, err);
    free(line);
    return status;
}

/* ---- running
 * ---------------------------------------------------------------------------------------- */

/* The files, a line to each. */
static void print_files(const json_t *output)
{
    static const char *const names[] = {"path", "latents", "lrc", "vtt"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *file = json_string_value(json_object_get(output, names[i]));
        if (file != NULL) {
            printf("%s\n", file);
        }
    }
}

static acestep_status print_result(const acestep_result *result, const char *codes_path,
                                   common_switches s, acestep_error *err)
{
    char *json = acestep_result_json(result);
    json_t *root = json != NULL ? json_loads(json, 0, NULL) : NULL;
    const json_t *output = json_array_get(json_object_get(root, "outputs"), 0);
    acestep_status status =
        root != NULL ? ACESTEP_OK : fail(err, ACESTEP_MEMORY, "result", "no host memory");
    if (status == ACESTEP_OK && codes_path != NULL) {
        status = write_codes(output, codes_path, err);
    }
    if (status == ACESTEP_OK && s.json) {
        printf("%s\n", json);
    } else if (status == ACESTEP_OK) {
        char *text = s.quiet ? NULL : acestep_result_text(result);
        fprintf(stderr, "%s", text != NULL ? text : "");
        acestep_free(text);
        if (codes_path == NULL || strcmp(codes_path, "-") != 0) {
            print_files(output);
        }
    }
    json_decref(root);
    acestep_free(json);
    return status;
}

static acestep_status run_request(const recording_command *c, const acestep_request *request,
                                  const char *codes_path, common_switches s, acestep_error *err)
{
    acestep_engine *engine = NULL;
    acestep_result *result = NULL;
    terminal_progress progress;
    acestep_status status = acestep_engine_open(request, &engine, err);
    if (status == ACESTEP_OK) {
        terminal_progress_init(&progress, !s.quiet && !s.json);
        progress.note = s.quiet ? "" : acestep_engine_note(engine);
        status = c->make(engine, request, terminal_progress_show, &progress, &result, err);
        terminal_progress_clear(&progress);
    }
    if (status == ACESTEP_OK) {
        status = print_result(result, codes_path, s, err);
    }
    acestep_result_free(result);
    acestep_engine_close(engine);
    return status;
}

static int with_request(const recording_command *c, acestep_request *request, const char *recording,
                        const char *codes_path, common_switches s)
{
    acestep_error err = {.code = ACESTEP_OK};
    acestep_status status = set_recording(request, c, recording, &err);
    if (status == ACESTEP_OK) {
        status = check_codes(codes_path, request, &err);
    }
    if (status == ACESTEP_OK) {
        status = run_request(c, request, codes_path, s, &err);
    }
    return status == ACESTEP_OK ? 0 : report_error(&err);
}

static int run(const recording_command *c, int argc, char **argv)
{
    common_switches s = take_common_switches(&argc, argv);
    const char *codes_path = NULL;
    const own_argument codes = {.name = "--codes", .value = &codes_path};
    acestep_error err = {.code = ACESTEP_OK};
    if (s.help) {
        printf("%s\nOther options are those of acestep generate; --exec shape shows the memory "
               "that is\n"
               "needed, and computes nothing.\n",
               c->help);
        return 0;
    }
    if (c->codes && take_own_arguments(&argc, argv, &codes, 1, &err) != ACESTEP_OK) {
        return report_error(&err);
    }
    int exit_status = 0;
    const char *recording = take_positional(&argc, argv);
    acestep_request *request = read_request(argc, argv, &exit_status);
    if (request != NULL) {
        exit_status = with_request(c, request, recording, codes_path, s);
    }
    acestep_request_free(request);
    return exit_status;
}

int command_lrc(int argc, char **argv)
{
    return run(&lrc, argc, argv);
}

int command_encode(int argc, char **argv)
{
    return run(&encode, argc, argv);
}

int command_decode(int argc, char **argv)
{
    return run(&decode, argc, argv);
}
