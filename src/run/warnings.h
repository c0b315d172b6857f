/* What was changed on the way from the request to the job, for the log and for the reply. */
#ifndef ACE_RUN_WARNINGS_H
#define ACE_RUN_WARNINGS_H

enum { ACE_MAX_WARNINGS = 32 };

typedef struct ace_warning {
    char field[40]; /* option at fault */
    char asked[64]; /* what the user asked for */
    char used[64];  /* what was used instead */
    char reason[160];
} ace_warning;

typedef struct ace_warnings {
    ace_warning item[ACE_MAX_WARNINGS];
    int count; /* further ones are logged only */
} ace_warnings;

/* Appends, and writes a log line. Texts are cut to fit. */
void ace_warn(ace_warnings *w, const char *field, const char *asked, const char *used,
              const char *reason, ...) __attribute__((format(printf, 5, 6)));

#endif
