#include "base/file_map.h"
#include "base/memory.h"
#include "options/option_readers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_STDIN_BYTES = 1 << 20 };

/* Levenshtein distance, for "did you mean": names are short, so two rows do. */
static size_t edit_distance(const char *a, const char *b)
{
    enum { LONGEST = 64 };
    size_t row[LONGEST + 1];
    size_t n = strlen(b);
    if (n > LONGEST) {
        return LONGEST;
    }
    for (size_t j = 0; j <= n; j++) {
        row[j] = j;
    }
    for (size_t i = 1; a[i - 1] != '\0'; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= n; j++) {
            size_t substitute = diagonal + (a[i - 1] != b[j - 1] ? 1 : 0);
            size_t best = row[j] < row[j - 1] ? row[j] + 1 : row[j - 1] + 1;
            diagonal = row[j];
            row[j] = substitute < best ? substitute : best;
        }
    }
    return row[n];
}

static ace_status unknown_option(const char *name, ace_error *err)
{
    const char *nearest = NULL;
    size_t best = 4; /* farther away is no likely typing error */
    char spelled[80];
    (void)snprintf(spelled, sizeof spelled, "%s", name);
    for (char *c = spelled; *c != '\0'; c++) {
        *c = *c == '-' ? '_' : *c;
    }
    for (int i = 0; i < ACE_OPTION_COUNT; i++) {
        size_t distance = edit_distance(spelled, ace_option_at(i)->name);
        if (distance < best) {
            best = distance;
            nearest = ace_option_at(i)->name;
        }
    }
    if (nearest == NULL) {
        return ace_fail(err, ACESTEP_ARGUMENT, "--%.60s: no such option; try --help", name);
    }
    (void)snprintf(spelled, sizeof spelled, "%s", nearest);
    for (char *c = spelled; *c != '\0'; c++) {
        *c = *c == '_' ? '-' : *c;
    }
    return ace_fail(err, ACESTEP_ARGUMENT, "--%.60s: no such option; did you mean --%s?", name,
                    spelled);
}

static ace_status set_from_bytes(ace_request *r, const char *name, const void *data, size_t bytes,
                                 ace_error *err)
{
    if (memchr(data, '\0', bytes) != NULL) {
        return ace_fail(err, ACESTEP_ARGUMENT, "%s: the file is not text", name);
    }
    char *text = ace_malloc_array(bytes + 1, 1);
    if (text == NULL) {
        return ace_fail(err, ACESTEP_MEMORY, "%s: no host memory", name);
    }
    memcpy(text, data, bytes);
    text[bytes] = '\0';
    ace_status status = ace_request_set(r, name, text, ACE_FROM_CALLER, err);
    ace_free(text);
    return status;
}

static ace_status set_from_stdin(ace_request *r, const char *name, ace_error *err)
{
    char *data = ace_malloc_array(MAX_STDIN_BYTES, 1);
    if (data == NULL) {
        return ace_fail(err, ACESTEP_MEMORY, "%s: no host memory", name);
    }
    size_t bytes = fread(data, 1, MAX_STDIN_BYTES, stdin);
    ace_status status = set_from_bytes(r, name, data, bytes, err);
    ace_free(data);
    return status;
}

static ace_status set_value(ace_request *r, const ace_option *o, const char *value, ace_error *err)
{
    if (o->kind != ACE_OPTION_TEXT || value[0] != '@') {
        return ace_request_set(r, o->name, value, ACE_FROM_CALLER, err);
    }
    if (strcmp(value, "@-") == 0) {
        return set_from_stdin(r, o->name, err);
    }
    ace_file file;
    ace_status status = ace_file_open(value + 1, &file, err);
    if (status != ACESTEP_OK) {
        return status;
    }
    status = set_from_bytes(r, o->name, file.data, file.bytes, err);
    ace_file_close(&file);
    return status;
}

/* Flags and switches: what may stand without a value. */
static bool stands_alone(const ace_option *o)
{
    return o->kind == ACE_OPTION_FLAG || ace_option_is_switch(o);
}

/* --no-NAME of a flag or a switch. */
static bool is_negated_flag(const char *name, int *index)
{
    if (strncmp(name, "no-", 3) != 0 && strncmp(name, "no_", 3) != 0) {
        return false;
    }
    *index = ace_option_find(name + 3);
    return *index >= 0 && stands_alone(ace_option_at(*index));
}

