/* The file of the running program. */
#ifndef ACE_BASE_PROGRAM_FILE_H
#define ACE_BASE_PROGRAM_FILE_H

#include "base/digest.h"

#include <stdbool.h>

/* Adds what tells this build from any other: size, time and number of the program's file. False
 * where the system does not show it. */
bool ace_program_identify(ace_digest *digest);

#endif
