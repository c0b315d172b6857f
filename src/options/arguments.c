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

/* --no-NAME of a flag. */
static bool is_negated_flag(const char *name, int *index)
{
    if (strncmp(name, "no-", 3) != 0 && strncmp(name, "no_", 3) != 0) {
        return false;
    }
    *index = ace_option_find(name + 3);
    return *index >= 0 && ace_option_at(*index)->kind == ACE_OPTION_FLAG;
}

static bool is_truth_word(const char *text)
{
    return strcmp(text, "true") == 0 || strcmp(text, "false") == 0;
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
    if (o->kind == ACE_OPTION_FLAG && (argc < 2 || !is_truth_word(argv[1]))) {
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

ace_status ace_request_from_environment(ace_request *r, ace_error *err)
{
    for (int i = 0; i < ACE_OPTION_COUNT; i++) {
        char name[96] = "ACESTEP_";
        size_t n = strlen(name);
        for (const char *c = ace_option_at(i)->name; *c != '\0' && n + 1 < sizeof name; c++) {
            name[n++] = *c >= 'a' && *c <= 'z' ? (char)(*c - 'a' + 'A') : *c;
        }
        name[n] = '\0';
        const char *value = getenv(name);
        if (value == NULL || value[0] == '\0') {
            continue;
        }
        ace_status status =
            ace_request_set(r, ace_option_at(i)->name, value, ACE_FROM_ENVIRONMENT, err);
        if (status != ACESTEP_OK) {
            return status;
        }
    }
    return ACESTEP_OK;
}
