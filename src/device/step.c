#include "device/step.h"

#include <stdatomic.h>

static bool can_keep(const ace_stream *s)
{
    return s->keeps_steps && s->device->ops->begin_step != NULL && s->device->watch == NULL &&
           s->status == ACESTEP_OK;
}

/* No two steps of a process share a key, so that none is taken for one whose struct it reuses. */
static uint64_t new_key(void)
{
    static atomic_uint_fast64_t last;
    return atomic_fetch_add(&last, 1) + 1;
}

void ace_step_forget(const ace_stream *s, ace_step *step)
{
    if (step->key != 0) {
        s->device->ops->forget_step(s->device, step->key);
        step->key = 0;
    }
}

void ace_step_forget_all(ace_device *device)
{
    if (device->ops->forget_step != NULL) {
        device->ops->forget_step(device, 0);
    }
}

static void issue(ace_stream *s, ace_step *step, ace_step_body *body, void *context)
{
    const ace_stream_counters before = s->counters;
    const uint64_t blocks = s->arena->blocks;
    body(context);
    step->adds = (ace_stream_counters){
        .flops = s->counters.flops - before.flops,
        .uploaded = s->counters.uploaded - before.uploaded,
        .downloaded = s->counters.downloaded - before.downloaded,
        .operations = s->counters.operations - before.operations,
    };
    step->blocks = s->arena->blocks - blocks;
    step->end = ace_mark(s);
}

/* What the body would have done besides its operations. */
static void account(ace_stream *s, const ace_step *step)
{
    s->counters.flops += step->adds.flops;
    s->counters.uploaded += step->adds.uploaded;
    s->counters.downloaded += step->adds.downloaded;
    s->counters.operations += step->adds.operations;
    s->arena->blocks += step->blocks;
    ace_reset(s, &step->end);
}

static void issue_and_keep(ace_stream *s, ace_step *step, ace_step_body *body, void *context)
{
    const ace_stream_counters counters = s->counters;
    const uint64_t blocks = s->arena->blocks;
    const ace_arena_mark start = ace_mark(s);
    issue(s, step, body, context);
    if (!s->device->ops->end_step(s->device) && s->status == ACESTEP_OK) {
        s->counters = counters;
        s->arena->blocks = blocks;
        ace_reset(s, &start);
        issue(s, step, body, context);
    }
    if (s->status != ACESTEP_OK) { /* the body was cut short */
        ace_step_forget(s, step);
    }
}

void ace_step_run(ace_stream *s, ace_step *step, ace_step_body *body, void *context)
{
    if (!can_keep(s)) {
        body(context);
        return;
    }
    uint64_t start = s->arena->base + s->arena->used;
    if (step->key != 0 && step->start != start) {
        ace_step_forget(s, step);
    }
    step->key = step->key != 0 ? step->key : new_key();
    step->start = start;
    if (s->device->ops->begin_step(s->device, step->key) == ACE_STEP_REPLAYED) {
        account(s, step);
    } else {
        issue_and_keep(s, step, body, context);
    }
}
