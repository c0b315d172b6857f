/* What a command takes on its command line beside the options of the request. */
#ifndef APPS_OWN_ARGUMENTS_H
#define APPS_OWN_ARGUMENTS_H

#include "acestep.h"

/* One word of the command's own: a switch, or a name with a value. */
typedef struct own_argument {
    const char *name;   /* "--stage" */
    bool *flag;         /* becomes true; NULL: it has a value */
    const char **value; /* what follows it, as the next word or after '='; never empty */
    unsigned modes;     /* bits that the command may have a use for */
} own_argument;

/* Takes the n of them out of argv; what is the value of one of the request's options stays there.
 * ARGUMENT when a value is missing. */
acestep_status take_own_arguments(int *argc, char **argv, const own_argument *own, int n,
                                  acestep_error *err);

#endif
