#include "commands.h"

#include <stdio.h>

typedef char *describe(const acestep_request *request, acestep_error *err);

/* Prints what one of two functions says. */
static int print(int argc, char **argv, common_switches s, describe *as_json, describe *as_text)
{
    int exit_status = 0;
    acestep_request *request = read_request(argc, argv, &exit_status);
    if (request == NULL) {
        return exit_status;
    }
    acestep_error err = {.code = ACESTEP_OK};
    char *text = s.json ? as_json(request, &err) : as_text(request, &err);
    if (text == NULL) {
        exit_status = report_error(&err);
    } else {
        printf("%s\n", text);
    }
    acestep_free(text);
    acestep_request_free(request);
    return exit_status;
}

int command_info(int argc, char **argv)
{
    common_switches s = take_common_switches(&argc, argv);
    if (s.help) {
        printf("usage: acestep info [options of generate] [--json]\n\n"
               "Shows this machine, its tier, and what a job would run with, each value with its\n"
               "source. MAX_CUDA_VRAM=8 acestep info shows it for a card of 8 GB.\n");
        return 0;
    }
    return print(argc, argv, s, acestep_info_json, acestep_info_text);
}

int command_tiers(int argc, char **argv)
{
    common_switches s = take_common_switches(&argc, argv);
    if (s.help) {
        printf("usage: acestep tiers [--gpu-tiers FILE] [--json]\n\n"
               "Shows the limits and defaults of all tiers. The JSON form, or part of it, is what\n"
               "a gpu_tiers.json beside the program may change.\n");
        return 0;
    }
    return print(argc, argv, s, acestep_tiers_json, acestep_tiers_text);
}
