/* The names that requests of other programs use, and the options of the engine that they mean. */
#ifndef ACE_SERVER_COMPAT_FIELDS_H
#define ACE_SERVER_COMPAT_FIELDS_H

#include <stdbool.h>
#include <stddef.h>

typedef enum ace_compat_kind {
    ACE_COMPAT_TEXT,
    ACE_COMPAT_LIST, /* a text, or a list that becomes one with commas between */
    ACE_COMPAT_INT,
    ACE_COMPAT_REAL,
    ACE_COMPAT_FLAG,
    ACE_COMPAT_SWITCH, /* auto, false, true */
    ACE_COMPAT_WORD
} ace_compat_kind;

typedef struct ace_compat_field {
    const char *option; /* of the engine (run/request_fields.h) */
    ace_compat_kind kind;
    const char *names; /* in the order in which they are looked up, commas between */
    double low, high;  /* numbers outside are clamped, with a warning */
    const char *words; /* "a|b|c": others are left out, with a warning */
} ace_compat_field;

extern const ace_compat_field ace_compat_fields[];
extern const size_t ace_compat_n_fields;

/* The row of an option; NULL when there is none. */
const ace_compat_field *ace_compat_field_of(const char *option);

/* Is this one of the names, or one that compat_request.c reads by itself, or a container? */
bool ace_compat_is_known(const char *name);

/* Position of name in a list with this separator; -1 when it is not there. Letter case counts. */
int ace_compat_position(const char *list, char separator, const char *name);

#endif
