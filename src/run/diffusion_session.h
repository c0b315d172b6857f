/* What the stages that ask the diffusion transformer share. */
#ifndef ACE_RUN_DIFFUSION_SESSION_H
#define ACE_RUN_DIFFUSION_SESSION_H

#include "run/pipeline.h"

/* What a song listens to. plain: after the cover switch. */
const ace_array *ace_song_condition(const ace_conditions *conditions, const ace_finished *song,
                                    bool plain);

/* Opens a session in an open stage: brings adapters and the condition part, lets the latter go
 * unless the plan keeps it, and brings the layers. */
void ace_diffusion_begin(ace_stage *stage, const ace_job *job, const ace_dit_inputs *in,
                         ace_dit_session *session);

#endif
