#include "run/stage.h"

#include "base/clock.h"
#include "device/step.h"

#include <stdio.h>
#include <string.h>

/* Address space of a measuring arena; nothing is reserved there. */
static const size_t UNLIMITED_BYTES = (size_t)1 << 50;

size_t ace_stage_log_peak(const ace_stage_log *log)
{
    size_t peak = 0;
    for (int i = 0; i < log->count; i++) {
        peak = log->stage[i].peak_bytes > peak ? log->stage[i].peak_bytes : peak;
    }
    return peak + log->workspace_bytes;
}

double ace_stage_log_uploaded(const ace_stage_log *log)
{
    double bytes = 0;
    for (int i = 0; i < log->count; i++) {
        bytes += log->stage[i].counters.uploaded;
    }
    return bytes;
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
    double done = total_flops(r->expected, i) + fraction * r->expected->stage[i].counters.flops;
    double all = total_flops(r->expected, r->expected->count);
    char name[128];
    (void)snprintf(name, sizeof name, "%s%s%s%s", r->expected->stage[i].name,
                   stage->doing[0] != '\0' ? " (" : "", stage->doing,
                   stage->doing[0] != '\0' ? ")" : "");
    return r->progress(r->progress_context, name, fraction, all > 0 ? done / all : 1);
}

static ace_ledger *ledger_of(const ace_runner *r)
{
    return r->residency != NULL ? &r->residency->ledger : NULL;
}

static bool is_rehearsal(const ace_runner *r)
{
    return r->expected == NULL;
}

static const ace_stage_record *expected_record(const ace_runner *r)
{
    return &r->expected->stage[r->log.count];
}

ace_status ace_stage_begin(ace_runner *r, const char *key, const char *name, ace_stage *stage)
{
    memset(stage, 0, sizeof *stage);
    stage->runner = r;
    ace_stream_init(&stage->stream, r->device, &stage->arena, r->activation, r->error);
    stage->stream.keeps_steps = r->keeps_steps;
    r->log.workspace_bytes = r->device->workspace_bytes;
    int i = r->log.count;
    if (i >= ACE_MAX_STAGES || (!is_rehearsal(r) && i >= r->expected->count)) {
        ace_stream_fail(&stage->stream, ACESTEP_FAILED, "%s: the plan has no such stage", name);
        return stage->stream.status;
    }
    memset(&r->log.stage[i], 0, sizeof r->log.stage[i]);
    r->log.stage[i].name = name;
    r->log.stage[i].key = key;
    r->device->stage = key;
    ace_trace_stage_begin(r->trace, key);
    if (ledger_of(r) != NULL) {
        ledger_of(r)->stage = key;
        ledger_of(r)->step = -1;
        ace_ledger_mark(ledger_of(r), "stage", 0);
    }
    if (r->progress != NULL && !is_rehearsal(r)) {
        stage->stream.progress = report;
        stage->stream.progress_context = stage;
    }
    stage->started = ace_clock_seconds();
    stage->loaded_at = stage->started;
    ace_stream_progress(&stage->stream, 0);
    return stage->stream.status;
}

ace_status ace_stage_begin_id(ace_runner *r, ace_stage_id id, ace_stage *stage)
{
    return ace_stage_begin(r, ace_stage_key(id), ace_stage_title(id), stage);
}

/* ---- memory ---------------------------------------------------------------------------------- */

static size_t held_bytes(const ace_runner *r)
{
    size_t bytes = 0;
    for (int i = 0; r->residency != NULL && i < ACE_PARTS; i++) {
        bytes += r->residency->part[i].held ? r->residency->part[i].arena.high_water : 0;
    }
    return bytes;
}

/* In a rehearsal the arena's size is known only at the end: parts that come and go while it is open
 * are remembered, and added to it then. */
static void note_peak(ace_stage *stage)
{
    size_t held = held_bytes(stage->runner);
    size_t work = is_rehearsal(stage->runner) ? 0 : stage->arena.capacity;
    if (stage->arena.device != NULL) {
        stage->held_peak = held > stage->held_peak ? held : stage->held_peak;
    }
    stage->peak = held + work > stage->peak ? held + work : stage->peak;
}

static void note_work(ace_stage *stage)
{
    if (stage->arena.device == NULL) {
        return;
    }
    size_t all = stage->held_peak + stage->arena.high_water;
    stage->peak = all > stage->peak ? all : stage->peak;
}

ace_status ace_stage_borrow(ace_stage *stage, ace_part part)
{
    ace_runner *r = stage->runner;
    if (stage->stream.status != ACESTEP_OK) {
        return stage->stream.status;
    }
    double start = ace_clock_seconds();
    size_t capacity = is_rehearsal(r) ? UNLIMITED_BYTES : r->expected->part_bytes[part];
    size_t bytes = 0;
    ace_status status =
        ace_residency_load(r->residency, r->plan, part, capacity, &stage->loaded, &bytes, r->error);
    if (status != ACESTEP_OK) {
        stage->stream.status = status;
        return status;
    }
    ace_trace_load(r->trace, ace_part_title(part), start, bytes);
    r->log.part_bytes[part] = bytes;
    r->log.stage[r->log.count].part_bytes[part] = bytes;
    note_peak(stage);
    if (!is_rehearsal(r) && bytes != capacity && !stage->deviates) {
        ace_stream_fail(&stage->stream, ACESTEP_FAILED,
                        "%s: takes %zu bytes where the plan said %zu; please report this",
                        ace_part_title(part), bytes, capacity);
    }
    if (stage->arena.device == NULL) {
        stage->loaded_at = ace_clock_seconds();
    } else { /* a part that comes late counts as loading */
        stage->loaded_at += ace_clock_seconds() - start;
    }
    ace_set_tag(&stage->stream, "activations");
    return stage->stream.status;
}

