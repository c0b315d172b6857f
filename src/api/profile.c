#include "api/profile.h"

#include "base/file_map.h"
#include "base/memory.h"
#include "weights/demo_model.h"

#include <string.h>

/* The callbacks of the caller, with its own view of the test. */
typedef struct caller {
    acestep_tier_test *test;
    acestep_progress *progress;
    acestep_tier_row_done *done;
    void *context;
} caller;

static bool tell_progress(void *context, const char *stage, double fraction, double whole)
{
    caller *c = context;
    return c->progress == NULL || c->progress(c->context, stage, fraction, whole);
}

static bool tell_row(void *context, const ace_tier_test *test)
{
    caller *c = context;
    c->test->found = *test; /* borrowed until the test is over */
    return c->done == NULL || c->done(c->context, c->test, test->n_rows - 1);
}

static ace_status take_options(const acestep_tier_test_options *from, ace_tier_test_options *to,
                               ace_error *err)
{
    memset(to, 0, sizeof *to);
    if (from->n_sizes < 0 || from->n_sizes > ACE_TIER_TEST_MOST_SIZES) {
        return ace_fail(err, ACESTEP_ARGUMENT, "tiers: at most %d sizes", ACE_TIER_TEST_MOST_SIZES);
    }
    for (int i = 0; i < from->n_sizes; i++) {
        if (!(from->sizes[i] >= 0.5 && from->sizes[i] <= 1024)) {
            return ace_fail(err, ACESTEP_ARGUMENT, "tiers: sizes from 0.5 to 1024 GB, not %g",
                            from->sizes[i]);
        }
        to->size[i] = from->sizes[i];
    }
    if (!(from->duration >= 0 && from->duration <= 3600)) {
        return ace_fail(err, ACESTEP_ARGUMENT, "tier_duration: 1 to 3600 s, not %g",
                        from->duration);
    }
    to->n_sizes = from->n_sizes;
    to->duration = from->duration;
    to->with_lm = from->with_lm;
    to->skip_compile = from->skip_compile;
    to->boundary = from->boundary;
    to->batch_boundary = from->batch_boundary;
    return ACESTEP_OK;
}

acestep_status acestep_tier_test_run(const acestep_request *request,
                                     const acestep_tier_test_options *options,
                                     acestep_progress *progress, acestep_tier_row_done *done,
                                     void *context, acestep_tier_test **out, acestep_error *err)
{
    ace_error *inner = ace_inner_error(err);
    ace_tier_test_options taken;
    *out = NULL;
    ace_embedded_files_set(ace_demo_model_files());
    ace_status status = take_options(options, &taken, inner);
    if (status != ACESTEP_OK) {
        return status;
    }
    acestep_tier_test *test = ace_calloc(1, sizeof *test);
    if (test == NULL) {
        return ace_fail(inner, ACESTEP_MEMORY, "profile: no host memory");
    }
    caller c = {.test = test, .progress = progress, .done = done, .context = context};
    ace_tier_test found;
    status =
        ace_tier_test_run(request->options, &taken, tell_progress, tell_row, &c, &found, inner);
    test->found = found;
    *out = test;
    return status;
}

void acestep_tier_test_free(acestep_tier_test *test)
{
    if (test != NULL) {
        ace_tier_test_close(&test->found);
        ace_free(test);
    }
}

bool acestep_tier_test_passed(const acestep_tier_test *test)
{
    for (int i = 0; i < test->found.n_rows; i++) {
        const ace_tier_row *row = &test->found.row[i];
        if (row->variant == ACE_VARIANT_DEFAULT && !ace_tier_row_passed(row)) {
            return false;
        }
    }
    return true;
}
