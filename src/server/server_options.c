#include "server/server_options.h"

#include "acestep/server.h"
#include "base/memory.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

typedef enum option_kind { FLAG, INT, REAL, TEXT } option_kind;

typedef struct option_row {
    const char *name;
    option_kind kind;
    size_t offset;
    double number, minimum, maximum;
    const char *text, *aliases, *help;
} option_row;

#define AT(field) offsetof(ace_server_options, field)
#define ROW_FLAG(f, aliases, help) {#f, FLAG, AT(f), 0, 0, 1, "", aliases, help},
#define ROW_INT(f, value, low, high, aliases, help)                                                \
    {#f, INT, AT(f), value, low, high, "", aliases, help},
#define ROW_REAL(f, value, low, high, aliases, help)                                               \
    {#f, REAL, AT(f), value, low, high, "", aliases, help},
#define ROW_TEXT(f, value, aliases, help) {#f, TEXT, AT(f), 0, 0, 0, value, aliases, help},

static const option_row rows[] = {ACE_SERVER_OPTIONS(ROW_FLAG, ROW_INT, ROW_REAL, ROW_TEXT)};
enum { ROWS = sizeof rows / sizeof rows[0] };

/* The public name stands for the same struct. */
struct acestep_server_options {
    ace_server_options o;
};

static void *field_of(ace_server_options *o, const option_row *row)
{
    return (char *)o + row->offset;
}

static bool same_name(const char *a, const char *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if ((a[i] == '-' ? '_' : a[i]) != b[i]) {
            return false;
        }
    }
    return true;
}

/* Hyphens and underscores are the same. NULL when there is no such option. */
static const option_row *find_row(const char *name, size_t length)
{
    for (size_t i = 0; i < ROWS; i++) {
        if (strlen(rows[i].name) == length && same_name(name, rows[i].name, length)) {
            return &rows[i];
        }
        for (const char *alias = rows[i].aliases; *alias != '\0';) {
            size_t n = strcspn(alias, ",");
            if (n == length && same_name(name, alias, n)) {
                return &rows[i];
            }
            alias += n + (alias[n] == ',');
        }
    }
    return NULL;
}

static ace_status set_number(ace_server_options *o, const option_row *row, const char *value,
                             ace_error *err)
{
    char *end = NULL;
    double number = strtod(value, &end);
    bool whole = row->kind != INT || number == floor(number);
    if (end == value || *end != '\0' || !whole ||
        !(number >= row->minimum && number <= row->maximum)) {
        return ace_fail(err, ACESTEP_ARGUMENT, "%s: \"%.40s\" is no %s from %.12g to %.12g",
                        row->name, value, row->kind == INT ? "whole number" : "number",
                        row->minimum, row->maximum);
    }
    if (row->kind == INT) {
        *(int64_t *)field_of(o, row) = (int64_t)number;
    } else {
        *(double *)field_of(o, row) = number;
    }
    return ACESTEP_OK;
}

static ace_status set_flag(ace_server_options *o, const option_row *row, const char *value,
                           ace_error *err)
{
    static const char *const yes[] = {"1", "true", "yes", "on"};
    static const char *const no[] = {"0", "false", "no", "off"};
    for (size_t i = 0; i < 4; i++) {
        if (strcasecmp(value, yes[i]) == 0 || strcasecmp(value, no[i]) == 0) {
            *(bool *)field_of(o, row) = strcasecmp(value, yes[i]) == 0;
            return ACESTEP_OK;
        }
    }
    return ace_fail(err, ACESTEP_ARGUMENT, "%s: \"%.40s\" is neither true nor false", row->name,
                    value);
}

static ace_status set_row(ace_server_options *o, const option_row *row, const char *value,
                          ace_error *err)
{
    if (row->kind == FLAG) {
        return set_flag(o, row, value, err);
    }
    if (row->kind != TEXT) {
        return set_number(o, row, value, err);
    }
    char **field = field_of(o, row);
    char *copy = ace_strdup(value);
    if (copy == NULL) {
        return ace_fail(err, ACESTEP_MEMORY, "%s: no host memory", row->name);
    }
    ace_free(*field);
    *field = copy;
    return ACESTEP_OK;
}

ace_status ace_server_options_set(ace_server_options *o, const char *name, const char *value,
                                  ace_error *err)
{
    const option_row *row = find_row(name, strlen(name));
    return row != NULL ? set_row(o, row, value, err)
                       : ace_fail(err, ACESTEP_ARGUMENT, "%s: no such option", name);
}

ace_status ace_server_options_init(ace_server_options *o, ace_error *err)
{
    memset(o, 0, sizeof *o);
    ace_status status = ACESTEP_OK;
    for (size_t i = 0; i < ROWS && status == ACESTEP_OK; i++) {
        char number[32];
        (void)snprintf(number, sizeof number, "%.17g", rows[i].number);
        status = set_row(o, &rows[i], rows[i].kind == TEXT ? rows[i].text : number, err);
    }
    return status;
}

ace_status ace_server_options_copy(const ace_server_options *from, ace_server_options *to,
                                   ace_error *err)
{
    *to = *from;
    bool complete = true;
    for (size_t i = 0; i < ROWS; i++) {
        if (rows[i].kind == TEXT) {
            char **field = field_of(to, &rows[i]);
            *field = ace_strdup(*field);
            complete = complete && *field != NULL;
        }
    }
    return complete ? ACESTEP_OK : ace_fail(err, ACESTEP_MEMORY, "options: no host memory");
}

void ace_server_options_release(ace_server_options *o)
{
    for (size_t i = 0; i < ROWS; i++) {
        if (rows[i].kind == TEXT) {
            char **field = field_of(o, &rows[i]);
            ace_free(*field);
            *field = NULL;
        }
    }
}

/* ---- the public side ------------------------------------------------------------------------- */

static ace_error *cleared(acestep_error *err)
{
    if (err != NULL) {
        err->code = ACESTEP_OK;
        err->message[0] = '\0';
    }
    return (ace_error *)err;
}

static const char *variable_of(const char *name, size_t length)
{
    char variable[64] = "ACESTEP_";
    size_t n = strlen(variable);
    for (size_t i = 0; i < length && n + 1 < sizeof variable; i++) {
        variable[n++] = name[i] >= 'a' && name[i] <= 'z' ? (char)(name[i] - 'a' + 'A') : name[i];
    }
    variable[n] = '\0';
    const char *value = getenv(variable);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

static ace_status read_environment(ace_server_options *o, ace_error *err)
{
    ace_status status = ACESTEP_OK;
    for (size_t i = 0; i < ROWS && status == ACESTEP_OK; i++) {
        const char *value = variable_of(rows[i].name, strlen(rows[i].name));
        for (const char *alias = rows[i].aliases; value == NULL && *alias != '\0';) {
            size_t n = strcspn(alias, ",");
            value = variable_of(alias, n);
            alias += n + (alias[n] == ',');
        }
        status = value != NULL ? set_row(o, &rows[i], value, err) : status;
    }
    return status;
}

acestep_status acestep_server_options_create(acestep_server_options **out, acestep_error *err)
{
    ace_error *inner = cleared(err);
    acestep_server_options *options = ace_calloc(1, sizeof *options);
    *out = NULL;
    if (options == NULL) {
        return ace_fail(inner, ACESTEP_MEMORY, "options: no host memory");
    }
    ace_status status = ace_server_options_init(&options->o, inner);
    if (status == ACESTEP_OK) {
        status = read_environment(&options->o, inner);
    }
    if (status != ACESTEP_OK) {
        acestep_server_options_free(options);
        return status;
    }
    *out = options;
    return ACESTEP_OK;
}

void acestep_server_options_free(acestep_server_options *options)
{
    if (options != NULL) {
        ace_server_options_release(&options->o);
        ace_free(options);
    }
}

/* The row that an argument names; *value points behind "=", or is NULL. */
static const option_row *named_by(const char *argument, const char **value)
{
    *value = NULL;
    if (strncmp(argument, "--", 2) != 0) {
        return NULL;
    }
    const char *name = argument + 2;
    size_t length = strcspn(name, "=");
    *value = name[length] == '=' ? name + length + 1 : NULL;
    return find_row(name, length);
}

acestep_status acestep_server_options_take(acestep_server_options *options, int *argc, char **argv,
                                           acestep_error *err)
{
    ace_error *inner = cleared(err);
    int kept = 0;
    for (int i = 0; i < *argc; i++) {
        const char *value = NULL;
        const option_row *row = named_by(argv[i], &value);
        if (row == NULL) {
            bool pair = acestep_option_takes_value(argv[i]) && i + 1 < *argc;
            argv[kept++] = argv[i];
            if (pair) {
                argv[kept++] = argv[++i];
            }
            continue;
        }
        if (value == NULL && row->kind != FLAG && i + 1 == *argc) {
            return ace_fail(inner, ACESTEP_ARGUMENT, "%s: a value is missing", argv[i]);
        }
        value = value != NULL ? value : row->kind == FLAG ? "true" : argv[++i];
        ace_status status = set_row(&options->o, row, value, inner);
        if (status != ACESTEP_OK) {
            return status;
        }
    }
    *argc = kept;
    return ACESTEP_OK;
}

char *acestep_server_options_json(void)
{
    static const char *const kinds[] = {"flag", "int", "real", "text"};
    json_t *list = json_array();
    for (size_t i = 0; i < ROWS; i++) {
        const option_row *row = &rows[i];
        json_t *value = row->kind == FLAG   ? json_false()
                        : row->kind == TEXT ? json_string(row->text)
                                            : json_real(row->number);
        json_array_append_new(list, json_pack("{s:s, s:s, s:o, s:s, s:s}", "name", row->name,
                                              "kind", kinds[row->kind], "default", value, "aliases",
                                              row->aliases, "help", row->help));
    }
    char *text = json_dumps(list, JSON_INDENT(2));
    json_decref(list);
    return text;
}

char *acestep_server_options_help(void)
{
    enum { ROOM = 8192 };
    char *text = malloc(ROOM); /* acestep_free's kind of memory */
    size_t used = text != NULL ? (size_t)snprintf(text, ROOM, "serving:\n") : 0;
    for (size_t i = 0; text != NULL && i < ROWS && used < ROOM; i++) {
        char name[40];
        char number[40] = "";
        (void)snprintf(name, sizeof name, "--%s", rows[i].name);
        for (char *c = name; *c != '\0'; c++) {
            *c = *c == '_' ? '-' : *c;
        }
        if (rows[i].kind == TEXT && rows[i].text[0] != '\0') {
            (void)snprintf(number, sizeof number, " [%s]", rows[i].text);
        } else if (rows[i].kind == INT || rows[i].kind == REAL) {
            (void)snprintf(number, sizeof number, " [%.12g]", rows[i].number);
        }
        used += (size_t)snprintf(text + used, ROOM - used, "  %-20s %s%s\n", name, rows[i].help,
                                 number);
    }
    return text;
}