void ace_stage_return(ace_stage *stage, ace_part part)
{
    const ace_runner *r = stage->runner;
    if (!ace_plan_keeps(r->plan, part)) {
        ace_residency_drop(r->residency, part);
    }
}

/* The parts of the stages to come: loading them later finds their files read. */
static void foresee(const ace_runner *r)
{
    ace_part parts[ACE_PARTS];
    bool listed[ACE_PARTS] = {false};
    int n = 0;
    if (is_rehearsal(r) || r->residency == NULL) {
        return;
    }
    for (int i = r->log.count + 1; i < r->expected->count; i++) {
        for (int p = 0; p < ACE_PARTS; p++) {
            if (r->expected->stage[i].part_bytes[p] != 0 && !listed[p] && p != ACE_PART_ADAPTERS) {
                parts[n++] = (ace_part)p;
                listed[p] = true;
            }
        }
    }
    ace_residency_foresee(r->residency, r->plan, parts, n);
}

ace_status ace_stage_open_sized(ace_stage *stage, size_t bytes)
{
    ace_runner *r = stage->runner;
    ace_stage_close_work(stage);
    if (stage->stream.status != ACESTEP_OK) {
        return stage->stream.status;
    }
    ace_status status = ace_arena_open(&stage->arena, r->device, bytes, r->error);
    if (status != ACESTEP_OK) {
        stage->stream.status = status;
        return status;
    }
    if (!is_rehearsal(r) && ledger_of(r) != NULL) {
        ace_ledger_alloc_work(ledger_of(r), bytes);
    }
    stage->held_peak = 0;
    ace_set_tag(&stage->stream, "activations");
    note_peak(stage);
    foresee(r);
    return ACESTEP_OK;
}

ace_status ace_stage_open(ace_stage *stage)
{
    const ace_runner *r = stage->runner;
    return ace_stage_open_sized(stage,
                                is_rehearsal(r) ? UNLIMITED_BYTES : expected_record(r)->work_bytes);
}

/* Keeps what the record needs of an arena. */
static void record_work(const ace_stage *stage)
{
    ace_stage_record *record = &stage->runner->log.stage[stage->runner->log.count];
    bool reserved = stage->bounded && !is_rehearsal(stage->runner);
    record->work_bytes = reserved ? stage->arena.capacity : stage->arena.high_water;
    record->allocations += stage->arena.blocks;
    memcpy(record->tags, stage->arena.tags, sizeof record->tags);
    record->n_tags = stage->arena.n_tags;
}

void ace_stage_close_work(ace_stage *stage)
{
    if (stage->arena.device == NULL) {
        return;
    }
    note_work(stage);
    record_work(stage);
    ace_step_forget_all(stage->runner->device);
    ace_arena_close(&stage->arena);
    if (!is_rehearsal(stage->runner) && ledger_of(stage->runner) != NULL) {
        ace_ledger_free_work(ledger_of(stage->runner));
    }
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
    stage->loaded_at = ace_clock_seconds();
    return status;
}

/* ---- the end --------------------------------------------------------------------------------- */

/* On the real device every byte must be as rehearsed. */
static ace_status compare(const ace_stage *stage, const ace_stage_record *found)
{
    const ace_runner *r = stage->runner;
    const ace_stage_record *planned = expected_record(r);
    bool same = planned->peak_bytes == found->peak_bytes &&
                planned->work_bytes == found->work_bytes &&
                (stage->bounded || planned->counters.uploaded == found->counters.uploaded);
    if (same || stage->deviates || r->replans > 0) {
        return ACESTEP_OK;
    }
    return ace_fail(r->error, ACESTEP_FAILED,
                    "%s: used %zu bytes (%zu of work, %.0f copied) where the plan said %zu (%zu, "
                    "%.0f); please report this",
                    found->name, found->peak_bytes, found->work_bytes, found->counters.uploaded,
                    planned->peak_bytes, planned->work_bytes, planned->counters.uploaded);
}

ace_status ace_stage_end(ace_stage *stage)
{
    ace_runner *r = stage->runner;
    ace_status status = stage->stream.status;
    if (r->log.count >= ACE_MAX_STAGES) {
        return status;
    }
    ace_stream_progress(&stage->stream, 1);
    ace_stage_close_work(stage);
    ace_stage_record *record = &r->log.stage[r->log.count];
    record->peak_bytes = stage->peak;
    record->host_bytes = stage->host_bytes;
    record->counters = stage->stream.counters;
    record->counters.uploaded += stage->loaded.uploaded;
    record->load_seconds = stage->loaded_at - stage->started;
    record->compute_seconds = ace_clock_seconds() - stage->loaded_at;
    ace_trace_stage_end(r->trace, record->name, stage->started, record->counters.flops,
                        record->peak_bytes);
    if (r->residency != NULL) {
        ace_residency_settle(r->residency, r->plan);
        ledger_of(r)->step = -1;
    }
    if (status == ACESTEP_OK && !is_rehearsal(r)) {
        status = compare(stage, record);
    }
    r->log.count++;
    return status;
}

bool ace_stage_is_out_of_memory(const ace_stage *stage)
{
    return stage->stream.status == ACESTEP_MEMORY;
}
