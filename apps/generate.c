#include "commands.h"
#include "terminal.h"

#include <stdio.h>
#include <string.h>

static void print_help(void)
{
    char *help = acestep_options_help();
    printf("usage: acestep generate [--caption TEXT] [--lyrics TEXT] [--duration SECONDS] …\n\n"
           "Makes songs and writes their files. Without --models the built-in demo model plays.\n"
           "Every option can stand in the environment as ACESTEP_<NAME>, in a JSON file given by\n"
           "--request FILE (a song's sidecar works), or here; later ones win.\n\n"
           "  --json  result as one JSON object    --quiet  nothing but the result\n"
           "%s",
           help != NULL ? help : "");
    acestep_free(help);
}

static void print_songs(const acestep_result *result, bool quiet)
{
    int columns = terminal_columns() - 4;
    columns = columns > 76 ? 76 : columns;
    for (int i = 0; i < acestep_result_songs(result); i++) {
        acestep_song song = acestep_result_song(result, i);
        if (song.path == NULL) {
            continue; /* --exec shape makes no sound */
        }
        if (quiet || !terminal_has_colour()) {
            printf("%s\n", song.path);
            continue;
        }
        char *wave = acestep_waveform(&song, columns, 4);
        printf("\n%s  \033[1m%s\033[0m  (%.1f s, seed %llu)\n", wave != NULL ? wave : "", song.path,
               (double)song.frames / song.sample_rate, (unsigned long long)song.seed);
        acestep_free(wave);
    }
}

static int run_request(acestep_engine *engine, const acestep_request *request, common_switches s)
{
    acestep_error err = {.code = ACESTEP_OK};
    acestep_result *result = NULL;
    terminal_progress progress;
    terminal_progress_init(&progress, !s.quiet && !s.json);
    progress.note = s.quiet ? "" : acestep_engine_note(engine);
    acestep_status status =
        acestep_generate(engine, request, terminal_progress_show, &progress, &result, &err);
    terminal_progress_clear(&progress);
    if (status != ACESTEP_OK) {
        return report_error(&err);
    }
    if (s.json) {
        char *json = acestep_result_json(result);
        printf("%s\n", json != NULL ? json : "{}");
        acestep_free(json);
    } else {
        char *text = s.quiet ? NULL : acestep_result_text(result);
        fprintf(stderr, "%s", text != NULL ? text : "");
        acestep_free(text);
        print_songs(result, s.quiet);
    }
    acestep_result_free(result);
    return 0;
}

int command_generate(int argc, char **argv)
{
    common_switches s = take_common_switches(&argc, argv);
    if (s.help) {
        print_help();
        return 0;
    }
    int exit_status = 0;
    acestep_request *request = read_request(argc, argv, &exit_status);
    if (request == NULL) {
        return exit_status;
    }
    acestep_error err = {.code = ACESTEP_OK};
    acestep_engine *engine = NULL;
    if (acestep_engine_open(request, &engine, &err) != ACESTEP_OK) {
        exit_status = report_error(&err);
    } else {
        exit_status = run_request(engine, request, s);
    }
    acestep_engine_close(engine);
    acestep_request_free(request);
    return exit_status;
}
