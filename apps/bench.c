#include "commands.h"
#include "terminal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* Published shapes with made-up weights; the song itself is thrown away. */
static acestep_status set_up(acestep_request *request, char *path, size_t bytes, acestep_error *err)
{
    const char *folder = getenv("TMPDIR");
    (void)snprintf(path, bytes, "%s/acestep-bench-%ld.wav", folder != NULL ? folder : "/tmp",
                   (long)getpid());
    acestep_status status = acestep_request_set(request, "weights", "synthetic:turbo", err);
    const char *const fixed[][2] = {
        {"duration", "10"},
        {"seed", "1"},
        {"output", path},
        {"overwrite", "true"},
        {"audio_format", "wav"},
        {"sidecar", "false"},
        {"caption", "warm ambient electronic analog pads with soft drums"}};
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed && status == ACESTEP_OK; i++) {
        status = acestep_request_set(request, fixed[i][0], fixed[i][1], err);
    }
    return status;
}

/* Takes "--stage NAME" out of argv; NULL: not there. */
static const char *take_stage(int *argc, char **argv)
{
    const char *stage = NULL;
    int kept = 0;
    for (int i = 0; i < *argc; i++) {
        if (strcmp(argv[i], "--stage") == 0 && stage == NULL) {
            stage = i + 1 < *argc ? argv[++i] : "";
        } else {
            argv[kept++] = argv[i];
        }
    }
    *argc = kept;
    return stage;
}

static int bench_language_model(const acestep_request *request, bool json)
{
    acestep_error err = {.code = ACESTEP_OK};
    char *text = json ? acestep_bench_lm_json(request, &err) : acestep_bench_lm_text(request, &err);
    if (text == NULL) {
        return report_error(&err);
    }
    printf("%s%s", text, json ? "\n" : "");
    acestep_free(text);
    return 0;
}

static int refuse_stage(const char *stage)
{
    acestep_error err = {.code = ACESTEP_ARGUMENT};
    (void)snprintf(err.message, sizeof err.message,
                   "stage: \"%.40s\" cannot be measured alone; lm can", stage);
    return report_error(&err);
}

static void print_help(void)
{
    printf(
        "usage: acestep bench [options of generate] [--json]\n"
        "       acestep bench --stage lm [--weights synthetic] [--lm_model_path NAME] [--json]\n\n"
        "Makes a 10 s song with made-up weights of the published turbo model and shows what each\n"
        "stage took: seconds of loading and computing, memory, GFLOP/s. Any option of generate "
        "can\n"
        "change the work, e.g. --weights synthetic:base, --duration 30, --precision f32, --threads "
        "1,\n"
        "--cpu avx2.\n\n"
        "--stage lm shows the speed of the 5 Hz language model: a prompt, then single tokens for 1 "
        "to 16\n"
        "songs at once, in bf16 and int8 or as --precision says, and what share that is of what "
        "the memory\n"
        "allows.\n");
}

static int run(const acestep_request *request, common_switches s)
{
    acestep_error err = {.code = ACESTEP_OK};
    acestep_engine *engine = NULL;
    acestep_result *result = NULL;
    terminal_progress progress;
    terminal_progress_init(&progress, !s.quiet && !s.json);
    acestep_status status = acestep_engine_open(request, &engine, &err);
    if (status == ACESTEP_OK) {
        status =
            acestep_generate(engine, request, terminal_progress_show, &progress, &result, &err);
    }
    terminal_progress_clear(&progress);
    if (status == ACESTEP_OK) {
        struct rusage usage;
        char *text = s.json ? acestep_result_json(result) : acestep_result_text(result);
        printf("%s", text != NULL ? text : "");
        if (!s.json && getrusage(RUSAGE_SELF, &usage) == 0) {
            printf("  largest resident set of the process %.2f GB\n",
                   (double)usage.ru_maxrss / (1 << 20));
        }
        acestep_free(text);
    }
    acestep_result_free(result);
    acestep_engine_close(engine);
    return status == ACESTEP_OK ? 0 : report_error(&err);
}

int command_bench(int argc, char **argv)
{
    common_switches s = take_common_switches(&argc, argv);
    if (s.help) {
        print_help();
        return 0;
    }
    const char *stage = take_stage(&argc, argv);
    if (stage != NULL && strcmp(stage, "lm") != 0) {
        return refuse_stage(stage);
    }
    char path[512];
    int exit_status = 0;
    acestep_error err = {.code = ACESTEP_OK};
    acestep_request *request = NULL;
    if (acestep_request_create(&request, &err) != ACESTEP_OK ||
        set_up(request, path, sizeof path, &err) != ACESTEP_OK ||
        acestep_request_set_arguments(request, argc, argv, &err) != ACESTEP_OK) {
        exit_status = report_error(&err);
    } else if (stage != NULL) {
        exit_status = bench_language_model(request, s.json);
    } else {
        exit_status = run(request, s);
        (void)remove(path);
    }
    acestep_request_free(request);
    return exit_status;
}
