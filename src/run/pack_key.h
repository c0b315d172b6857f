/* What a packed image depends on, as one key. */
#ifndef ACE_RUN_PACK_KEY_H
#define ACE_RUN_PACK_KEY_H

#include "device/device.h"
#include "plan/plan.h"
#include "weights/weights.h"

typedef struct ace_pack_subject {
    ace_part part;
    const ace_weights *weights;
    ace_device *device; /* in whose layout the weights are packed */
    ace_dtype matrix, conv, activation;
    ace_digest asked; /* what the loader asked for */
    size_t bytes;     /* of the image */
} ace_pack_subject;

/* False where an image cannot be kept: the weights are no files on disk, or memory is short. */
bool ace_pack_key(const ace_pack_subject *subject, ace_digest *key);

#endif
