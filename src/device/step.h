/* A step: operations that come again and again with the same tensors, as those of one evaluation of
 * a network. A device that can keep them runs them at once from the second or third time on, and
 * the host is spared the work of issuing each.
 *
 * The body issues operations and uploads on the stream. Nothing else may depend on its being
 * called: it may be left out, or called twice. Its tensors and tables are the same each time, cut
 * from the same place in the arena; what changes are the numbers that uploads and tables read from
 * host memory (see device.h). */
#ifndef ACE_DEVICE_STEP_H
#define ACE_DEVICE_STEP_H

#include "device/stream.h"

typedef struct ace_step {
    uint64_t key;             /* of the device; 0: none yet */
    uint64_t start;           /* address in the arena where the body began */
    ace_arena_mark end;       /* the arena behind the body */
    uint64_t blocks;          /* that it cut from the arena */
    ace_stream_counters adds; /* what it adds to the stream's counters */
} ace_step;

typedef void ace_step_body(void *context);

/* Does what body(context) does on this stream, and leaves arena and counters as that would. Plainly
 * calls it where the stream keeps no steps, the device cannot, or somebody watches the operations.
 * A zeroed step is a new one. */
void ace_step_run(ace_stream *s, ace_step *step, ace_step_body *body, void *context);

/* For a step whose operations are others from now on. */
void ace_step_forget(const ace_stream *s, ace_step *step);
/* All steps of the device, before memory goes that they use. */
void ace_step_forget_all(ace_device *device);

#endif
