/* The rows of src/run/request_fields.h as data, and one way to read and write them all. */
#ifndef ACE_OPTIONS_OPTION_TABLE_H
#define ACE_OPTIONS_OPTION_TABLE_H

#include "run/request.h"

#include <stddef.h>

typedef enum ace_option_kind {
    ACE_OPTION_FLAG,
    ACE_OPTION_INT,
    ACE_OPTION_REAL,
    ACE_OPTION_TEXT,
    ACE_OPTION_WORD
} ace_option_kind;

typedef struct ace_option {
    const char *name;
    ace_option_kind kind;
    size_t offset; /* of the field in ace_request */
    double number; /* default of flags, numbers and words (an index) */
    const char *text;
    double minimum, maximum; /* of numbers */
    size_t longest;          /* of texts, bytes */
    const char *words;       /* "a|b|c" */
    const char *aliases;     /* "a,b" or "" */
    const char *group;
    const char *help;
} ace_option;

const ace_option *ace_option_at(int index); /* 0 … ACE_OPTION_COUNT - 1 */
/* By name or alias; hyphens and underscores are the same. -1 when there is none. */
int ace_option_find(const char *name);
/* A WORD option "auto|false|true": takes the words of a flag, and may stand alone. */
bool ace_option_is_switch(const ace_option *o);
/* The words of a flag: 1 true, 0 false, -1 neither. */
int ace_option_truth(const char *value);
/* The word a WORD option stands at, cut to fit. */
void ace_option_word(const ace_option *o, int index, char *out, size_t bytes);

ace_status ace_request_create(ace_request **out, ace_error *err); /* all defaults */
ace_status ace_request_copy(const ace_request *from, ace_request **out, ace_error *err);
void ace_request_free(ace_request *r);

/* Sets one option from text, e.g. "true", "120", "text2music". Out of range, malformed, unknown
 * word: ARGUMENT, naming the option, the value and what is allowed. A source that ranks below the
 * present one changes nothing. */
ace_status ace_request_set(ace_request *r, const char *name, const char *value,
                           ace_option_source source, ace_error *err);

#endif
