#include "store_arguments.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char store_download_help[] =
    "usage: acestep models download [NAME ...] [options]     (also: acestep download)\n\n"
    "Gets published checkpoints. Without a name: the turbo model with what it needs, and the\n"
    "language model that suits this machine. Names: those of `acestep models list`, short ones\n"
    "(turbo, base, 0.6B), main (the four parts of the main repository) or all. A download that "
    "was\n"
    "stopped goes on where it was.\n\n"
    "  --models DIR         where to (ACESTEP_MODELS; else ~/.local/share/acestep/models)\n"
    "  --source NAME        auto, huggingface, modelscope, or folder (with --mirror)\n"
    "  --mirror ADDRESS     ask this one only (ACESTEP_MIRROR); HF_ENDPOINT is known too\n"
    "  --revision NAME      a branch or commit instead of the one of this release\n"
    "  --token TOKEN        for the host (better: HF_TOKEN); never sent elsewhere\n"
    "  --parallel N         files at once, 1 to 4 (2)\n"
    "  --max-rate RATE      bytes per second, e.g. 2M\n"
    "  --retries N          in a row without progress (6); --retry-wait SECONDS before the first "
    "(1)\n"
    "  --timeout SECONDS    of silence after which a connection is given up (30)\n"
    "  --skip-main          without what a diffusion model needs beside it\n"
    "  --force              also what is here already\n"
    "  --offline            never touch the network (ACESTEP_OFFLINE, HF_HUB_OFFLINE): done where\n"
    "                       everything is here, else status 7 and what is missing\n"
    "  --dry-run            only say what would be got\n"
    "  --json               say it as JSON\n";

/* ---- reading
 * ---------------------------------------------------------------------------------------- */

typedef enum kind { TEXT, NUMBER, WHOLE, RATE, SWITCH, NAME } kind;

typedef struct known {
    const char *name, *short_name;
    kind kind;
    size_t offset;
} known;

#define IN(field) offsetof(store_arguments, field)
static const known table[] = {
    {"--models", "-d", TEXT, IN(options.folder)},
    {"--models-dir", "--dir", TEXT, IN(options.folder)},
    {"--checkpoints", "--checkpoints", TEXT, IN(options.folder)},
    {"--source", "--download-source", TEXT, IN(options.source)},
    {"--mirror", "--mirror", TEXT, IN(options.mirror)},
    {"--revision", "--revision", TEXT, IN(options.revision)},
    {"--token", "-t", TEXT, IN(options.token)},
    {"--model", "-m", NAME, 0},
    {"--parallel", "--parallel", WHOLE, IN(options.parallel)},
    {"--retries", "--retries", WHOLE, IN(options.retries)},
    {"--retry-wait", "--retry-wait", NUMBER, IN(options.retry_wait)},
    {"--timeout", "--timeout", NUMBER, IN(options.timeout)},
    {"--max-rate", "--max-rate", RATE, IN(options.max_rate)},
    {"--skip-main", "--skip-main", SWITCH, IN(options.skip_main)},
    {"--force", "-f", SWITCH, IN(options.force)},
    {"--dry-run", "--dry-run", SWITCH, IN(dry_run)},
    {"--yes", "-y", SWITCH, IN(yes)},
    {"--list", "-l", SWITCH, IN(list)},
    {"--offline", "--offline", SWITCH, IN(offline)},
};
enum { N_KNOWN = sizeof table / sizeof table[0] };

static int refuse(const char *name, const char *what)
{
    acestep_error err = {.code = ACESTEP_ARGUMENT};
    (void)snprintf(err.message, sizeof err.message, "%.80s: %s", name, what);
    return report_error(&err);
}

static bool is_called(const char *argument, const char *name)
{
    size_t n = strlen(name);
    return strncmp(argument, name, n) == 0 && (argument[n] == '\0' || argument[n] == '=');
}

static const known *find(const char *argument)
{
    for (int i = 0; i < N_KNOWN; i++) {
        if (is_called(argument, table[i].name) || is_called(argument, table[i].short_name)) {
            return &table[i];
        }
    }
    return NULL;
}

static int add_name(store_arguments *a, const char *name)
{
    if (a->n == STORE_NAMES) {
        return refuse(name, "too many names");
    }
    a->name[a->n++] = name;
    return 0;
}

static bool take_number(kind k, const char *text, void *field)
{
    char *end = NULL;
    double value = strtod(text, &end);
    double unit = k != RATE                    ? 1
                  : *end == 'K' || *end == 'k' ? 1e3
                  : *end == 'M' || *end == 'm' ? 1e6
                  : *end == 'G' || *end == 'g' ? 1e9
                                               : 1;
    end += unit > 1;
    bool whole = value == (double)(int)value;
    if (end == text || *end != '\0' || !(value >= 0 && value <= (k == RATE ? 1e12 : 1e6)) ||
        (k == WHOLE && !whole)) {
        return false;
    }
    if (k == WHOLE) {
        *(int *)field = (int)value;
    } else {
        *(double *)field = value * unit;
    }
    return true;
}

