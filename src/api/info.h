/* What info.c and controls.c share: the machine and the settings of a request, without an engine. */
#ifndef ACE_API_INFO_H
#define ACE_API_INFO_H

#include "run/card.h"
#include "run/planning.h"

#include <jansson.h>

typedef struct ace_info {
    ace_hardware hardware;
    ace_tier_table tiers;
    ace_lm_list lms;
    ace_settings settings;
    ace_settings with_lm,
        without_lm; /* the same request with the language model at work, and not */
    ace_warnings warnings;
} ace_info;

ace_status ace_info_gather(const ace_request *r, ace_info *out, ace_error *err);

/* Names of the language models that a tier permits: those on disk, else all on disk. */
json_t *ace_info_lm_choices(const ace_info *info, bool *restricted);
/* One row of the table, in the form that gpu_tiers.json takes. */
json_t *ace_tier_json(const ace_tier *t);
json_t *ace_info_controls(const ace_info *info); /* controls.c */

#endif
