#include "store_arguments.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void print_usage(void)
{
    printf(
        "usage: acestep models [--models DIR] [--model NAME]\n"
        "       acestep models list | where | download | verify | remove\n\n"
        "Without a word: which checkpoints a job with these options would use, as JSON.\n\n"
        "  list                 what is here and what can be had; * for what suits this machine\n"
        "  where                the folder, whether a song can be made from it, free space\n"
        "  download [NAME ...]  get checkpoints (acestep models download --help)\n"
        "  verify [NAME ...]    read every byte and compare with what was published\n"
        "  remove NAME ... [-y] remove what a download has put there\n\n"
        "All take --models DIR and --json. Exit status 7: network, 3: damaged.\n");
}

/* Which checkpoints a job would use. */
static int show_chosen(int argc, char **argv)
{
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

/* ---- list, where
 * ------------------------------------------------------------------------------------- */

static int show_list(const store_arguments *a, const common_switches *s)
{
    acestep_error err = {.code = ACESTEP_OK};
    char *text = s->json ? acestep_store_list_json(a->folder, a->recommended_lm, &err)
                         : acestep_store_list_text(a->folder, a->recommended_lm, &err);
    if (text == NULL) {
        return report_error(&err);
    }
    printf(s->json ? "%s\n" : "%s", text);
    acestep_free(text);
    return 0;
}

static int show_where(const store_arguments *a, const common_switches *s)
{
    acestep_error err = {.code = ACESTEP_OK};
    char *text = acestep_store_list_json(a->folder, a->recommended_lm, &err);
    json_t *list = text != NULL ? json_loads(text, 0, NULL) : NULL;
    acestep_free(text);
    if (list == NULL) {
        return report_error(&err);
    }
    bool ready = acestep_store_ready(a->folder);
    bool exists = access(a->folder, F_OK) == 0;
    bool writable = access(a->folder, W_OK) == 0;
    if (s->json) {
        json_t *root = json_pack("{s:s, s:b, s:b, s:b, s:O, s:O}", "folder", a->folder, "exists",
                                 (int)exists, "writable", (int)writable, "ready", (int)ready,
                                 "installed_bytes", json_object_get(list, "installed_bytes"),
                                 "free_bytes", json_object_get(list, "free_bytes"));
        text = root != NULL ? json_dumps(root, JSON_INDENT(2)) : NULL;
        printf("%s\n", text != NULL ? text : "{}");
        free(text);
        json_decref(root);
    } else {
        printf("%s\n", a->folder);
        fprintf(stderr, "%s, %s\n",
                exists ? writable ? "writable" : "not writable" : "not there yet",
                ready ? "a song can be made from it" : "nothing complete to make a song from");
    }
    json_decref(list);
    return 0;
}

/* ---- verify
 * -------------------------------------------------------------------------------------------- */

static void print_verdicts(const char *text)
{
    size_t i = 0;
    json_t *set = NULL;
    json_t *root = json_loads(text, 0, NULL);
    json_array_foreach (json_object_get(root, "sets"), i, set) {
        const char *reason = json_string_value(json_object_get(set, "reason"));
        printf("%-30s %s%s%s\n", json_string_value(json_object_get(set, "name")),
               json_string_value(json_object_get(set, "state")), reason[0] != '\0' ? ": " : "",
               reason);
    }
    json_decref(root);
}

static int verify(const store_arguments *a, const common_switches *s)
{
    acestep_error err = {.code = ACESTEP_OK};
    store_view view;
    char *text = NULL;
    store_view_init(&view, s->quiet || s->json);
    acestep_status status =
        acestep_store_verify(a->folder, a->name, a->n, store_view_show, &view, &text, &err);
    terminal_progress_clear(&view.bar);
    if (text != NULL && s->json) {
        printf("%s\n", text);
    } else if (text != NULL) {
        print_verdicts(text);
    }
    acestep_free(text);
    return status == ACESTEP_OK ? 0 : report_error(&err);
}

/* ---- remove
 * -------------------------------------------------------------------------------------------- */

static bool agrees(const char *plan, const char *folder)
{
    char answer[16];
    json_t *root = json_loads(plan, 0, NULL);
    fprintf(stderr, "remove %.2f GB from %s? [y/N] ",
            (double)json_integer_value(json_object_get(root, "bytes")) / 1e9, folder);
    json_decref(root);
    return fgets(answer, sizeof answer, stdin) != NULL && (answer[0] == 'y' || answer[0] == 'Y');
}

static int remove_sets(const store_arguments *a, const common_switches *s)
{
    acestep_error err = {.code = ACESTEP_OK};
    char *text = NULL;
    acestep_status status = acestep_store_remove(a->folder, a->name, a->n, true, &text, &err);
    if (status == ACESTEP_OK && !a->dry_run && !a->yes && isatty(STDIN_FILENO) == 0) {
        err.code = status = ACESTEP_ARGUMENT;
        (void)snprintf(err.message, sizeof err.message,
                       "remove: --yes is needed where nobody can be asked");
    }
    if (status == ACESTEP_OK && !a->dry_run) {
        bool agreed = a->yes || agrees(text, a->folder);
        acestep_free(text);
        text = NULL;
        if (!agreed) {
            return 0;
        }
        status = acestep_store_remove(a->folder, a->name, a->n, false, &text, &err);
    }
    if (status == ACESTEP_OK && s->json) {
        printf("%s\n", text);
    } else if (status == ACESTEP_OK) {
        json_t *root = json_loads(text, 0, NULL);
        printf("%s %.2f GB\n", a->dry_run ? "would remove" : "removed",
               (double)json_integer_value(json_object_get(root, "bytes")) / 1e9);
        json_decref(root);
    }
    acestep_free(text);
    return status == ACESTEP_OK ? 0 : report_error(&err);
}

/* ---- which of them
 * ----------------------------------------------------------------------------------- */

typedef int models_command(const store_arguments *a, const common_switches *s);

static int run(models_command *command, int argc, char **argv, const common_switches *s)
{
    store_arguments a;
    int exit_status = store_arguments_read(&a, argc, argv);
    if (exit_status == 0) {
        exit_status = command(&a, s);
    }
    store_arguments_free(&a);
    return exit_status;
}

int command_models(int argc, char **argv)
{
    static const struct {
        const char *word;
        models_command *command;
    } commands[] = {
        {"list", show_list},     {"where", show_where}, {"verify", verify},
        {"remove", remove_sets}, {"rm", remove_sets},
    };
    if (argc > 0 && strcmp(argv[0], "download") == 0) {
        return command_download(argc - 1, argv + 1);
    }
    common_switches s = take_common_switches(&argc, argv);
    if (s.help) {
        print_usage();
        return 0;
    }
    for (size_t i = 0; argc > 0 && i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(argv[0], commands[i].word) == 0) {
            return run(commands[i].command, argc - 1, argv + 1, &s);
        }
    }
    return show_chosen(argc, argv);
}
