/* The example songs, part of the program: the files of models/examples, JSON that no zero ends. */
#ifndef ACE_API_EXAMPLES_H
#define ACE_API_EXAMPLES_H

#include "base/file_map.h"

const ace_embedded_file *ace_examples(void);

#endif
