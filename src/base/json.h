/* JSON files that nobody vouches for: configs, cards, indexes, headers. */
#ifndef ACE_BASE_JSON_H
#define ACE_BASE_JSON_H

#include "base/status.h"

#include <jansson.h>
#include <stddef.h>

/* Parses one object of at most 16 MiB whose keys are unique. path stands for it in messages. The
 * caller releases *out with json_decref; it is NULL after an error.
 * MODEL when the text is anything else. */
ace_status ace_json_parse_object(const char *text, size_t bytes, const char *path, json_t **out,
                                 ace_error *err);

#endif
