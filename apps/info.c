#include "commands.h"

#include <stdio.h>

int command_info(int argc, char **argv)
{
    common_switches s = take_common_switches(&argc, argv);
    if (s.help) {
        printf("usage: acestep info [options of generate] [--json]\n\n"
               "Shows this machine, its tier, and what a job would run with, each value with its\n"
               "source. MAX_CUDA_VRAM=8 acestep info shows it for a card of 8 GB.\n");
        return 0;
    }
    return print_description(argc, argv, s.json ? acestep_info_json : acestep_info_text);
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
    return print_description(argc, argv, s.json ? acestep_tiers_json : acestep_tiers_text);
}
