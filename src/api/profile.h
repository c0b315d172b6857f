/* Inside of the tier test's API. */
#ifndef ACE_API_PROFILE_H
#define ACE_API_PROFILE_H

#include "api/api.h"
#include "api/lines.h"
#include "run/tier_test.h"

struct acestep_tier_test {
    ace_tier_test found;
};

/* 2^30 bytes, as everywhere where cards are meant. */
static inline double ace_gb_of(size_t bytes)
{
    return (double)bytes / (double)((size_t)1 << 30);
}

/* With what the card's context would take. */
static inline double ace_tier_row_device_gb(const ace_tier_row *row)
{
    return row->peak_bytes > 0 ? ace_gb_of(row->peak_bytes) + ACE_CONTEXT_GB : 0;
}

/* profile_files.c: the entry of one row; NULL: no host memory. */
json_t *ace_tier_row_json(const ace_tier_test *test, const ace_tier_row *row);
/* profile_tables.c: of the guide, byte for byte. */
void ace_put_boundary_table(ace_lines *t, const ace_tier_test *test);

#endif
