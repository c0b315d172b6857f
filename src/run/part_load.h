/* One part of the models into its arena: from the checkpoint, or from the image of it that an
 * earlier run has packed and kept on disk. */
#ifndef ACE_RUN_PART_LOAD_H
#define ACE_RUN_PART_LOAD_H

#include "run/residency.h"

typedef struct ace_part_order {
    ace_part part;
    ace_dtype matrix;
    int window;  /* of the DiT */
    bool timbre; /* of the condition encoder: with what hears a timbre */
} ace_part_order;

/* Fills the arena, which has exactly the planned size on a real device, and the part's tensors in
 * *r. *uploaded: bytes copied to the device, the same either way. */
ace_status ace_part_load(ace_residency *r, const ace_part_order *order, ace_arena *arena,
                         double *uploaded, ace_error *err);

/* Lists the files that loading this part would read: the image of it, or the checkpoint. */
void ace_part_foresee(const ace_residency *r, const ace_part_order *order, ace_foresight *f);

#endif
