#include "commands.h"
#include "terminal.h"

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

/* How the plan is shown. */
typedef struct picture_switch {
    bool wanted;
    const char *file; /* NULL: in the terminal */
} picture_switch;

static bool ends_in(const char *text, const char *end)
{
    size_t all = strlen(text);
    size_t last = strlen(end);
    return all > last && strcmp(text + all - last, end) == 0;
}

/* Takes --picture, --picture FILE.svg or --picture=FILE out of the arguments. */
static picture_switch take_picture(int *argc, char **argv)
{
    static const char with_file[] = "--picture=";
    picture_switch picture = {.wanted = false};
    int kept = 0;
    for (int i = 0; i < *argc; i++) {
        if (strncmp(argv[i], with_file, sizeof with_file - 1) == 0) {
            picture = (picture_switch){true, argv[i] + sizeof with_file - 1};
        } else if (strcmp(argv[i], "--picture") == 0) {
            picture.wanted = true;
            if (i + 1 < *argc && argv[i + 1][0] != '-' && ends_in(argv[i + 1], ".svg")) {
                picture.file = argv[++i];
            }
        } else {
            argv[kept++] = argv[i];
        }
    }
    *argc = kept;
    return picture;
}

static int print_text(char *text)
{
    printf("%s\n", text != NULL ? text : "");
    acestep_free(text);
    return 0;
}

static int show(const acestep_plan *plan, bool json, picture_switch picture)
{
    if (picture.wanted && picture.file != NULL) {
        acestep_error err = {.code = ACESTEP_OK};
        char *svg = acestep_plan_svg(plan);
        acestep_status status = acestep_file_write(picture.file, svg, &err);
        acestep_free(svg);
        return status == ACESTEP_OK ? 0 : report_error(&err);
    }
    if (picture.wanted) {
        return print_text(acestep_plan_picture(plan, terminal_columns(), terminal_has_colour()));
    }
    return print_text(json ? acestep_plan_json(plan) : acestep_plan_text(plan));
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
               "--picture draws the bytes on the device, --picture FILE.svg into a file.\n"
               "--vae-chunk-table shows how many frames are decoded at once by free memory.\n");
        return 0;
    }
    if (take(&argc, argv, "--vae-chunk-table")) {
        return print_chunk_table(s.json);
    }
    picture_switch picture = take_picture(&argc, argv);
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
        exit_status = show(plan, s.json, picture);
    }
    acestep_plan_free(plan);
    acestep_engine_close(engine);
    acestep_request_free(request);
    return exit_status;
}
