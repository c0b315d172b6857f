#include "options/option_table.h"

#include "base/memory.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define AT(field) offsetof(ace_request, field)
#define ROW_FLAG(field, value, aliases_, group_, help_)                                            \
    {.name = #field,                                                                               \
     .kind = ACE_OPTION_FLAG,                                                                      \
     .offset = AT(field),                                                                          \
     .number = value,                                                                              \
     .aliases = aliases_,                                                                          \
     .group = group_,                                                                              \
     .help = help_},
#define ROW_INT(field, value, low, high, aliases_, group_, help_)                                  \
    {.name = #field,                                                                               \
     .kind = ACE_OPTION_INT,                                                                       \
     .offset = AT(field),                                                                          \
     .number = value,                                                                              \
     .minimum = low,                                                                               \
     .maximum = high,                                                                              \
     .aliases = aliases_,                                                                          \
     .group = group_,                                                                              \
     .help = help_},
#define ROW_REAL(field, value, low, high, aliases_, group_, help_)                                 \
    {.name = #field,                                                                               \
     .kind = ACE_OPTION_REAL,                                                                      \
     .offset = AT(field),                                                                          \
     .number = value,                                                                              \
     .minimum = low,                                                                               \
     .maximum = high,                                                                              \
     .aliases = aliases_,                                                                          \
     .group = group_,                                                                              \
     .help = help_},
#define ROW_TEXT(field, value, longest_, aliases_, group_, help_)                                  \
    {.name = #field,                                                                               \
     .kind = ACE_OPTION_TEXT,                                                                      \
     .offset = AT(field),                                                                          \
     .text = value,                                                                                \
     .longest = longest_,                                                                          \
     .aliases = aliases_,                                                                          \
     .group = group_,                                                                              \
     .help = help_},
#define ROW_WORD(field, value, words_, aliases_, group_, help_)                                    \
    {.name = #field,                                                                               \
     .kind = ACE_OPTION_WORD,                                                                      \
     .offset = AT(field),                                                                          \
     .number = value,                                                                              \
     .words = words_,                                                                              \
     .aliases = aliases_,                                                                          \
     .group = group_,                                                                              \
     .help = help_},

static const ace_option table[ACE_OPTION_COUNT] = {
    ACE_REQUEST_FIELDS(ROW_FLAG, ROW_INT, ROW_REAL, ROW_TEXT, ROW_WORD)};

const ace_option *ace_option_at(int index)
{
    return index >= 0 && index < ACE_OPTION_COUNT ? &table[index] : NULL;
}

/* The n bytes at a against the whole string b; hyphens count as underscores. */
static bool same_name(const char *a, size_t n, const char *b)
{
    for (size_t i = 0; i < n; i++) {
        char x = a[i] == '-' ? '_' : a[i];
        char y = b[i] == '-' ? '_' : b[i];
        if (x != y || y == '\0') {
            return false;
        }
    }
    return b[n] == '\0';
}

/* Position of name in a separated list, -1 when it is not there. */
static int position_in(const char *list, char separator, const char *name)
{
    const char stop[2] = {separator, '\0'};
    for (int i = 0; *list != '\0'; i++) {
        size_t n = strcspn(list, stop);
        if (same_name(list, n, name)) {
            return i;
        }
        list += n + (list[n] == separator ? 1 : 0);
    }
    return -1;
}

int ace_option_find(const char *name)
{
    for (int i = 0; i < ACE_OPTION_COUNT; i++) {
        if (same_name(table[i].name, strlen(table[i].name), name) ||
            position_in(table[i].aliases, ',', name) >= 0) {
            return i;
        }
    }
    return -1;
}

void ace_option_word(const ace_option *o, int index, char *out, size_t bytes)
{
    const char *word = o->words;
    for (int i = 0; i < index && word != NULL; i++) {
        word = strchr(word, '|');
        word = word != NULL ? word + 1 : NULL;
    }
    size_t n = word != NULL ? strcspn(word, "|") : 0;
    n = n < bytes ? n : bytes - 1;
    if (n > 0) {
        memcpy(out, word, n);
    }
    out[n] = '\0';
}

static void *field(ace_request *r, const ace_option *o)
{
    return (unsigned char *)r + o->offset;
}

static ace_status put_text(ace_request *r, const ace_option *o, const char *value, ace_error *err)
{
    if (strlen(value) > o->longest) {
        return ace_fail(err, ACESTEP_ARGUMENT, "%s: %zu bytes are more than the %zu allowed",
                        o->name, strlen(value), o->longest);
    }
    char *copy = ace_strdup(value);
    if (copy == NULL) {
        return ace_fail(err, ACESTEP_MEMORY, "%s: no host memory", o->name);
    }
    char **slot = field(r, o);
    ace_free(*slot);
    *slot = copy;
    return ACESTEP_OK;
}

static ace_status put_number(ace_request *r, const ace_option *o, const char *given, ace_error *err)
{
    char *end = NULL;
    double value = strtod(given, &end);
    if (end == given || *end != '\0' || !isfinite(value)) {
        return ace_fail(err, ACESTEP_ARGUMENT, "%s: \"%.40s\" is not a number", o->name, given);
    }
    if (value < o->minimum || value > o->maximum) {
        return ace_fail(err, ACESTEP_ARGUMENT, "%s: %.40s is outside %.10g to %.10g", o->name,
                        given, o->minimum, o->maximum);
    }
    if (o->kind == ACE_OPTION_REAL) {
        *(double *)field(r, o) = value;
        return ACESTEP_OK;
    }
    if (value != floor(value)) {
        return ace_fail(err, ACESTEP_ARGUMENT, "%s: %.40s is not a whole number", o->name, given);
    }
    *(int64_t *)field(r, o) = (int64_t)value;
    return ACESTEP_OK;
}

