#include "base/memory.h"
#include "options/option_readers.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Objects inside a request that hold options too. */
static const char *const containers[] = {"param_obj", "metas",         "meta",
                                         "metadata",  "user_metadata", "userMetadata"};

static bool is_container(const char *key)
{
    for (size_t i = 0; i < sizeof containers / sizeof *containers; i++) {
        if (strcmp(key, containers[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* A list becomes its comma-separated form: seeds, timesteps, track classes, codes. */
static ace_status set_list(ace_request *r, const char *key, json_t *list, ace_error *err)
{
    size_t room = 1;
    size_t i = 0;
    json_t *item = NULL;
    json_array_foreach (list, i, item) {
        room += json_is_string(item) ? json_string_length(item) + 1 : 33;
    }
    char *text = ace_calloc(room, 1);
    if (text == NULL) {
        return ace_fail(err, ACESTEP_MEMORY, "%s: no host memory", key);
    }
    size_t n = 0;
    ace_status status = ACESTEP_OK;
    json_array_foreach (list, i, item) {
        const char *comma = i > 0 ? "," : "";
        int written = 0;
        if (json_is_string(item)) {
            written = snprintf(text + n, room - n, "%s%s", comma, json_string_value(item));
        } else if (json_is_number(item)) {
            written = snprintf(text + n, room - n, "%s%.17g", comma, json_number_value(item));
        } else {
            status =
                ace_fail(err, ACESTEP_ARGUMENT, "%.60s: item %zu is no number or text", key, i);
            break;
        }
        n += (size_t)written;
    }
    if (status == ACESTEP_OK) {
        status = ace_request_set(r, key, text, ACE_FROM_CALLER, err);
    }
    ace_free(text);
    return status;
}

static ace_status set_json(ace_request *r, const char *key, json_t *value, ace_error *err)
{
    char number[40];
    switch (json_typeof(value)) {
    case JSON_NULL:
        return ACESTEP_OK; /* absent */
    case JSON_STRING: {
        int index = ace_option_find(key);
        bool is_text = index >= 0 && ace_option_at(index)->kind == ACE_OPTION_TEXT;
        if (json_string_length(value) == 0 && !is_text) {
            return ACESTEP_OK; /* an empty form field: absent */
        }
        if (strlen(json_string_value(value)) != json_string_length(value)) {
            return ace_fail(err, ACESTEP_ARGUMENT, "%.60s: holds a zero byte", key);
        }
        return ace_request_set(r, key, json_string_value(value), ACE_FROM_CALLER, err);
    }
    case JSON_INTEGER:
        (void)snprintf(number, sizeof number, "%lld", (long long)json_integer_value(value));
        return ace_request_set(r, key, number, ACE_FROM_CALLER, err);
    case JSON_REAL:
        (void)snprintf(number, sizeof number, "%.17g", json_real_value(value));
        return ace_request_set(r, key, number, ACE_FROM_CALLER, err);
    case JSON_TRUE:
        return ace_request_set(r, key, "true", ACE_FROM_CALLER, err);
    case JSON_FALSE:
        return ace_request_set(r, key, "false", ACE_FROM_CALLER, err);
    case JSON_ARRAY:
        return set_list(r, key, value, err);
    case JSON_OBJECT:
        break;
    }
    return ace_fail(err, ACESTEP_ARGUMENT, "%.60s: an object is no value here", key);
}

static ace_status set_object(ace_request *r, json_t *object, bool lenient, ace_error *err)
{
    const char *key = NULL;
    json_t *value = NULL;
    json_object_foreach (object, key, value) {
        if (is_container(key) && json_is_object(value)) {
            continue;
        }
        if (strcmp(key, "acestep") == 0) {
            continue; /* what a sidecar tells beyond the options */
        }
        if (ace_option_find(key) < 0) {
            if (lenient) {
                continue;
            }
            return ace_fail(err, ACESTEP_ARGUMENT, "%.60s: no such option", key);
        }
        ace_status status = set_json(r, key, value, err);
        if (status != ACESTEP_OK) {
            return status;
        }
    }
    return ACESTEP_OK;
}

ace_status ace_request_from_json(ace_request *r, const char *text, size_t bytes, bool lenient,
                                 ace_error *err)
{
    json_error_t where;
    json_t *root = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &where);
    if (root == NULL) {
        return ace_fail(err, ACESTEP_ARGUMENT, "request: line %d, column %d: %s", where.line,
                        where.column, where.text);
    }
    ace_status status = ACESTEP_OK;
    if (!json_is_object(root)) {
        status = ace_fail(err, ACESTEP_ARGUMENT, "request: a JSON object is expected");
    }
    /* the containers first: values at the top level win */
    for (size_t i = sizeof containers / sizeof *containers; status == ACESTEP_OK && i-- > 0;) {
        json_t *inner = json_object_get(root, containers[i]);
        if (json_is_object(inner)) {
            status = set_object(r, inner, true, err);
        }
    }
    if (status == ACESTEP_OK) {
        status = set_object(r, root, lenient, err);
    }
    json_decref(root);
    return status;
}

static json_t *value_of(const ace_request *r, const ace_option *o)
{
    const void *field = (const unsigned char *)r + o->offset;
    char word[64];
    switch (o->kind) {
    case ACE_OPTION_FLAG:
        return json_boolean(*(const bool *)field);
    case ACE_OPTION_INT:
        return json_integer(*(const int64_t *)field);
    case ACE_OPTION_REAL:
        return json_real(*(const double *)field);
    case ACE_OPTION_TEXT:
        return json_string(*(char *const *)field);
    case ACE_OPTION_WORD:
        ace_option_word(o, *(const int *)field, word, sizeof word);
        return json_string(word);
    }
    return NULL;
}

size_t ace_request_json_digits(const ace_request *r)
{
    for (int i = 0; i < ACE_OPTION_COUNT; i++) {
        const ace_option *o = ace_option_at(i);
        if (o->kind == ACE_OPTION_REAL) {
            char text[40];
            double value = 0;
            memcpy(&value, (const unsigned char *)r + o->offset, sizeof value);
            (void)snprintf(text, sizeof text, "%.15g", value);
            if (strtod(text, NULL) < value || strtod(text, NULL) > value) {
                return 17;
            }
        }
    }
    return 15;
}

char *ace_request_to_json(const ace_request *r, bool asked_only)
{
    json_t *root = json_object();
    bool complete = root != NULL;
    for (int i = 0; complete && i < ACE_OPTION_COUNT; i++) {
        if (asked_only && r->source[i] == ACE_FROM_DEFAULT) {
            continue;
        }
        const ace_option *o = ace_option_at(i);
        complete = json_object_set_new(root, o->name, value_of(r, o)) == 0;
    }
    char *text =
        complete ? json_dumps(root, JSON_COMPACT | JSON_REAL_PRECISION(ace_request_json_digits(r)))
                 : NULL;
    json_decref(root);
    return text;
}

static int describe(json_t *row, const ace_option *o)
{
    static const char *const kinds[] = {"flag", "int", "real", "text", "word"};
    char word[64];
    int bad = json_object_set_new(row, "name", json_string(o->name));
    bad |= json_object_set_new(row, "kind", json_string(kinds[o->kind]));
    bad |= json_object_set_new(row, "group", json_string(o->group));
    bad |= json_object_set_new(row, "help", json_string(o->help));
    bad |= json_object_set_new(row, "aliases", json_string(o->aliases));
    switch (o->kind) {
    case ACE_OPTION_FLAG:
        bad |= json_object_set_new(row, "default", json_boolean(o->number != 0));
        break;
    case ACE_OPTION_INT:
    case ACE_OPTION_REAL:
        bad |= json_object_set_new(row, "default", json_real(o->number));
        bad |= json_object_set_new(row, "minimum", json_real(o->minimum));
        bad |= json_object_set_new(row, "maximum", json_real(o->maximum));
        break;
    case ACE_OPTION_TEXT:
        bad |= json_object_set_new(row, "default", json_string(o->text));
        bad |= json_object_set_new(row, "longest", json_integer((json_int_t)o->longest));
        break;
    case ACE_OPTION_WORD:
        ace_option_word(o, (int)o->number, word, sizeof word);
        bad |= json_object_set_new(row, "default", json_string(word));
        bad |= json_object_set_new(row, "words", json_string(o->words));
        break;
    }
    return bad;
}

char *ace_options_json(void)
{
    json_t *rows = json_array();
    bool complete = rows != NULL;
    for (int i = 0; complete && i < ACE_OPTION_COUNT; i++) {
        json_t *row = json_object();
        complete = row != NULL && describe(row, ace_option_at(i)) == 0;
        complete = json_array_append_new(rows, row) == 0 && complete;
    }
    char *text = complete ? json_dumps(rows, JSON_INDENT(2) | JSON_REAL_PRECISION(6)) : NULL;
    json_decref(rows);
    return text;
}
