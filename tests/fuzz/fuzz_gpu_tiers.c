/* gpu_tiers.json: any bytes give a table that makes sense, or an error and the table as it was. */
#include "plan/tier.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ace_tier_table table;
    ace_tier_table before;
    ace_error err = {.code = ACESTEP_OK};
    ace_tier_table_default(&table);
    before = table;
    if (ace_tier_table_parse(&table, (const char *)data, size, "fuzz", &err) != ACESTEP_OK) {
        if (err.message[0] == '\0' || memcmp(&before, &table, sizeof table) != 0) {
            abort();
        }
        return 0;
    }
    for (int i = 0; i < ACE_TIERS; i++) {
        const ace_tier *t = &table.row[i];
        if (t->max_batch_with_lm < 1 || t->max_batch_without_lm > ACE_LARGEST_BATCH ||
            !(t->max_duration_with_lm >= ACE_SHORTEST_SONG) ||
            !(t->max_duration_without_lm <= ACE_LONGEST_SONG)) {
            abort();
        }
    }
    return 0;
}
