#include "run/diffusion_session.h"

const ace_array *ace_song_condition(const ace_conditions *conditions, const ace_finished *song,
                                    bool plain)
{
    const ace_conditions *c = &conditions[song->brief];
    int i = c->n > 1 ? song->index : 0;
    return plain ? &c->plain_states[i] : &c->states[i];
}

void ace_diffusion_begin(ace_stage *stage, const ace_job *job, const ace_dit_inputs *in,
                         ace_dit_session *session)
{
    const ace_runner *r = stage->runner;
    ace_residency *models = r->residency;
    if (models->n_uses > 0) {
        (void)ace_stage_borrow(stage, ACE_PART_ADAPTERS);
    }
    (void)ace_stage_borrow(stage, ACE_PART_DIT_CONDITION);
    models->dit.config = job->models->dit_config;
    ace_dit_begin(&stage->stream, &models->dit, in, session);
    if (!r->plan->whole_dit) {
        ace_stage_return(stage, ACE_PART_DIT_CONDITION);
    }
    (void)ace_stage_borrow(stage, ACE_PART_DIT);
}
