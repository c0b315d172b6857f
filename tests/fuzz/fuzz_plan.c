/* Any card and any request: the planner keeps its promises. The bytes are the random numbers. */
#include "base/log.h"
#include "support/plan_check.h"

#include <stdlib.h>
#include <string.h>

typedef struct numbers {
    const uint8_t *data;
    size_t left;
} numbers;

static uint32_t draw(void *context)
{
    numbers *n = context;
    uint32_t value = 0;
    size_t take = n->left < sizeof value ? n->left : sizeof value;
    memcpy(&value, n->data, take);
    n->data += take;
    n->left -= take;
    return value;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    numbers n = {data, size};
    plan_case c;
    ace_log_set_level(ACE_LOG_QUIET);
    size_t budget = (size_t)(draw(&n) % 48000) << 20;
    size_t more = budget + ((size_t)(draw(&n) % 8000) << 20);
    plan_case_draw(&c, draw, &n);
    if (plan_case_check(&c, budget, more) != NULL) {
        abort();
    }
    return 0;
}
