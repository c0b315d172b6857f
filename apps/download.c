#include "store_arguments.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

static double gigabytes(json_t *object, const char *key)
{
    return (double)json_integer_value(json_object_get(object, key)) / 1e9;
}

/* What will be got, before anything is. */
static void announce(FILE *out, const char *plan)
{
    size_t i = 0;
    json_t *set = NULL;
    json_t *root = json_loads(plan, 0, NULL);
    json_array_foreach (json_object_get(root, "sets"), i, set) {
        const char *state = json_string_value(json_object_get(set, "state"));
        fprintf(out, "  %-30s %7.2f GB%s%s\n", json_string_value(json_object_get(set, "name")),
                gigabytes(set, "size"), strcmp(state, "absent") != 0 ? ", here: " : "",
                strcmp(state, "absent") != 0 ? state : "");
    }
    fprintf(out, "about %.2f GB to %s, where %.2f GB are free\n", gigabytes(root, "size"),
            json_string_value(json_object_get(root, "folder")), gigabytes(root, "free_bytes"));
    fprintf(out, "licences: MIT; Qwen3-Embedding-0.6B: Apache 2.0\n");
    json_decref(root);
}

static int get(const store_arguments *a, const common_switches *s)
{
    acestep_error err = {.code = ACESTEP_OK};
    store_view view;
    char *result = NULL;
    store_view_init(&view, s->quiet || s->json);
    acestep_status status = acestep_store_download(&a->options, a->name, a->n, a->recommended_lm,
                                                   store_view_show, &view, &result, &err);
    terminal_progress_clear(&view.bar);
    if (status != ACESTEP_OK) {
        return report_error(&err);
    }
    if (s->json) {
        printf("%s\n", result);
    } else {
        json_t *root = json_loads(result, 0, NULL);
        printf("%s: complete, %.2f GB came in %.0f s\n", a->folder, gigabytes(root, "downloaded"),
               json_real_value(json_object_get(root, "seconds")));
        json_decref(root);
    }
    acestep_free(result);
    return 0;
}

static int plan_and_get(const store_arguments *a, const common_switches *s)
{
    acestep_error err = {.code = ACESTEP_OK};
    char *plan = NULL;
    if (acestep_store_plan(&a->options, a->name, a->n, a->recommended_lm, &plan, &err) !=
        ACESTEP_OK) {
        return report_error(&err);
    }
    if (a->dry_run && s->json) {
        printf("%s\n", plan);
    } else if (!s->quiet && !s->json) {
        announce(a->dry_run ? stdout : stderr, plan);
    }
    acestep_free(plan);
    return a->dry_run ? 0 : get(a, s);
}

/* acestep download --list: the original's spelling of acestep models list. */
static int show_list(const store_arguments *a)
{
    acestep_error err = {.code = ACESTEP_OK};
    char *text = acestep_store_list_text(a->folder, a->recommended_lm, &err);
    if (text == NULL) {
        return report_error(&err);
    }
    fputs(text, stdout);
    acestep_free(text);
    return 0;
}

int command_download(int argc, char **argv)
{
    common_switches s = take_common_switches(&argc, argv);
    if (s.help) {
        fputs(store_download_help, stdout);
        return 0;
    }
    store_arguments a;
    int exit_status = store_arguments_read(&a, argc, argv);
    if (exit_status == 0) {
        exit_status = a.list ? show_list(&a) : plan_and_get(&a, &s);
    }
    store_arguments_free(&a);
    return exit_status;
}
