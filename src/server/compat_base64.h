/* Audio inside of JSON. */
#ifndef ACE_SERVER_COMPAT_BASE64_H
#define ACE_SERVER_COMPAT_BASE64_H

#include "base/status.h"

#include <stddef.h>

/* The bytes of a text in base64, perhaps with "data:…;base64," before it and white space within.
 * The caller frees with ace_free. ARGUMENT for anything else. */
ace_status ace_base64_read(const char *text, void **bytes, size_t *n, ace_error *err);

/* prefix, then the file in base64. The caller frees with ace_free; NULL with err set. */
char *ace_base64_of_file(const char *path, const char *prefix, ace_error *err);

#endif
