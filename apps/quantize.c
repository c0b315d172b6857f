#include "commands.h"
#include "terminal.h"

#include <stdio.h>

int command_quantize(int argc, char **argv)
{
    common_switches s = take_common_switches(&argc, argv);
    if (s.help) {
        printf(
            "usage: acestep quantize --models DIR [--model NAME] --output DIR2\n\n"
            "Writes the models into a new folder, the diffusion model with INT8 weights (half the\n"
            "size; the same songs as --quantization int8 makes from the original).\n");
        return 0;
    }
    int exit_status = 0;
    acestep_request *request = read_request(argc, argv, &exit_status);
    if (request == NULL) {
        return exit_status;
    }
    acestep_error err = {.code = ACESTEP_OK};
    terminal_progress progress;
    terminal_progress_init(&progress, !s.quiet && !s.json);
    acestep_status status = acestep_quantize(request, terminal_progress_show, &progress, &err);
    terminal_progress_clear(&progress);
    acestep_request_free(request);
    return status == ACESTEP_OK ? 0 : report_error(&err);
}
