#include "server/compat_values.h"

#include "base/memory.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MOST_WARNINGS = 32, NUMBER_BYTES = 40, NAME_BYTES = 40, QUOTED_BYTES = 63 };

static json_t *as_object(json_t *value)
{
    if (json_is_object(value)) {
        return json_incref(value);
    }
    json_t *parsed = json_is_string(value)
                         ? json_loadb(json_string_value(value), json_string_length(value), 0, NULL)
                         : NULL;
    if (!json_is_object(parsed)) {
        json_decref(parsed);
        return NULL;
    }
    return parsed;
}

void ace_compat_values_open(json_t *body, ace_compat_values *out)
{
    static const char *const metas[] = {"metas", "meta", "metadata", "user_metadata",
                                        "userMetadata"};
    out->in[0] = as_object(body);
    out->in[1] = as_object(json_object_get(body, "param_obj"));
    out->in[2] = NULL;
    for (size_t i = 0; i < sizeof metas / sizeof *metas && out->in[2] == NULL; i++) {
        out->in[2] = as_object(json_object_get(body, metas[i]));
    }
}

void ace_compat_values_close(ace_compat_values *values)
{
    for (size_t i = 0; i < sizeof values->in / sizeof *values->in; i++) {
        json_decref(values->in[i]);
        values->in[i] = NULL;
    }
}

static bool is_there(const json_t *value, bool texts)
{
    return value != NULL && !json_is_null(value) &&
           (texts || !json_is_string(value) || json_string_length(value) > 0);
}

json_t *ace_compat_find(const ace_compat_values *values, const char *names, bool texts)
{
    for (size_t i = 0; i < sizeof values->in / sizeof *values->in; i++) {
        for (const char *rest = names; *rest != '\0';) {
            char name[NAME_BYTES];
            size_t n = strcspn(rest, ",");
            (void)snprintf(name, sizeof name, "%.*s", (int)n, rest);
            json_t *value = json_object_get(values->in[i], name);
            if (is_there(value, texts)) {
                return value;
            }
            rest += n + (rest[n] == ',' ? 1 : 0);
        }
    }
    return NULL;
}

/* A form repeats a key: the last value counts. */
static const json_t *single(const json_t *value)
{
    size_t n = json_array_size(value);
    return n > 0 ? json_array_get(value, n - 1) : value;
}

bool ace_compat_number(const json_t *value, double *out)
{
    value = single(value);
    if (json_is_number(value)) {
        *out = json_number_value(value);
        return true;
    }
    const char *text = json_string_value(value);
    char *end = NULL;
    double number = text != NULL ? strtod(text, &end) : NAN;
    if (text == NULL || end == text || end[strspn(end, " \t\r\n")] != '\0' || !isfinite(number)) {
        return false;
    }
    *out = number;
    return true;
}

bool ace_compat_truth(const json_t *value)
{
    static const char *const words[] = {"1", "true", "yes", "y", "on"};
    value = single(value);
    if (json_is_number(value)) {
        return json_number_value(value) < 0 || json_number_value(value) > 0;
    }
    const char *text = json_string_value(value);
    for (size_t i = 0; text != NULL && i < sizeof words / sizeof *words; i++) {
        size_t n = strlen(words[i]);
        const char *from = text + strspn(text, " \t\r\n");
        if (strncasecmp(from, words[i], n) == 0 && from[n + strspn(from + n, " \t\r\n")] == '\0') {
            return true;
        }
    }
    return json_is_true(value);
}

bool ace_compat_is_true(const ace_compat_values *values, const char *names)
{
    return ace_compat_truth(ace_compat_find(values, names, false));
}

/* The text of one value that is no list; a number is written into room. NULL for objects and lists.
 */
static const char *scalar_text(const json_t *value, char room[NUMBER_BYTES])
{
    switch (json_typeof(value)) {
    case JSON_STRING:
        return json_string_value(value);
    case JSON_INTEGER:
        (void)snprintf(room, NUMBER_BYTES, "%lld", (long long)json_integer_value(value));
        return room;
    case JSON_REAL:
        (void)snprintf(room, NUMBER_BYTES, "%.10g", json_real_value(value));
        return room;
    case JSON_TRUE:
        return "true";
    case JSON_FALSE:
        return "false";
    case JSON_NULL:
        return "";
    case JSON_OBJECT:
    case JSON_ARRAY:
        break;
    }
    return NULL;
}

