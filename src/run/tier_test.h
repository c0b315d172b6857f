/* `acestep profile --mode tier-test`: one run for each simulated card, with the defaults of its
 * tier; and what the runs together say about where INT8 and offloading can be left out, and how
 * many songs fit side by side. */
#ifndef ACE_RUN_TIER_TEST_H
#define ACE_RUN_TIER_TEST_H

#include "run/job.h"

enum { ACE_TIER_TEST_MOST_SIZES = 32, ACE_TIER_TEST_BATCHES = 4 };

/* One card of each tier (GB): 7 stands for the tier between 6 and 8. */
extern const double ace_tier_test_sizes[ACE_TIERS];
/* Tried in this order until one fails. */
extern const int ace_tier_test_batches[ACE_TIER_TEST_BATCHES];

typedef enum ace_tier_variant {
    ACE_VARIANT_DEFAULT,
    ACE_VARIANT_NO_QUANT,   /* the tier's offloading, no INT8 */
    ACE_VARIANT_NO_OFFLOAD, /* neither */
    ACE_VARIANT_BATCH       /* the tier's settings, so many songs at once */
} ace_tier_variant;

typedef enum ace_tier_class {
    ACE_CLASS_PASS,
    ACE_CLASS_DEGRADED, /* passed, but with less than was asked for */
    ACE_CLASS_FAIL_INIT,
    ACE_CLASS_FAIL_OOM,
    ACE_CLASS_FAIL_GEN
} ace_tier_class;

/* One run. */
typedef struct ace_tier_row {
    double gb; /* of the card, as asked for */
    ace_tier_variant variant;
    int batch;
    bool asks_lm;
    ace_tier tier;         /* the row of the table in force */
    ace_settings settings; /* before the plan */
    ace_plan plan;
    double duration; /* s, after clamping */
    int n_songs;     /* made */
    size_t cap_bytes, planned_bytes, peak_bytes, free_bytes;
    size_t part_bytes[ACE_PARTS]; /* of every part that was loaded */
    size_t workspace_bytes;
    size_t stage_bytes[ACE_STAGES]; /* most on the device; 0: no such stage */
    ace_vae_place vae_place;
    int64_t vae_chunk;
    double wall_seconds, lm_seconds, dit_seconds, vae_seconds;
    bool opened, ran, is_sound; /* is_sound: finite and not silent, or nothing was computed */
    ace_status status;          /* of what failed */
    ace_tier_class verdict;
    char error[200];
    ace_warnings warnings;
} ace_tier_row;

typedef struct ace_tier_test_options {
    double size[ACE_TIER_TEST_MOST_SIZES];
    int n_sizes;     /* 0: the default ones */
    double duration; /* s; 0: 30 */
    bool with_lm, skip_compile, boundary, batch_boundary;
} ace_tier_test_options;

typedef struct ace_tier_test {
    ace_tier_test_options options;
    bool shape; /* the schedule was walked, nothing computed */
    char model[128];
    ace_tier_row *row; /* owned */
    int n_rows;
} ace_tier_test;

/* ---- running (tier_test.c) ------------------------------------------------------------------- */

/* After each row, the last one in the test; false stops. */
typedef bool ace_tier_row_done(void *context, const ace_tier_test *test);

/* The request says weights, models, threads, tier file, seed and whether to compute. A card that
 * fails is a row, not an error. CANCELLED and MEMORY leave the finished rows in *out; the caller
 * closes it in every case. */
ace_status ace_tier_test_run(const ace_request *request, const ace_tier_test_options *options,
                             ace_job_progress *progress, ace_tier_row_done *done, void *context,
                             ace_tier_test *out, ace_error *err);
void ace_tier_test_close(ace_tier_test *test);

/* ---- judging (tier_verdict.c): pure ---------------------------------------------------------- */

/* Fills verdict, and error where the run itself gave none. */
void ace_tier_row_judge(ace_tier_row *row);
bool ace_tier_row_passed(const ace_tier_row *row);
const char *ace_tier_class_name(ace_tier_class verdict); /* "PASS", …, "FAIL gen" */
/* "default", "no-quant", "no-offload", "batch-noLM-4"; at least 24 bytes. */
void ace_tier_row_label(const ace_tier_row *row, char *out, size_t room);
/* Is there anything that the variant would change on this tier? */
bool ace_tier_variant_applies(ace_tier_variant variant, const ace_tier *tier);

typedef enum ace_capability {
    ACE_WITHOUT_INT8,
    ACE_WITHOUT_OFFLOAD, /* nor INT8 */
    ACE_CAPABILITIES
} ace_capability;

/* Rows, NULL: none. */
typedef struct ace_tier_boundary {
    const ace_tier_row *minimum;    /* the smallest that passed and all larger ones too */
    const ace_tier_row *first_pass; /* the smallest that passed */
    const ace_tier_row *last_fail;  /* the largest that failed */
} ace_tier_boundary;

ace_tier_boundary ace_tier_boundary_find(const ace_tier_test *test, ace_capability capability);
/* The largest batch that passed on a card, counted up to the first failure; NULL: not even one.
 * *tried: was there a run at all? */
const ace_tier_row *ace_tier_batch_find(const ace_tier_test *test, double gb, bool with_lm,
                                        bool *tried);

#endif
