/* What the user asks for: one value per row of the option table, nothing resolved yet. */
#ifndef ACE_RUN_REQUEST_H
#define ACE_RUN_REQUEST_H

#include "base/status.h"
#include "run/request_fields.h"

#include <stdbool.h>
#include <stdint.h>

typedef enum ace_precision {
    ACE_PRECISION_AUTO,
    ACE_PRECISION_F32,
    ACE_PRECISION_BF16,
    ACE_PRECISION_INT8
} ace_precision;

#define ACE_FIELD_FLAG(field, ...) bool field;
#define ACE_FIELD_INT(field, ...) int64_t field;
#define ACE_FIELD_REAL(field, ...) double field;
#define ACE_FIELD_TEXT(field, ...) char *field; /* owned, never NULL */
#define ACE_FIELD_WORD(field, ...) int field;   /* index of the word */

#define ACE_COUNT_ONE(...) +1
enum {
    ACE_OPTION_COUNT = 0 ACE_REQUEST_FIELDS(ACE_COUNT_ONE, ACE_COUNT_ONE, ACE_COUNT_ONE,
                                            ACE_COUNT_ONE, ACE_COUNT_ONE)
};

/* ACE_OPTION_<field>: place of a row in the table. */
#define ACE_FIELD_INDEX(field, ...) ACE_OPTION_##field,
enum {
    ACE_REQUEST_FIELDS(ACE_FIELD_INDEX, ACE_FIELD_INDEX, ACE_FIELD_INDEX, ACE_FIELD_INDEX,
                       ACE_FIELD_INDEX)
};

/* Who gave a value; a later source in this list wins over an earlier one. */
typedef enum ace_option_source {
    ACE_FROM_DEFAULT,
    ACE_FROM_CONFIG,
    ACE_FROM_ENVIRONMENT,
    ACE_FROM_CALLER
} ace_option_source;

typedef struct ace_request {
    ACE_REQUEST_FIELDS(ACE_FIELD_FLAG, ACE_FIELD_INT, ACE_FIELD_REAL, ACE_FIELD_TEXT,
                       ACE_FIELD_WORD)
    uint8_t source[ACE_OPTION_COUNT]; /* ace_option_source, in table order */
} ace_request;

#endif
