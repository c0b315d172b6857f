#include "commands.h"

#include <stdio.h>
#include <string.h>

int command_models(int argc, char **argv)
{
    common_switches s = take_common_switches(&argc, argv);
    if (argc > 0 && strcmp(argv[0], "list") == 0) {
        argc--;
        argv++;
    }
    if (s.help) {
        printf("usage: acestep models [list] [--models DIR] [--model NAME]\n\n"
               "Shows which checkpoints a job with these options would use, as JSON.\n");
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
        char *text = acestep_engine_json(engine);
        printf("%s\n", text != NULL ? text : "{}");
        acestep_free(text);
    }
    acestep_engine_close(engine);
    acestep_request_free(request);
    return exit_status;
}
