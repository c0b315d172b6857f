/* From a job to its plan: sizes from the measure device, the planner, and the rehearsal that shows
 * every byte. */
#ifndef ACE_RUN_PLANNING_H
#define ACE_RUN_PLANNING_H

#include "model/model_set.h"
#include "run/pipeline.h"
#include "run/workshop.h"

/* The cards and the simulation that a request asks for. */
ace_hardware_wishes ace_hardware_wishes_of(const ace_request *r);

/* What the request says about the engine, against the machine and the tiers. lms: the language
 * models that can be loaded. */
void ace_resolve_settings(const ace_hardware *hardware, const ace_tier_table *tiers,
                          const ace_lm_list *lms, const ace_request *r, ace_warnings *warnings,
                          ace_settings *out);
/* Under synthetic weights all published sizes exist. */
void ace_lm_list_published(ace_lm_list *out);

/* Sizes for the planner. */
ace_status ace_measure_sizes(const ace_workshop *w, const ace_request *r, const ace_job *job,
                             ace_sizes *out, ace_error *err);

/* Chooses job->plan and rehearses it: the log holds what a run will take, byte for byte. */
ace_status ace_plan_job(const ace_workshop *w, const ace_request *r, ace_job *job,
                        ace_warnings *warnings, ace_stage_log *rehearsal, ace_error *err);

/* The residency and device that a plan runs on. */
ace_residency *ace_residency_for(ace_workshop *w, const ace_plan *plan);

#endif
