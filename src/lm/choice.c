#include "lm/choice.h"

#include "base/memory.h"
#include "sample/noise.h"

#include <string.h>

bool ace_lm_choices_create(ace_lm_choices *out)
{
    *out = (ace_lm_choices){0};
    out->penalised = ace_malloc_array(ACE_CHOICE_PENALISED, sizeof *out->penalised);
    out->mask = ace_malloc_array(ace_choice_mask_bytes(ACE_CHOICE_COLUMNS), 1);
    return out->penalised != NULL && out->mask != NULL;
}

void ace_lm_choices_free(ace_lm_choices *c)
{
    ace_free(c->penalised);
    ace_free(c->mask);
    c->penalised = NULL;
    c->mask = NULL;
}

void ace_lm_choices_clear(ace_lm_choices *c)
{
    c->n = 0;
    c->twins = 0;
    c->n_penalised = 0;
    c->mask_taken = false;
}

/* ---- rules
 * -------------------------------------------------------------------------------------- */

/* Does the mask say these rules for these columns? Genres depend on what is written. */
static bool is_masked(const ace_lm_choices *c, const ace_lm_allowed *a, int64_t first,
                      int64_t count)
{
    return a->choice != ACE_LM_GENRE && a->choice == c->masked.choice &&
           a->with == c->masked.with && a->without == c->masked.without && first == c->mask_first &&
           count == c->mask_count;
}

static bool mask_rules(ace_lm_choices *c, const ace_lm_constraint *rules,
                       const ace_lm_allowed *allowed, int64_t first, int64_t count)
{
    if (is_masked(c, allowed, first, count)) {
        c->mask_taken = true;
        return true;
    }
    if (c->mask_taken) {
        return false;
    }
    memset(c->mask, 0, ace_choice_mask_bytes(count));
    for (int64_t i = 0; i < count; i++) {
        bool in = ace_lm_constraint_permits(rules, allowed, (int32_t)(first + i));
        c->mask[i / 32] |= (uint32_t)in << (i % 32);
    }
    c->masked = *allowed;
    c->mask_first = first;
    c->mask_count = count;
    c->mask_taken = true;
    return true;
}

static bool permit(ace_lm_choices *c, const ace_lm_text *t, const ace_lm_vocabulary *v,
                   int64_t first, int64_t count, ace_choice *out)
{
    ace_lm_allowed allowed;
    out->count = count;
    if (t->constraint == NULL) {
        return true;
    }
    if (ace_lm_constraint_looks(t->constraint)) {
        return false;
    }
    ace_lm_constraint_allow(t->constraint, &allowed);
    switch (allowed.choice) {
    case ACE_LM_LISTED:
    case ACE_LM_MOST_LIKELY:
        return false;
    case ACE_LM_TEXT:
    case ACE_LM_TEXT_OR_END:
    case ACE_LM_GENRE:
        out->mask = c->mask;
        return mask_rules(c, t->constraint, &allowed, first, count);
    case ACE_LM_CODES_OR_END:
        out->also = v->end - first;
        break;
    case ACE_LM_CODES:
        break;
    }
    out->first = v->first_code - first;
    out->count = v->codes;
    return true;
}

/* ---- penalty
 * ------------------------------------------------------------------------------------ */

/* The columns of tokens that are written already, each once. */
static bool list_penalised(ace_lm_choices *c, const ace_lm_text *t, int64_t first, int64_t count,
                           uint8_t *mark, ace_choice *out)
{
    const int32_t *seen = t->id - t->before;
    int64_t n = t->before + t->n;
    int32_t *list = c->penalised + c->n_penalised;
    int64_t room = ACE_CHOICE_PENALISED - c->n_penalised;
    int64_t listed = 0;
    bool fits = true;
    if (!(out->penalty > 0.0f) || out->penalty == 1.0f) {
        return true;
    }
    for (int64_t i = 0; i < n && fits; i++) {
        int64_t at = seen[i] - first;
        if (at >= 0 && at < count && mark[at] == 0) {
            fits = listed < room;
            if (fits) {
                mark[at] = 1;
                list[listed++] = (int32_t)at;
            }
        }
    }
    for (int64_t i = 0; i < listed; i++) {
        mark[list[i]] = 0;
    }
    out->penalised = list;
    out->n_penalised = listed;
    c->n_penalised += listed;
    return fits;
}

/* ---- texts
 * -------------------------------------------------------------------------------------- */

bool ace_lm_choices_add(ace_lm_choices *c, const ace_lm_text *t, const ace_lm_vocabulary *v,
                        int64_t first, int64_t count, uint8_t *mark)
{
    const ace_lm_sampling *s = &t->how.sampling;
    ace_choice choice = {
        .row = c->n,
        .twin = t->twin >= 0 ? c->twins : ACE_CHOICE_NONE,
        .also = ACE_CHOICE_NONE,
        .top_k = s->top_k,
        .top_p = s->top_p,
        .uniform = ace_noise_uniform(t->seed, ACE_NOISE_TOKEN, t->stream, t->n),
        .guidance = (float)t->how.guidance,
        .penalty = (float)t->how.repetition_penalty,
        .temperature = (float)s->temperature,
        .min_p = (float)s->min_p,
        .temper_last = s->order == ACE_LM_ORDER_PT,
    };
    if (c->n == ACE_LM_MOST_TEXTS || count > ACE_CHOICE_COLUMNS ||
        !permit(c, t, v, first, count, &choice) ||
        !list_penalised(c, t, first, count, mark, &choice)) {
        return false;
    }
    c->twins += t->twin >= 0;
    c->of[c->n++] = choice;
    return true;
}

void ace_lm_choices_place_twins(ace_lm_choices *c)
{
    for (int i = 0; i < c->n; i++) {
        if (c->of[i].twin != ACE_CHOICE_NONE) {
            c->of[i].twin += c->n;
        }
    }
}
