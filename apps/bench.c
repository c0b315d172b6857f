#include "commands.h"
#include "own_arguments.h"
#include "terminal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_REPEATS = 3 };

/* What this command takes besides the options of generate. NULL: not given. */
typedef struct bench_arguments {
    const char *stages, *repeats, *csv;
} bench_arguments;

static void print_help(void)
{
    printf(
        "usage: acestep bench [--stage NAME,NAME...] [--repeats N] [options of generate]\n"
        "                     [--json] [--csv FILE]\n"
        "       acestep bench --compare OLD.json NEW.json\n\n"
        "Measures stages on published shapes with made-up weights, each alone: weights are loaded\n"
        "once, then come a warm-up and N repetitions (--repeats, 3). Shows seconds, GFLOP/s, GB/s "
        "of\n"
        "weights, the share of what this machine can do at the most (measured in the same run), "
        "seconds\n"
        "per second of audio, memory of the plan and of the process.\n\n"
        "stages:\n"
        "  text              text encoder, 102 tokens\n"
        "  condition         condition encoder: 102 tokens of text, 70 of lyrics, 1 frame of "
        "timbre\n"
        "  condition-timbre  the same with the 750 frames of a whole reference\n"
        "  vae-encode        audio to latents, 30 s\n"
        "  lm                5 Hz language model: a prompt, then tokens for 1 to 16 songs at once\n"
        "  dit               one step of the 2B diffusion transformer, 30 s\n"
        "  dit-xl            one step of the XL shapes, 30 s\n"
        "  vae-decode        latents to audio, 30 s\n"
        "  song              the whole pipeline once, 10 s (the default)\n"
        "  all               all of them\n\n"
        "options:\n"
        "  --duration S      length of audio in place of 30 s (10 s)\n"
        "  --precision P     bf16 (the default), int8 or f32; without it lm shows bf16 and int8\n"
        "  --threads N       0: one for each core\n"
        "  --cpu LEVEL       generic, avx2, avx512: highest instruction set to use\n"
        "  --weights SHAPES  synthetic:base and so on; --models DIR measures files\n"
        "  --json            results as JSON on stdout\n"
        "  --csv FILE        adds a line for each result to FILE\n"
        "  --compare O N     two files of --json side by side: times, and shares of what each\n"
        "                    machine could do at the time\n\n"
        "exit status: 0 done, 2 bad parameter or not such a file, 5 out of memory, 10 file error,\n"
        "  130 interrupted\n");
}

static int fail(acestep_status code, const char *format, const char *value)
{
    acestep_error err = {.code = code};
    (void)snprintf(err.message, sizeof err.message, format, value);
    return report_error(&err);
}

static int compare(const char *before, const char *after)
{
    acestep_error err = {.code = ACESTEP_OK};
    char *text = acestep_bench_compare(before, after, &err);
    if (text == NULL) {
        return report_error(&err);
    }
    printf("%s", text);
    acestep_free(text);
    return 0;
}

/* What took minutes to measure is shown, whatever becomes of the file. */
static int print_results(const acestep_bench *bench, const bench_arguments *a, bool json)
{
    acestep_error err = {.code = ACESTEP_OK};
    char *text = json ? acestep_bench_json(bench) : acestep_bench_text(bench);
    if (text == NULL) {
        return fail(ACESTEP_MEMORY, "%s: no host memory for the report", "bench");
    }
    printf("%s%s", text, json ? "\n" : "");
    acestep_free(text);
    if (a->csv != NULL && acestep_bench_append_csv(bench, a->csv, &err) != ACESTEP_OK) {
        return report_error(&err);
    }
    return 0;
}

static int measure(const acestep_request *request, const bench_arguments *a, int repeats,
                   common_switches s)
{
    acestep_error err = {.code = ACESTEP_OK};
    acestep_bench *bench = NULL;
    terminal_progress progress;
    terminal_progress_init(&progress, !s.quiet);
    acestep_status status =
        acestep_bench_run(request, a->stages != NULL ? a->stages : "song", repeats,
                          terminal_progress_show, &progress, &bench, &err);
    terminal_progress_clear(&progress);
    int exit_status =
        bench != NULL ? print_results(bench, a, s.json) : 0; /* perhaps not all of them */
    if (status != ACESTEP_OK) {
        exit_status = report_error(&err);
    }
    acestep_bench_free(bench);
    return exit_status;
}

static int run(int argc, char **argv, const bench_arguments *a, common_switches s)
{
    char *end = NULL;
    long repeats = a->repeats != NULL ? strtol(a->repeats, &end, 10) : DEFAULT_REPEATS;
    if (a->repeats != NULL && (end == a->repeats || *end != '\0' || repeats < 1 || repeats > 100)) {
        return fail(ACESTEP_ARGUMENT, "repeats: \"%.40s\" is not a number from 1 to 100",
                    a->repeats);
    }
    for (int i = 0; i < argc; i++) {
        if (strncmp(argv[i], "--trace", 7) == 0 && (argv[i][7] == '\0' || argv[i][7] == '=')) {
            return fail(ACESTEP_ARGUMENT, "trace: %s", "bench writes none; acestep profile does");
        }
    }
    acestep_error err = {.code = ACESTEP_OK};
    acestep_request *request = NULL;
    int exit_status;
    if (acestep_request_create(&request, &err) != ACESTEP_OK ||
        acestep_request_set_arguments(request, argc, argv, &err) != ACESTEP_OK) {
        exit_status = report_error(&err);
    } else {
        exit_status = measure(request, a, (int)repeats, s);
    }
    acestep_request_free(request);
    return exit_status;
}

int command_bench(int argc, char **argv)
{
    common_switches s = take_common_switches(&argc, argv);
    if (s.help) {
        print_help();
        return 0;
    }
    if (argc > 0 && strcmp(argv[0], "--compare") == 0) {
        if (argc != 3) {
            return fail(ACESTEP_ARGUMENT, "compare: %s", "two files must follow, old and new");
        }
        return compare(argv[1], argv[2]);
    }
    bench_arguments a = {.stages = NULL};
    const own_argument own[] = {{.name = "--stage", .value = &a.stages},
                                {.name = "--repeats", .value = &a.repeats},
                                {.name = "--csv", .value = &a.csv}};
    acestep_error err = {.code = ACESTEP_OK};
    if (take_own_arguments(&argc, argv, own, sizeof own / sizeof *own, &err) != ACESTEP_OK) {
        return report_error(&err);
    }
    return run(argc, argv, &a, s);
}
