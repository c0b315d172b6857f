/* A look at intermediate activations, for comparing with recorded ones. Costs nothing when absent.
 */
#ifndef ACE_MODEL_OBSERVER_H
#define ACE_MODEL_OBSERVER_H

#include "device/stream.h"

/* Called with each named activation while it is still there, e.g. "layer0.self_attn". */
typedef void ace_observe(void *context, ace_stream *s, const char *name, ace_tensor t);

typedef struct ace_observer {
    ace_observe *observe; /* NULL: nobody looks */
    void *context;
} ace_observer;

#endif
