/* The context the diffusion transformer looks at: for every frame what is there already (source
 * latents, latents of codes, or silence) and a mask that says where music is to be made. */
#ifndef ACE_RUN_CONTEXT_H
#define ACE_RUN_CONTEXT_H

#include "run/pipeline.h"

/* hints: of the song at hand, or NULL. out: [brief->frames, 2·channels]. plain: the context after the cover switch, silence under the
 * same mask. */
void ace_context_write(const ace_job *job, const ace_brief *brief, const ace_heard *heard,
                       const float *hints, bool plain, float *out);

/* The clean latents that sampling may start from or keep outside a region: hints of given codes,
 * else the source's; NULL when there are none. [frames, channels] */
const float *ace_context_source(const ace_brief *brief, const ace_heard *heard, const float *hints);

#endif
