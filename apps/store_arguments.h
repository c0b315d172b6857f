/* The options of `acestep models` and `acestep download`, and what they share. */
#ifndef APPS_STORE_ARGUMENTS_H
#define APPS_STORE_ARGUMENTS_H

#include "commands.h"
#include "terminal.h"

#include "acestep/store.h"

enum { STORE_NAMES = 32 };

typedef struct store_arguments {
    acestep_store_options options; /* with what the environment says */
    const char *name[STORE_NAMES]; /* sets, in the order given */
    size_t n;
    bool dry_run, yes, list, offline;
    char *folder;         /* resolved; freed by store_arguments_free */
    char *recommended_lm; /* for this machine, "" for none */
} store_arguments;

/* Takes argv apart; what is left over goes into a request, whose tier says which language model
 * is recommended. 0, or an exit status after printing the error. */
int store_arguments_read(store_arguments *out, int argc, char **argv);
void store_arguments_free(store_arguments *a);

extern const char store_download_help[];

/* Shows how a download or a check stands: a bar on a terminal, otherwise a line for each set and
 * note. */
typedef struct store_view {
    terminal_progress bar;
    bool plain;
    char said[256]; /* the last line of plain output */
} store_view;

void store_view_init(store_view *v, bool quiet);
bool store_view_show(void *context, const acestep_store_state *state);

#endif
