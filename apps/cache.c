#include "commands.h"

#include <stdio.h>
#include <string.h>

/* Takes the program's own switch out of the arguments. */
static bool take_clear(int *argc, char **argv)
{
    int kept = 0;
    bool found = false;
    for (int i = 0; i < *argc; i++) {
        if (strcmp(argv[i], "--clear") == 0) {
            found = true;
        } else {
            argv[kept++] = argv[i];
        }
    }
    *argc = kept;
    return found;
}

static int clear(int argc, char **argv)
{
    int exit_status = 0;
    acestep_error err = {.code = ACESTEP_OK};
    acestep_request *request = read_request(argc, argv, &exit_status);
    if (request != NULL && acestep_cache_clear(request, &err) != ACESTEP_OK) {
        exit_status = report_error(&err);
    }
    acestep_request_free(request);
    return exit_status;
}

int command_cache(int argc, char **argv)
{
    common_switches s = take_common_switches(&argc, argv);
    if (s.help) {
        printf("usage: acestep cache [--clear] [--cache-dir FOLDER] [--json]\n\n"
               "Shows the packed weights that are kept on disk, so that the next start is faster,\n"
               "or removes them. --no-cache on any command neither reads nor writes them.\n");
        return 0;
    }
    if (take_clear(&argc, argv)) {
        return clear(argc, argv);
    }
    return print_description(argc, argv, s.json ? acestep_cache_json : acestep_cache_text);
}