char *ace_compat_text(const json_t *value)
{
    char room[NUMBER_BYTES];
    if (!json_is_array(value)) {
        const char *text = value != NULL ? scalar_text(value, room) : NULL;
        return text != NULL ? ace_strdup(text) : NULL;
    }
    size_t bytes = 1;
    size_t i = 0;
    const json_t *item = NULL;
    json_array_foreach (value, i, item) {
        const char *text = scalar_text(item, room);
        bytes += text != NULL ? strlen(text) + 1 : 0;
    }
    char *joined = ace_calloc(bytes, 1);
    size_t n = 0;
    json_array_foreach (value, i, item) {
        const char *text = scalar_text(item, room);
        if (joined != NULL && text != NULL) {
            n += (size_t)snprintf(joined + n, bytes - n, "%s%s", n > 0 ? "," : "", text);
        }
    }
    return joined;
}

/* Cut to fit, whole characters only. */
static json_t *quoted(const json_t *value)
{
    char *text = value != NULL ? ace_compat_text(value) : NULL;
    size_t n = text != NULL ? strlen(text) : 0;
    if (n > QUOTED_BYTES) {
        n = QUOTED_BYTES;
        while (n > 0 && ((unsigned char)text[n] & 0xC0u) == 0x80u) {
            n--;
        }
    }
    json_t *out = json_stringn(text != NULL ? text : "", n);
    ace_free(text);
    return out;
}

void ace_compat_warn(json_t *warnings, const char *field, const json_t *asked, const char *used,
                     const char *reason)
{
    if (json_array_size(warnings) < MOST_WARNINGS) {
        json_array_append_new(warnings,
                              json_pack("{s:s, s:s, s:o, s:s, s:s}", "id", "", "field", field,
                                        "asked", quoted(asked), "used", used, "reason", reason));
    }
}

static json_t *number(const ace_compat_field *field, const json_t *value, json_t *warnings)
{
    double x = 0;
    char used[NUMBER_BYTES];
    if (!ace_compat_number(value, &x)) {
        ace_compat_warn(warnings, field->option, value, "", "no number");
        return NULL;
    }
    double fit = x < field->low ? field->low : x > field->high ? field->high : x;
    if (field->kind == ACE_COMPAT_INT) {
        fit = round(fit);
    }
    if (fit < x || fit > x) {
        (void)snprintf(used, sizeof used, "%.10g", fit);
        ace_compat_warn(warnings, field->option, value, used,
                        fit > field->low && fit < field->high ? "no whole number"
                                                              : "outside of what is possible");
    }
    return field->kind == ACE_COMPAT_INT ? json_integer((json_int_t)fit) : json_real(fit);
}

static json_t *word(const ace_compat_field *field, const json_t *value, json_t *warnings)
{
    const char *text = json_string_value(single(value));
    if (text != NULL && ace_compat_position(field->words, '|', text) >= 0) {
        return json_string(text);
    }
    ace_compat_warn(warnings, field->option, value, "", "not known here");
    return NULL;
}

/* A list may come as a list, or as JSON in a text. */
static char *list_text(const json_t *value)
{
    const char *text = json_string_value(value);
    json_t *parsed = text != NULL && text[0] == '[' ? json_loads(text, 0, NULL) : NULL;
    char *out = ace_compat_text(parsed != NULL ? parsed : value);
    json_decref(parsed);
    return out;
}

static json_t *text_of(const ace_compat_field *field, const json_t *value, json_t *warnings)
{
    char *text = field->kind == ACE_COMPAT_LIST ? list_text(value) : ace_compat_text(single(value));
    json_t *out = text != NULL ? json_string(text) : NULL;
    if (text == NULL) {
        ace_compat_warn(warnings, field->option, value, "", "no text");
    }
    ace_free(text);
    return out;
}

static bool is_auto(const json_t *value)
{
    const char *text = json_string_value(single(value));
    return text != NULL && strcmp(text, "auto") == 0;
}

json_t *ace_compat_convert(const ace_compat_field *field, json_t *value, json_t *warnings)
{
    switch (field->kind) {
    case ACE_COMPAT_TEXT:
    case ACE_COMPAT_LIST:
        return text_of(field, value, warnings);
    case ACE_COMPAT_INT:
    case ACE_COMPAT_REAL:
        return number(field, value, warnings);
    case ACE_COMPAT_FLAG:
        return json_boolean(ace_compat_truth(value));
    case ACE_COMPAT_SWITCH:
        return json_string(is_auto(value) ? "auto" : ace_compat_truth(value) ? "true" : "false");
    case ACE_COMPAT_WORD:
        return word(field, value, warnings);
    }
    return NULL;
}
