/* The recording that a command is about: the argument without a name, and what its tags tell. */
#ifndef APPS_SOURCE_ARGUMENT_H
#define APPS_SOURCE_ARGUMENT_H

#include "acestep.h"

/* Takes the first argument that is neither an option nor an option's value out of argv. NULL: there
 * is none. */
const char *take_positional(int *argc, char **argv);

/* Latents by their name (.latents, and .vae as acestep.cpp calls them), audio in any other file. */
acestep_status set_source(acestep_request *request, const char *path, acestep_error *err);

/* The words that a song made here was made from, as its tags have them, where nobody gave others.
 */
acestep_status set_words_of(acestep_request *request, const char *path, acestep_error *err);

#endif
