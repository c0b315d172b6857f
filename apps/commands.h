/* The subcommands. Each gets the arguments after its name and returns the program's exit status. */
#ifndef APPS_COMMANDS_H
#define APPS_COMMANDS_H

#include "acestep.h"

int command_generate(int argc, char **argv);
int command_understand(int argc, char **argv);
int command_sample(int argc, char **argv);
int command_format(int argc, char **argv);
int command_score(int argc, char **argv);
int command_lrc(int argc, char **argv);
int command_encode(int argc, char **argv);
int command_decode(int argc, char **argv);
int command_plan(int argc, char **argv);
int command_probe(int argc, char **argv);
int command_models(int argc, char **argv);
int command_download(int argc, char **argv);
int command_bench(int argc, char **argv);
int command_profile(int argc, char **argv);
int command_quantize(int argc, char **argv);
int command_info(int argc, char **argv);
int command_tiers(int argc, char **argv);
int command_cache(int argc, char **argv);
int command_serve(int argc, char **argv);

/* Switches of the program itself, taken out of argv before the options are read. */
typedef struct common_switches {
    bool json, quiet, verbose, help;
} common_switches;

common_switches take_common_switches(int *argc, char **argv);

/* Defaults, then the environment, then a JSON request where --request FILE is given, then
 * arguments. On failure prints the error and returns NULL with *exit_status set. */
acestep_request *read_request(int argc, char **argv, int *exit_status);

/* The models where `acestep download` puts checkpoints, once a song can be made from them; anything
 * that names others comes later and wins. */
acestep_status set_downloaded_models(acestep_request *request, acestep_error *err);

/* Prints what a function of the library says about the request that the arguments make. */
typedef char *description(const acestep_request *request, acestep_error *err);
int print_description(int argc, char **argv, description *describe);

/* Prints "acestep: message" on stderr and returns the exit status of the error. */
int report_error(const acestep_error *err);
int exit_status_of(acestep_status status);

#endif
