/* What can be asked of an engine, and what each call cannot do without. */
#ifndef ACE_API_CALLS_H
#define ACE_API_CALLS_H

#include "acestep.h"
#include "run/pipeline.h"
#include "run/request.h"

ace_goal ace_call_goal(acestep_call call);

/* ARGUMENT for a request that lacks what the call is about, or asks for a file that cannot be
 * written. The models and the machine have their say later. */
ace_status ace_call_check(acestep_call call, const ace_request *r, ace_error *err);

#endif
