#include "commands.h"

#include <stdio.h>
#include <string.h>

/* Takes "NAME VALUE" or "NAME=VALUE" out of the arguments. */
static const char *take_value(int *argc, char **argv, const char *name)
{
    const char *value = NULL;
    size_t n = strlen(name);
    int kept = 0;
    for (int i = 0; i < *argc; i++) {
        if (strcmp(argv[i], name) == 0 && i + 1 < *argc) {
            value = argv[++i];
        } else if (strncmp(argv[i], name, n) == 0 && argv[i][n] == '=') {
            value = argv[i] + n + 1;
        } else {
            argv[kept++] = argv[i];
        }
    }
    *argc = kept;
    return value;
}

static void print_help(void)
{
    printf("usage: acestep probe --models DIR --case CASE.safetensors --output OUT.safetensors\n"
           "                     [--device D] [--precision f32|bf16|int8]\n\n"
           "Reads the in.* tensors of a recorded case and its parameters from the index.json\n"
           "beside it, runs exactly that part, and writes tensors named like the case's out.*.\n"
           "The kind of case is its file name up to the first underscore: text, cond, fsq, dit,\n"
           "sample, vae, e2e, guidance.\n"
           "acestep probe --dump-constraint duration shows what the language model may choose.\n");
}

/* What constrained decoding lets the language model choose on this card. */
static char *describe_duration(const acestep_request *request, acestep_error *err)
{
    return acestep_constraint_json(request, "duration", err);
}

static int dump_constraint(int argc, char **argv, const char *field)
{
    if (strcmp(field, "duration") != 0) {
        fprintf(stderr, "acestep: dump-constraint: only duration has a range of its own\n");
        return ACESTEP_ARGUMENT;
    }
    return print_description(argc, argv, describe_duration);
}

int command_probe(int argc, char **argv)
{
    common_switches s = take_common_switches(&argc, argv);
    const char *case_path = take_value(&argc, argv, "--case");
    const char *output_path = take_value(&argc, argv, "--output");
    const char *constraint = take_value(&argc, argv, "--dump-constraint");
    if (s.help) {
        print_help();
        return 0;
    }
    if (constraint != NULL) {
        return dump_constraint(argc, argv, constraint);
    }
    if (case_path == NULL || output_path == NULL) {
        fprintf(stderr, "acestep: probe: %s is missing; acestep probe --help tells more\n",
                case_path == NULL ? "--case FILE" : "--output FILE");
        return ACESTEP_ARGUMENT;
    }
    int exit_status = 0;
    acestep_request *request = read_request(argc, argv, &exit_status);
    if (request == NULL) {
        return exit_status;
    }
    acestep_error err = {.code = ACESTEP_OK};
    if (acestep_probe(request, case_path, output_path, &err) != ACESTEP_OK) {
        exit_status = report_error(&err);
    }
    acestep_request_free(request);
    return exit_status;
}
