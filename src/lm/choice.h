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
} ace_lm_choices;

bool ace_lm_choices_create(ace_lm_choices *out); /* false: no memory */
void ace_lm_choices_free(ace_lm_choices *c);

void ace_lm_choices_clear(ace_lm_choices *c);
/* One text more. Logits are those of tokens first … first + count - 1, a row to each text in the
 * order they are added in; the twins' rows follow, in that order too. mark: [count] bytes, zero
 * before and after. False when the rules are no run of columns with at most one beside it, or where
 * there are too many columns: then the host is to choose for all. */
bool ace_lm_choices_add(ace_lm_choices *c, const ace_lm_text *t, const ace_lm_vocabulary *v,
                        int64_t first, int64_t count, uint8_t *mark);
/* After the last one. */
void ace_lm_choices_place_twins(ace_lm_choices *c);

#endif
