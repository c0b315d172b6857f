#include "commands.h"

#include <stdio.h>
#include <string.h>

/* Takes a switch out of the arguments. */
static bool take(int *argc, char **argv, const char *name)
{
    bool found = false;
    int kept = 0;
    for (int i = 0; i < *argc; i++) {
        if (strcmp(argv[i], name) == 0) {
            found = true;
        } else {
            argv[kept++] = argv[i];
        }
    }
    *argc = kept;
    return found;
}

static int print_chunk_table(bool json)
{
    char *text = acestep_vae_chunk_table(json);
    printf("%s\n", text != NULL ? text : "");
    acestep_free(text);
    return 0;
}

int command_plan(int argc, char **argv)
{
    common_switches s = take_common_switches(&argc, argv);
    if (s.help) {
        printf("usage: acestep plan [options of generate] [--json]\n\n"
               "Shows, stage by stage, the memory and the work of the job. Nothing is computed and "
               "no\n"
               "weights are read: --weights synthetic:turbo plans without any files.\n"
               "--vae-chunk-table shows how many frames are decoded at once by free memory.\n");
        return 0;
    }
    if (take(&argc, argv, "--vae-chunk-table")) {
        return print_chunk_table(s.json);
    }
    int exit_status = 0;
    acestep_request *request = read_request(argc, argv, &exit_status);
    if (request == NULL) {
        return exit_status;
    }
    acestep_error err = {.code = ACESTEP_OK};
    acestep_engine *engine = NULL;
    acestep_plan *plan = NULL;
    if (acestep_engine_open(request, &engine, &err) != ACESTEP_OK ||
        acestep_plan_create(engine, request, &plan, &err) != ACESTEP_OK) {
        exit_status = report_error(&err);
    } else {
        char *text = s.json ? acestep_plan_json(plan) : acestep_plan_text(plan);
        printf("%s\n", text != NULL ? text : "");
        acestep_free(text);
    }
    acestep_plan_free(plan);
    acestep_engine_close(engine);
    acestep_request_free(request);
    return exit_status;
}