/* The words that the original's API server takes for true, and their opposites. */
int ace_option_truth(const char *value)
{
    static const char *const words[2][5] = {{"false", "0", "no", "n", "off"},
                                            {"true", "1", "yes", "y", "on"}};
    for (int truth = 0; truth < 2; truth++) {
        for (int i = 0; i < 5; i++) {
            if (strcasecmp(value, words[truth][i]) == 0) {
                return truth;
            }
        }
    }
    return -1;
}

static ace_status put_flag(ace_request *r, const ace_option *o, const char *value, ace_error *err)
{
    int truth = ace_option_truth(value);
    if (truth < 0) {
        return ace_fail(err, ACESTEP_ARGUMENT, "%s: \"%.40s\" is neither true nor false", o->name,
                        value);
    }
    *(bool *)field(r, o) = truth == 1;
    return ACESTEP_OK;
}

bool ace_option_is_switch(const ace_option *o)
{
    return o->kind == ACE_OPTION_WORD && strcmp(o->words, "auto|false|true") == 0;
}

static ace_status put_word(ace_request *r, const ace_option *o, const char *value, ace_error *err)
{
    int index = position_in(o->words, '|', value);
    if (index < 0 && ace_option_is_switch(o) && ace_option_truth(value) >= 0) {
        index = 1 + ace_option_truth(value);
    }
    if (index < 0) {
        return ace_fail(err, ACESTEP_ARGUMENT, "%s: \"%.40s\" is not one of %s", o->name, value,
                        o->words);
    }
    *(int *)field(r, o) = index;
    return ACESTEP_OK;
}

ace_status ace_request_set(ace_request *r, const char *name, const char *value,
                           ace_option_source source, ace_error *err)
{
    int i = ace_option_find(name);
    if (i < 0) {
        return ace_fail(err, ACESTEP_ARGUMENT, "%.60s: no such option", name);
    }
    if (source < r->source[i]) {
        return ACESTEP_OK;
    }
    const ace_option *o = &table[i];
    ace_status status = o->kind == ACE_OPTION_TEXT   ? put_text(r, o, value, err)
                        : o->kind == ACE_OPTION_FLAG ? put_flag(r, o, value, err)
                        : o->kind == ACE_OPTION_WORD ? put_word(r, o, value, err)
                                                     : put_number(r, o, value, err);
    if (status == ACESTEP_OK) {
        r->source[i] = (uint8_t)source;
    }
    return status;
}

static ace_status put_default(ace_request *r, const ace_option *o, ace_error *err)
{
    switch (o->kind) {
    case ACE_OPTION_TEXT:
        return put_text(r, o, o->text, err);
    case ACE_OPTION_FLAG:
        *(bool *)field(r, o) = o->number != 0;
        break;
    case ACE_OPTION_WORD:
        *(int *)field(r, o) = (int)o->number;
        break;
    case ACE_OPTION_INT:
        *(int64_t *)field(r, o) = (int64_t)o->number;
        break;
    case ACE_OPTION_REAL:
        *(double *)field(r, o) = o->number;
        break;
    }
    return ACESTEP_OK;
}

ace_status ace_request_create(ace_request **out, ace_error *err)
{
    *out = NULL;
    ace_request *r = ace_calloc(1, sizeof *r);
    if (r == NULL) {
        return ace_fail(err, ACESTEP_MEMORY, "request: no host memory");
    }
    for (int i = 0; i < ACE_OPTION_COUNT; i++) {
        ace_status status = put_default(r, &table[i], err);
        if (status != ACESTEP_OK) {
            ace_request_free(r);
            return status;
        }
    }
    *out = r;
    return ACESTEP_OK;
}

ace_status ace_request_copy(const ace_request *from, ace_request **out, ace_error *err)
{
    *out = NULL;
    ace_request *r = ace_calloc(1, sizeof *r);
    if (r == NULL) {
        return ace_fail(err, ACESTEP_MEMORY, "request: no host memory");
    }
    *r = *from;
    for (int i = 0; i < ACE_OPTION_COUNT; i++) {
        if (table[i].kind == ACE_OPTION_TEXT) {
            *(char **)field(r, &table[i]) = NULL; /* not ours: copied below */
        }
    }
    for (int i = 0; i < ACE_OPTION_COUNT; i++) {
        const ace_option *o = &table[i];
        if (o->kind != ACE_OPTION_TEXT) {
            continue;
        }
        const char *text = *(char *const *)(const void *)((const unsigned char *)from + o->offset);
        ace_status status = put_text(r, o, text, err);
        if (status != ACESTEP_OK) {
            ace_request_free(r);
            return status;
        }
    }
    *out = r;
    return ACESTEP_OK;
}

void ace_request_free(ace_request *r)
{
    if (r == NULL) {
        return;
    }
    for (int i = 0; i < ACE_OPTION_COUNT; i++) {
        if (table[i].kind == ACE_OPTION_TEXT) {
            ace_free(*(char **)field(r, &table[i]));
        }
    }
    ace_free(r);
}