/* One option and, where it takes one, its value; *used counts the arguments consumed. */
static ace_status read_option(ace_request *r, int argc, char *const argv[], int *used,
                              ace_error *err)
{
    const char *argument = argv[0] + (argv[0][1] == '-' ? 2 : 1);
    const char *equals = strchr(argument, '=');
    char name[80];
    size_t length = equals != NULL ? (size_t)(equals - argument) : strlen(argument);
    (void)snprintf(name, sizeof name, "%.*s", (int)(length < 79 ? length : 79), argument);
    *used = 1;

    int index = ace_option_find(name);
    if (index < 0 && equals == NULL && is_negated_flag(name, &index)) {
        return ace_request_set(r, ace_option_at(index)->name, "false", ACE_FROM_CALLER, err);
    }
    if (index < 0) {
        return unknown_option(name, err);
    }
    const ace_option *o = ace_option_at(index);
    if (equals != NULL) {
        return set_value(r, o, equals + 1, err);
    }
    bool is_auto = argc > 1 && ace_option_is_switch(o) && strcmp(argv[1], "auto") == 0;
    if (stands_alone(o) && !is_auto && (argc < 2 || ace_option_truth(argv[1]) < 0)) {
        return ace_request_set(r, o->name, "true", ACE_FROM_CALLER, err);
    }
    if (argc < 2) {
        return ace_fail(err, ACESTEP_ARGUMENT, "--%s: a value is missing", name);
    }
    *used = 2;
    return set_value(r, o, argv[1], err);
}

ace_status ace_request_from_arguments(ace_request *r, int argc, char *const argv[], ace_error *err)
{
    for (int i = 0; i < argc;) {
        if (argv[i][0] != '-' || argv[i][1] == '\0') {
            return ace_fail(
                err, ACESTEP_ARGUMENT,
                "\"%.60s\": not an option; texts follow --caption or --lyrics, in quotes", argv[i]);
        }
        int used = 0;
        ace_status status = read_option(r, argc - i, argv + i, &used, err);
        if (status != ACESTEP_OK) {
            return status;
        }
        i += used;
    }
    return ACESTEP_OK;
}

/* ACESTEP_<NAME>, the name in capitals; NULL when it is not set. */
static const char *variable_of(const char *name, size_t length)
{
    char variable[96] = "ACESTEP_";
    size_t n = strlen(variable);
    for (size_t i = 0; i < length && n + 1 < sizeof variable; i++) {
        char c = name[i] == '-' ? '_' : name[i];
        variable[n++] = c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
    }
    variable[n] = '\0';
    const char *value = getenv(variable);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

/* By the option's name, else by one of its aliases. */
static const char *from_environment(const ace_option *o)
{
    const char *value = variable_of(o->name, strlen(o->name));
    for (const char *alias = o->aliases; value == NULL && *alias != '\0';) {
        size_t n = strcspn(alias, ",");
        value = variable_of(alias, n);
        alias += n + (alias[n] == ',' ? 1 : 0);
    }
    return value;
}

/* Names that the original's guide gives without the program's prefix. */
static ace_status read_guide_variables(ace_request *r, ace_error *err)
{
    static const char *const names[][2] = {{"MAX_CUDA_VRAM", "max_cuda_vram"},
                                           {"MAX_MPS_VRAM", "max_mps_vram"},
                                           {"MAX_XPU_VRAM", "max_xpu_vram"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = getenv(names[i][0]);
        if (value != NULL && value[0] != '\0') {
            /* cut: what is too long is no number, and detection warns of it */
            char text[32];
            (void)snprintf(text, sizeof text, "%s", value);
            ace_status status = ace_request_set(r, names[i][1], text, ACE_FROM_ENVIRONMENT, err);
            if (status != ACESTEP_OK) {
                return status;
            }
        }
    }
    return ACESTEP_OK;
}

/* The folder for files that can be made again, as the XDG base directory specification has it. It is a
 * default: nobody asked for it. */
static ace_status read_cache_folder(ace_request *r, ace_error *err)
{
    char path[4096];
    const char *xdg = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME");
    int n = -1;
    if (xdg != NULL && xdg[0] == '/') { /* relative ones are to be ignored */
        n = snprintf(path, sizeof path, "%s/acestep", xdg);
    } else if (home != NULL && home[0] == '/') {
        n = snprintf(path, sizeof path, "%s/.cache/acestep", home);
    }
    return n > 0 && n < (int)sizeof path
               ? ace_request_set(r, "cache_dir", path, ACE_FROM_DEFAULT, err)
               : ACESTEP_OK;
}

ace_status ace_request_from_environment(ace_request *r, ace_error *err)
{
    for (int i = 0; i < ACE_OPTION_COUNT; i++) {
        const ace_option *o = ace_option_at(i);
        const char *value = from_environment(o);
        ace_status status = value != NULL
                                ? ace_request_set(r, o->name, value, ACE_FROM_ENVIRONMENT, err)
                                : ACESTEP_OK;
        if (status != ACESTEP_OK) {
            return status;
        }
    }
    ace_status status = read_guide_variables(r, err);
    return status == ACESTEP_OK ? read_cache_folder(r, err) : status;
}
