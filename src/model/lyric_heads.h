/* Which attention heads of the diffusion transformer follow the lyrics. */
#ifndef ACE_MODEL_LYRIC_HEADS_H
#define ACE_MODEL_LYRIC_HEADS_H

#include "model/config.h"

enum { ACE_MOST_LYRIC_HEADS = 64 }; /* of a layer; heads from 64 on are never taken */

typedef struct ace_lyric_heads {
    uint64_t of_layer[ACE_MAX_LAYERS]; /* bit h: head h */
    int64_t last_layer;
} ace_lyric_heads;

/* In this order:
 *   - what the checkpoint's config.json says (the published XL models have a list of their own);
 *   - for a model of the shape of the published 2B ones, 24 layers of 16 heads, the original's list
 *     (custom_layers_config in acestep/handler.py): the same for turbo, base, sft, and what was
 *     trained on from them;
 *   - for any other model all heads of the layers in its middle third. Nobody has measured which
 *     heads of such a model follow the lyrics; this only makes the feature work everywhere. */
void ace_lyric_heads_of(const ace_dit_config *c, ace_lyric_heads *out);

#endif
