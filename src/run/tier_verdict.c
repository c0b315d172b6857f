/* What a row shows, and what all rows show together. */
#include "run/tier_test.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- one row --------------------------------------------------------------------------------- */

__attribute__((format(printf, 3, 4))) static void fail(ace_tier_row *row, ace_tier_class verdict,
                                                       const char *format, ...)
{
    row->verdict = verdict;
    if (row->error[0] == '\0') {
        va_list args;
        va_start(args, format);
        (void)vsnprintf(row->error, sizeof row->error, format, args);
        va_end(args);
    }
}

static double gb_of(size_t bytes)
{
    return (double)bytes / (double)((size_t)1 << 30);
}

/* Did the plan have to fall back from what the row is there to show? */
static bool keeps_its_terms(ace_tier_row *row)
{
    const ace_plan *p = &row->plan;
    bool wants_int8 = row->variant == ACE_VARIANT_DEFAULT || row->variant == ACE_VARIANT_BATCH;
    if (p->host) {
        fail(row, ACE_CLASS_FAIL_OOM, "nothing fits: the CPU would do it all");
    } else if (row->variant == ACE_VARIANT_DEFAULT) {
        return true;
    } else if (p->int8 && !wants_int8) {
        fail(row, ACE_CLASS_FAIL_OOM, "does not fit without INT8");
    } else if (p->offload > row->settings.offload ||
               (row->variant == ACE_VARIANT_NO_OFFLOAD && p->offload != ACE_OFFLOAD_NONE)) {
        fail(row, ACE_CLASS_FAIL_OOM, "does not fit without offload %s",
             ace_offload_name(p->offload));
    } else if (row->asks_lm && !p->lm_runs) {
        fail(row, ACE_CLASS_FAIL_OOM, "the language model does not fit");
    } else if (p->device_batch < row->batch) {
        fail(row, ACE_CLASS_FAIL_OOM, "only %d of %d songs fit at once", p->device_batch,
             row->batch);
    } else {
        return true;
    }
    return false;
}

static bool is_degraded(const ace_tier_row *row)
{
    const ace_plan *p = &row->plan;
    return p->device_batch < row->batch || row->vae_place == ACE_VAE_HOST ||
           (row->asks_lm && !p->lm_runs) || p->offload > row->settings.offload ||
           p->int8 != row->settings.int8;
}

void ace_tier_row_judge(ace_tier_row *row)
{
    row->verdict = ACE_CLASS_PASS;
    if (!row->opened) {
        fail(row, ACE_CLASS_FAIL_INIT, "the engine does not open");
    } else if (!row->ran) {
        bool memory = row->status == ACESTEP_MEMORY;
        fail(row, memory ? ACE_CLASS_FAIL_OOM : ACE_CLASS_FAIL_GEN, "%s",
             memory ? "out of memory" : "failed");
    } else if (!keeps_its_terms(row)) {
        return;
    } else if (row->peak_bytes > row->cap_bytes) {
        fail(row, ACE_CLASS_FAIL_OOM, "peak %.3f GB above the cap of %.3f GB",
             gb_of(row->peak_bytes), gb_of(row->cap_bytes));
    } else if (row->peak_bytes != row->planned_bytes) {
        fail(row, ACE_CLASS_FAIL_GEN, "peak of %zu bytes, but planned %zu", row->peak_bytes,
             row->planned_bytes);
    } else if (row->n_songs != row->batch) {
        fail(row, ACE_CLASS_FAIL_GEN, "%d of %d songs", row->n_songs, row->batch);
    } else if (!row->is_sound) {
        fail(row, ACE_CLASS_FAIL_GEN, "a song is silent or not finite");
    } else if (is_degraded(row)) {
        row->verdict = ACE_CLASS_DEGRADED;
    }
}

bool ace_tier_row_passed(const ace_tier_row *row)
{
    return row->verdict == ACE_CLASS_PASS || row->verdict == ACE_CLASS_DEGRADED;
}

const char *ace_tier_class_name(ace_tier_class verdict)
{
    static const char *const name[] = {"PASS", "DEGRADED", "FAIL init", "FAIL oom", "FAIL gen"};
    return name[verdict];
}

void ace_tier_row_label(const ace_tier_row *row, char *out, size_t room)
{
    static const char *const name[] = {"default", "no-quant", "no-offload"};
    if (row->variant == ACE_VARIANT_BATCH) {
        (void)snprintf(out, room, "batch-%s-%d", row->asks_lm ? "LM" : "noLM", row->batch);
    } else {
        (void)snprintf(out, room, "%s", name[row->variant]);
    }
}

bool ace_tier_variant_applies(ace_tier_variant variant, const ace_tier *tier)
{
    switch (variant) {
    case ACE_VARIANT_NO_QUANT:
        return tier->quantization_default;
    case ACE_VARIANT_NO_OFFLOAD:
        return tier->offload_to_cpu_default || tier->offload_dit_to_cpu_default;
    case ACE_VARIANT_DEFAULT:
    case ACE_VARIANT_BATCH:
        break;
    }
    return true;
}

/* ---- all rows -------------------------------------------------------------------------------- */

/* A default run speaks for a capability that it happened to have. */
static bool speaks_for(const ace_tier_row *row, ace_capability capability)
{
    bool unquantised = row->variant == ACE_VARIANT_DEFAULT && row->opened && !row->settings.int8 &&
                       !row->plan.int8;
    if (capability == ACE_WITHOUT_INT8) {
        return row->variant == ACE_VARIANT_NO_QUANT || unquantised;
    }
    return row->variant == ACE_VARIANT_NO_OFFLOAD ||
           (unquantised && row->settings.offload == ACE_OFFLOAD_NONE &&
            row->plan.offload == ACE_OFFLOAD_NONE);
}

ace_tier_boundary ace_tier_boundary_find(const ace_tier_test *test, ace_capability capability)
{
    ace_tier_boundary b = {.minimum = NULL};
    for (int i = 0; i < test->n_rows; i++) {
        const ace_tier_row *row = &test->row[i];
        if (!speaks_for(row, capability)) {
            continue;
        }
        bool passed = ace_tier_row_passed(row);
        if (passed && (b.first_pass == NULL || row->gb < b.first_pass->gb)) {
            b.first_pass = row;
        }
        if (!passed && (b.last_fail == NULL || row->gb > b.last_fail->gb)) {
            b.last_fail = row;
        }
    }
    for (int i = 0; i < test->n_rows; i++) {
        const ace_tier_row *row = &test->row[i];
        bool above = b.last_fail == NULL || row->gb > b.last_fail->gb;
        if (speaks_for(row, capability) && above && ace_tier_row_passed(row) &&
            (b.minimum == NULL || row->gb < b.minimum->gb)) {
            b.minimum = row;
        }
    }
    return b;
}

const ace_tier_row *ace_tier_batch_find(const ace_tier_test *test, double gb, bool with_lm,
                                        bool *tried)
{
    const ace_tier_row *most = NULL;
    bool failed = false;
    *tried = false;
    for (int i = 0; i < test->n_rows; i++) {
        const ace_tier_row *row = &test->row[i];
        if (row->variant != ACE_VARIANT_BATCH || row->gb < gb || row->gb > gb ||
            row->asks_lm != with_lm) {
            continue;
        }
        *tried = true;
        failed = failed || !ace_tier_row_passed(row);
        if (!failed && (most == NULL || row->batch > most->batch)) {
            most = row;
        }
    }
    return most;
}
