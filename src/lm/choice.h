/* What the device needs to choose the next tokens of texts: their rules and settings, said in
 * columns of the logits. */
#ifndef ACE_LM_CHOICE_H
#define ACE_LM_CHOICE_H

#include "lm/writer.h"

typedef struct ace_lm_choices {
    ace_choice of[ACE_LM_MOST_TEXTS];
    int32_t chosen[ACE_LM_MOST_TEXTS]; /* columns */
    int n, twins;
    int32_t *penalised; /* ACE_CHOICE_PENALISED: lists of all texts, one after another */
    int64_t n_penalised;
    uint32_t *mask;        /* of rules that no run of columns says, kept from step to step */
    ace_lm_allowed masked; /* those rules */
    int64_t mask_first, mask_count;
    bool mask_taken; /* by a text of this step */
} ace_lm_choices;

bool ace_lm_choices_create(ace_lm_choices *out); /* false: no memory */
void ace_lm_choices_free(ace_lm_choices *c);

void ace_lm_choices_clear(ace_lm_choices *c);
/* One text more. Logits are those of tokens first … first + count - 1, a row to each text in the
 * order they are added in; the twins' rows follow, in that order too. mark: [count] bytes, zero
 * before and after. False where that cannot be said, by a run of columns or by one mask for all
 * texts, or a token must be looked at first, or few columns are asked for: then the host is to
 * choose for all. */
bool ace_lm_choices_add(ace_lm_choices *c, const ace_lm_text *t, const ace_lm_vocabulary *v,
                        int64_t first, int64_t count, uint8_t *mark);
/* After the last one. */
void ace_lm_choices_place_twins(ace_lm_choices *c);

#endif
