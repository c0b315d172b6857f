/* Values as other programs send them: numbers and truth as text, lists as text, fields inside of
 * other fields. Nothing here fails: what cannot be used is left out, and a warning tells so. */
#ifndef ACE_SERVER_COMPAT_VALUES_H
#define ACE_SERVER_COMPAT_VALUES_H

#include "server/compat_fields.h"

#include <jansson.h>

typedef struct ace_compat_values {
    json_t *in[3]; /* where a field may stand: top level, param_obj, metas; NULL: none. Owned */
} ace_compat_values;

/* param_obj and metas are objects or JSON as text. */
void ace_compat_values_open(json_t *body, ace_compat_values *out);
void ace_compat_values_close(ace_compat_values *values);

/* The first of the names (commas between) that is there, at the top level first; null is not, and
 * "" only where texts are looked for. Borrowed, NULL when there is none. */
json_t *ace_compat_find(const ace_compat_values *values, const char *names, bool texts);

/* In the option's own kind, numbers within its range. NULL when there is nothing to use. */
json_t *ace_compat_convert(const ace_compat_field *field, json_t *value, json_t *warnings);

/* 1 true yes y on, whatever their case, and numbers but 0. */
bool ace_compat_truth(const json_t *value);
bool ace_compat_is_true(const ace_compat_values *values, const char *names);

/* A number, or a text that is one. False for anything else. */
bool ace_compat_number(const json_t *value, double *out);

/* A text; a number, a flag or a list of such as one, commas between. NULL for objects and when
 * memory is short. The caller frees with ace_free. */
char *ace_compat_text(const json_t *value);

/* Appends {"id", "field", "asked", "used", "reason"}. asked: NULL or any value. Beyond 32 they are
 * dropped. */
void ace_compat_warn(json_t *warnings, const char *field, const json_t *asked, const char *used,
                     const char *reason);

#endif
