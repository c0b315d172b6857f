#include "lm/fields.h"

#include "base/memory.h"
#include "lm/user_text.h"
#include "lm/yaml_scalar.h"
#include "text/span.h"

#include <limits.h>
#include <string.h>

static const char *const names[ACE_LM_FIELDS] = {
    "bpm", "caption", "duration", "genres", "keyscale", "language", "timesignature",
};

const char *ace_lm_field_name(ace_lm_field field)
{
    return names[field];
}

ace_status ace_lm_fields_set(ace_lm_fields *fields, ace_lm_field field, const char *text, size_t n,
                             ace_error *err)
{
    char *copy = NULL;
    size_t bytes = n > 0 ? strnlen(text, n) : 0;
    if (bytes > 0) {
        copy = ace_malloc_array(bytes + 1, 1);
        if (copy == NULL) {
            return ace_fail(err, ACESTEP_MEMORY, "%s: no host memory", names[field]);
        }
        memcpy(copy, text, bytes);
        copy[bytes] = '\0';
    }
    ace_free(fields->text[field]);
    fields->text[field] = copy;
    return ACESTEP_OK;
}

void ace_lm_fields_free(ace_lm_fields *fields)
{
    for (int i = 0; i < ACE_LM_FIELDS; i++) {
        ace_free(fields->text[i]);
        fields->text[i] = NULL;
    }
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static size_t count_digits(ace_text_span span)
{
    size_t n = 0;
    while (n < span.bytes && is_digit(span.data[n])) {
        n++;
    }
    return n;
}

long ace_lm_fields_number(const ace_lm_fields *fields, ace_lm_field field)
{
    ace_text_span span = ace_span_trim(ace_span_of(fields->text[field]));
    size_t n = count_digits(span);
    long value = 0;
    if (n < span.bytes) {
        ace_text_span fraction = {span.data + n + 1, span.bytes - n - 1};
        if (span.data[n] != '.' || count_digits(fraction) != fraction.bytes) {
            return 0;
        }
    }
    for (size_t i = 0; i < n; i++) {
        int digit = span.data[i] - '0';
        if (value > (LONG_MAX - digit) / 10) {
            return 0;
        }
        value = 10 * value + digit;
    }
    return value;
}

/* Digits alone become an integer, however long: zeros before it go. */
static bool append_integer(ace_text_buffer *out, const char *name, const char *text)
{
    size_t n = strlen(text);
    if (n == 0 || count_digits(ace_span_of(text)) != n) {
        return false;
    }
    while (n > 1 && *text == '0') {
        text++;
        n--;
    }
    ace_text_append_string(out, name);
    ace_text_append_string(out, ": ");
    ace_text_append(out, text, n);
    ace_text_append_string(out, "\n");
    return true;
}

/* "3/4" is known as 3; "6/8" stays what it is. */
static void cut_quarters(char *signature)
{
    size_t n = strlen(signature);
    if (n >= 2 && strcmp(signature + n - 2, "/4") == 0) {
        signature[strcspn(signature, "/")] = '\0';
    }
}

static void append_field(ace_text_buffer *out, ace_lm_field field, const char *value)
{
    ace_text_buffer clean = {0};
    ace_lm_append_user_text(&clean, value);
    char *text = ace_text_take(&clean);
    if (text == NULL) {
        out->failed = true;
        return;
    }
    if (field == ACE_LM_TIMESIGNATURE) {
        cut_quarters(text);
    }
    if (!append_integer(out, names[field], text)) {
        ace_yaml_append_entry(out, names[field], text);
    }
    ace_free(text);
}

ace_status ace_lm_fields_block(const ace_lm_fields *fields, char **out, ace_error *err)
{
    ace_text_buffer block = {0};
    bool any = false;
    ace_text_append_string(&block, "<think>\n");
    for (int i = 0; i < ACE_LM_FIELDS; i++) {
        if (fields->text[i] != NULL && i != ACE_LM_GENRES) {
            append_field(&block, (ace_lm_field)i, fields->text[i]);
            any = true;
        }
    }
    ace_text_append_string(&block, any ? "</think>" : "\n</think>");
    *out = ace_text_take(&block);
    if (*out == NULL) {
        return ace_fail(err, ACESTEP_MEMORY, "metadata block: no host memory");
    }
    return ACESTEP_OK;
}
