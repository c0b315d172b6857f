#include "run/stage.h"

#include "base/clock.h"

#include <string.h>

/* Address space of a measuring arena; nothing is reserved there. */
static const size_t UNLIMITED_BYTES = (size_t)1 << 50;

size_t ace_stage_log_peak(const ace_stage_log *log, const ace_device *device)
{
    size_t peak = 0;
    for (int i = 0; i < log->count; i++) {
        peak = log->stage[i].peak_bytes > peak ? log->stage[i].peak_bytes : peak;
    }
    return peak + device->workspace_bytes;
}

static double total_flops(const ace_stage_log *log, int stages)
{
    double flops = 0;
    for (int i = 0; i < stages && i < log->count; i++) {
        flops += log->stage[i].counters.flops;
    }
    return flops;
}

static bool report(void *context, double fraction)
{
    const ace_stage *stage = context;
    const ace_runner *r = stage->runner;
    int i = r->log.count;
    double done = total_flops(r->plan, i) + fraction * r->plan->stage[i].counters.flops;
    double all = total_flops(r->plan, r->plan->count);
    return r->progress(r->progress_context, r->plan->stage[i].name, fraction,
                       all > 0 ? done / all : 1);
}

ace_status ace_stage_begin(ace_runner *r, const char *name, ace_stage *stage)
{
    memset(stage, 0, sizeof *stage);
    stage->runner = r;
    int i = r->log.count;
    if (i >= ACE_MAX_STAGES || (r->plan != NULL && i >= r->plan->count)) {
        stage->stream.status =
            ace_fail(r->error, ACESTEP_FAILED, "%s: the plan has no such stage", name);
        return stage->stream.status;
    }
    memset(&r->log.stage[i], 0, sizeof r->log.stage[i]);
    r->log.stage[i].name = name;
    size_t capacity = r->plan != NULL ? r->plan->stage[i].peak_bytes : UNLIMITED_BYTES;
    ace_status status = ace_arena_open(&stage->arena, r->device, capacity, r->error);
    ace_stream_init(&stage->stream, r->device, &stage->arena, r->activation, r->error);
    if (status != ACESTEP_OK) {
        stage->stream.status = status;
        return status;
    }
    if (r->progress != NULL && r->plan != NULL) {
        stage->stream.progress = report;
        stage->stream.progress_context = stage;
    }
    stage->started = ace_clock_seconds();
    stage->loaded = stage->started;
    ace_stream_progress(&stage->stream, 0);
    return stage->stream.status;
}

void ace_stage_load_begin(ace_stage *stage, const ace_weights *weights)
{
    ace_set_tag(&stage->stream, "weights");
    ace_loader_init(&stage->loader, &stage->stream, weights, stage->runner->matrix);
}

ace_status ace_stage_load_end(ace_stage *stage)
{
    ace_status status = ace_loader_finish(&stage->loader);
    ace_set_tag(&stage->stream, "activations");
    stage->loaded = ace_clock_seconds();
    return status;
}

/* On the real device the arena must have been filled to the last planned byte. */
static ace_status compare_with_plan(const ace_stage *stage, const ace_stage_record *found)
{
    const ace_runner *r = stage->runner;
    const ace_stage_record *planned = &r->plan->stage[r->log.count];
    if (planned->peak_bytes == found->peak_bytes) {
        return ACESTEP_OK;
    }
    return ace_fail(r->error, ACESTEP_FAILED,
                    "%s: used %zu bytes where the plan said %zu; please report this", found->name,
                    found->peak_bytes, planned->peak_bytes);
}

ace_status ace_stage_end(ace_stage *stage)
{
    ace_runner *r = stage->runner;
    ace_status status = stage->stream.status;
    if (stage->arena.device == NULL) {
        return status;
    }
    ace_stream_progress(&stage->stream, 1);
    ace_stage_record *record = &r->log.stage[r->log.count];
    record->peak_bytes = stage->arena.high_water;
    memcpy(record->tags, stage->arena.tags, sizeof record->tags);
    record->n_tags = stage->arena.n_tags;
    record->counters = stage->stream.counters;
    record->load_seconds = stage->loaded - stage->started;
    record->compute_seconds = ace_clock_seconds() - stage->loaded;
    ace_arena_close(&stage->arena);
    if (status == ACESTEP_OK && r->plan != NULL) {
        status = compare_with_plan(stage, record);
    }
    r->log.count++;
    return status;
}
