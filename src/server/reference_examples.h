/* Ideas for people who have none. */
#ifndef ACE_SERVER_REFERENCE_EXAMPLES_H
#define ACE_SERVER_REFERENCE_EXAMPLES_H

#include <jansson.h>
#include <stdbool.h>

/* Another one at each call. One sentence: {"description", "instrumental", "vocal_language"}; whole:
 * {"caption", "lyrics", "bpm", "duration", "keyscale", "language", "timesignature", "think"}. NULL
 * when memory is short. */
json_t *ace_reference_example(bool whole);

#endif
