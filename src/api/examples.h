/* The example songs, part of the program: the files of models/examples. */
#ifndef ACE_API_EXAMPLES_H
#define ACE_API_EXAMPLES_H

#include <stddef.h>

typedef struct ace_example {
    const char *name; /* "example_05.json"; NULL ends the table */
    const char *text; /* JSON, not ended by a zero */
    size_t bytes;
} ace_example;

const ace_example *ace_examples(void);

#endif