/* One option with its value; *used: arguments taken. */
static int take(store_arguments *a, const known *o, const char *argument, const char *next,
                int *used)
{
    void *field = (char *)a + o->offset;
    const char *equals = strchr(argument, '=');
    *used = o->kind == SWITCH || equals != NULL ? 1 : 2;
    if (o->kind == SWITCH) {
        *(bool *)field = true;
        return equals == NULL ? 0 : refuse(argument, "takes no value");
    }
    const char *value = equals != NULL ? equals + 1 : next;
    if (value == NULL || value[0] == '\0') {
        return refuse(argument, "a value is missing");
    }
    if (o->kind == NAME) {
        return add_name(a, value);
    }
    if (o->kind == TEXT) {
        *(const char **)field = value;
        return 0;
    }
    if (!take_number(o->kind, value, field)) {
        return refuse(argument, "no such number");
    }
    if (o->offset == IN(options.retries) && a->options.retries == 0) {
        a->options.retries = -1; /* none, where 0 stands for what is usual */
    }
    return 0;
}

/* The tier's language model, as acestep info tells. */
static int find_recommended(store_arguments *a, int argc, char **argv)
{
    int exit_status = 0;
    acestep_error err = {.code = ACESTEP_OK};
    acestep_request *request = read_request(argc, argv, &exit_status);
    if (request == NULL) {
        return exit_status;
    }
    char *text = acestep_info_json(request, &err);
    acestep_request_free(request);
    if (text == NULL) {
        return report_error(&err);
    }
    json_t *info = json_loads(text, 0, NULL);
    const char *lm = json_string_value(
        json_object_get(json_object_get(info, "defaults"), "recommended_lm_model"));
    a->recommended_lm = strdup(lm != NULL ? lm : "");
    json_decref(info);
    acestep_free(text);
    return a->recommended_lm != NULL ? 0 : refuse("models", "no host memory");
}

int store_arguments_read(store_arguments *a, int argc, char **argv)
{
    acestep_error err = {.code = ACESTEP_OK};
    int kept = 0;
    memset(a, 0, sizeof *a);
    for (int i = 0; i < argc;) {
        const known *o = find(argv[i]);
        int used = 1;
        int exit_status = 0;
        if (o != NULL) {
            exit_status = take(a, o, argv[i], i + 1 < argc ? argv[i + 1] : NULL, &used);
        } else if (strcmp(argv[i], "--all") == 0 || strcmp(argv[i], "-a") == 0) {
            exit_status = add_name(a, "all");
        } else if (argv[i][0] != '-') {
            exit_status = add_name(a, argv[i]);
        } else { /* --tier, --gpu and the like */
            used = acestep_option_takes_value(argv[i]) && i + 1 < argc ? 2 : 1;
            for (int k = 0; k < used; k++) {
                argv[kept + k] = argv[i + k];
            }
            kept += used;
        }
        if (exit_status != 0) {
            return exit_status;
        }
        i += used;
    }
    a->options.offline = a->offline ? "--offline" : NULL;
    acestep_store_options_environment(&a->options);
    a->folder = acestep_store_folder(a->options.folder, &err);
    if (a->folder == NULL) {
        return report_error(&err);
    }
    a->options.folder = a->folder;
    return find_recommended(a, kept, argv);
}

void store_arguments_free(store_arguments *a)
{
    acestep_free(a->folder);
    free(a->recommended_lm);
}

/* ---- showing
 * ----------------------------------------------------------------------------------------- */

void store_view_init(store_view *v, bool quiet)
{
    memset(v, 0, sizeof *v);
    terminal_progress_init(&v->bar, !quiet);
    v->plain = !quiet && !v->bar.enabled;
}

bool store_view_show(void *context, const acestep_store_state *state)
{
    store_view *v = context;
    char line[sizeof v->said];
    double whole = state->total > 0 ? (double)state->done / (double)state->total : 0;
    bool noted = state->note[0] != '\0';
    if (v->plain) {
        (void)snprintf(line, sizeof line, "%s", noted ? state->note : state->set);
        if (line[0] != '\0' && strcmp(line, v->said) != 0) {
            memcpy(v->said, line, sizeof line);
            fprintf(stderr, noted ? "%s: trying again\n" : "%s\n", line);
        }
    } else if (noted) {
        (void)snprintf(line, sizeof line, "%.*s", terminal_columns() - 40, state->note);
    } else {
        (void)snprintf(line, sizeof line, "%.2f of %.2f GB, %.1f MB/s, %.30s/%.40s",
                       (double)state->done / 1e9, (double)state->total / 1e9,
                       state->bytes_per_second / 1e6, state->set, state->file);
    }
    return terminal_progress_show(&v->bar, line, 0, whole);
}
