/* A drawn architecture, written as checkpoints into a folder of its own and opened again. */
#ifndef TESTS_SUPPORT_OPENED_ARCHITECTURE_H
#define TESTS_SUPPORT_OPENED_ARCHITECTURE_H

#include "support/architecture.h"
#include "support/temporary_folder.h"
#include "weights/weights.h"

typedef struct opened {
    architecture drawn, read; /* as drawn, and as the configs say it */
    ace_weights *dit, *vae, *text, *lm;
    char folder[TEMPORARY_FOLDER_BYTES];
} opened;

/* songs: as in architecture_draw. Fails the test when anything cannot be read. */
opened *open_architecture(uint64_t seed, bool songs);
void close_architecture(opened *o);

/* Seeds of the architectures of a test: the usual ones, 1 to count, or those that
 * TEST_ARCHITECTURES names, FIRST:COUNT. */
typedef struct seed_range {
    uint64_t first;
    int count;
} seed_range;

seed_range chosen_seeds(int usual);

#endif
