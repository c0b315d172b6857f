/* What must hold for every plan, whatever the sizes, the card and the request. */
#ifndef TESTS_PLAN_CHECK_H
#define TESTS_PLAN_CHECK_H

#include "plan/planner.h"

#include <stddef.h>
#include <stdint.h>

typedef struct plan_case {
    ace_sizes sizes;
    ace_settings settings;
    ace_plan_wishes wishes;
} plan_case;

/* Sizes that a network could have, from random numbers: work grows with songs, windows with
 * chunks. */
void plan_case_draw(plan_case *c, uint32_t (*draw)(void *context), void *context);

/* NULL, or what is wrong with the plans under two budgets, the second at least as large. */
const char *plan_case_check(const plan_case *c, size_t budget, size_t more);

#endif
