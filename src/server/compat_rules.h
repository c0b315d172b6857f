/* What the table of fields cannot say: values that mean something else here, fields that depend on
 * each other, defaults of the other program. */
#ifndef ACE_SERVER_COMPAT_RULES_H
#define ACE_SERVER_COMPAT_RULES_H

#include "server/compat_request.h"
#include "server/compat_values.h"

typedef struct ace_compat_rules {
    const ace_compat_values *values; /* the request */
    json_t *params;                  /* what has become of it so far */
    json_t *warnings, *asked;        /* in params */
    ace_compat_dialect dialect;
    ace_job_kind kind;
} ace_compat_rules;

/* Options that the table names but that these rules alone read. */
bool ace_compat_has_own_rule(const char *option);

/* ARGUMENT as ace_compat_read. */
ace_status ace_compat_apply_rules(ace_compat_rules *rules, ace_error *err);

/* Copies whole characters as far as they fit. */
void ace_compat_cut(const char *text, char *out, size_t bytes);

/* Parts of it. */
ace_status ace_compat_rule_task(ace_compat_rules *rules, ace_error *err);
void ace_compat_rule_music(ace_compat_rules *rules); /* tempo, key, metre, length, language */
void ace_compat_rule_sampling(ace_compat_rules *rules);
void ace_compat_rule_seeds(ace_compat_rules *rules);
void ace_compat_rule_output(ace_compat_rules *rules); /* audio formats, bit rates */
void ace_compat_rule_words(ace_compat_rules *rules);  /* the language model */
ace_status ace_compat_rule_models(ace_compat_rules *rules, ace_error *err); /* and adapters */

#endif
