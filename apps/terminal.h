/* What a person sees: a progress line on a terminal, plain lines elsewhere. */
#ifndef APPS_TERMINAL_H
#define APPS_TERMINAL_H

#include <stdbool.h>

typedef struct terminal_progress {
    bool enabled;     /* stderr is a terminal and nobody asked for quiet */
    bool shown;       /* a line stands there and must be cleared */
    const char *note; /* told once the work begins: a refused job ends in one line, its error */
    double started;   /* seconds, monotonic */
    double last_shown;
} terminal_progress;

void terminal_progress_init(terminal_progress *p, bool enabled);
/* An acestep_progress callback; context is the terminal_progress. Cancels after Ctrl-C. */
bool terminal_progress_show(void *context, const char *stage, double fraction, double whole);
void terminal_progress_clear(terminal_progress *p);

/* Ctrl-C once: stop after the current step; twice: at once. */
void terminal_catch_interrupts(void);

/* Has all that was printed on stdout arrived? Says so where it has not, as on a full disk; a reader
 * who has left, as head does, had enough. */
bool terminal_finish(void);

bool terminal_has_colour(void); /* of stdout; NO_COLOR is honoured */
int terminal_columns(void);     /* of stdout, 80 when unknown */

#endif
