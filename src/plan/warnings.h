/* What was changed on the way from the request to the job, for the log and for the reply. */
#ifndef ACE_PLAN_WARNINGS_H
#define ACE_PLAN_WARNINGS_H

#include <stdbool.h>

enum { ACE_MAX_WARNINGS = 32 };

typedef struct ace_warning {
    char id[8];     /* "W15"; empty for what has no number */
    char field[40]; /* option at fault */
    char asked[64]; /* what the user asked for */
    char used[64];  /* what was used instead */
    char reason[200];
} ace_warning;

typedef struct ace_warnings {
    ace_warning item[ACE_MAX_WARNINGS];
    int count; /* further ones are logged only */
} ace_warnings;

/* Appends, and writes a log line. Texts are cut to fit. The same id and field twice: the first stays. */
void ace_warn(ace_warnings *w, const char *id, const char *field, const char *asked,
              const char *used, const char *reason, ...) __attribute__((format(printf, 6, 7)));
bool ace_warned(const ace_warnings *w, const char *id);

#endif
