/* Which plain words YAML 1.1 does not read as texts. */
#ifndef ACE_LM_YAML_TYPES_H
#define ACE_LM_YAML_TYPES_H

#include <stdbool.h>

/* A truth value, null, number, date, "=" or "<<". https://yaml.org/type/, as PyYAML resolves it. */
bool ace_yaml_is_no_text(const char *text);

#endif
