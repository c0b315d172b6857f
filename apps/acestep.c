/* One program, many commands. Everything it does goes through include/acestep.h. */
#include "commands.h"
#include "terminal.h"

#include <stdio.h>
#include <string.h>

typedef struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
} command;

static const command commands[] = {
    {"serve", command_serve, "a page and an HTTP API with a queue; also when no command is given"},
    {"generate", command_generate, "make songs from a caption and lyrics"},
    {"understand", command_understand, "say what a song is: caption, lyrics, tempo, key"},
    {"sample", command_sample, "invent caption, lyrics and metadata from one sentence"},
    {"format", command_format, "rewrite caption and lyrics, choose metadata"},
    {"score", command_score, "say how well a song fits its caption and lyrics"},
    {"lrc", command_lrc, "say when a song sings its lyrics: NAME.lrc and NAME.vtt"},
    {"encode", command_encode, "turn a recording into latents, and into audio codes"},
    {"decode", command_decode, "turn latents or audio codes into audio"},
    {"plan", command_plan, "show the memory a job needs, stage by stage, without running it"},
    {"info", command_info, "show this machine, its tier, and what a job would run with"},
    {"tiers", command_tiers, "show the limits and defaults of all tiers"},
    {"probe", command_probe, "run one part of the networks on a recorded case"},
    {"models", command_models, "checkpoints: list, download, verify, remove, which would be used"},
    {"download", command_download, "get checkpoints (acestep models download)"},
    {"quantize", command_quantize, "write a models folder with an INT8 diffusion model"},
    {"cache", command_cache, "show or clear the packed weights that are kept on disk"},
    {"bench", command_bench, "time the stages on published shapes with made-up weights"},
    {"profile", command_profile,
     "show where time and memory go; test every tier on simulated cards"},
};
enum { N_COMMANDS = sizeof commands / sizeof commands[0] };

static void print_usage(FILE *out)
{
    fprintf(out,
            "acestep %s: music from words, with the ACE-Step 1.5 models\n\n"
            "  acestep                  serves its page at http://127.0.0.1:7860\n"
            "  acestep generate --caption \"upbeat pop song with piano and drums\" -d 10\n\n"
            "commands (acestep COMMAND --help tells more):\n",
            acestep_version());
    for (int i = 0; i < N_COMMANDS; i++) {
        fprintf(out, "  %-11s %s\n", commands[i].name, commands[i].help);
    }
    fprintf(out, "\n"
                 "exit status: 0 done, 1 failed, 2 bad parameter, 3 model missing or damaged,\n"
                 "  4 unreadable input audio, 5 out of memory, 6 not possible, 7 network,\n"
                 "  10 file error, 130 interrupted\n");
}

static int run(int argc, char **argv)
{
    if (argc < 2) {
        return command_serve(0, argv + argc);
    }
    if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0 ||
        strcmp(argv[1], "-h") == 0) {
        print_usage(stdout);
        return 0;
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "version") == 0) {
        printf("acestep %s\n", acestep_version());
        return 0;
    }
    for (int i = 0; i < N_COMMANDS; i++) {
        if (strcmp(argv[1], commands[i].name) == 0) {
            return commands[i].run(argc - 2, argv + 2);
        }
    }
    if (argv[1][0] == '-') { /* acestep --caption … : the command everybody means */
        return command_generate(argc - 1, argv + 1);
    }
    fprintf(stderr, "acestep: \"%s\": no such command; acestep --help lists them\n", argv[1]);
    return ACESTEP_ARGUMENT;
}

int main(int argc, char **argv)
{
    terminal_catch_interrupts();
    int exit_status = run(argc, argv);
    return terminal_finish() || exit_status != 0 ? exit_status : (int)ACESTEP_IO;
}
