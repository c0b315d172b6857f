#include "run/residency.h"

#include "base/host_memory.h"
#include "run/part_load.h"

#include <string.h>

void ace_residency_init(ace_residency *r, ace_device *device, ace_device *measure,
                        const ace_models *models, ace_precisions precisions)
{
    memset(r, 0, sizeof *r);
    r->device = device;
    r->measure = measure;
    r->models = models;
    r->precisions = precisions;
    r->ledger.step = -1;
    r->ledger.stage = "idle";
}

void ace_residency_close(ace_residency *r)
{
    ace_foresight_stop(&r->foresight);
    ace_residency_await_writing(r);
    ace_ledger_close(&r->ledger); /* the end of the engine is no eviction */
    for (int i = 0; i < ACE_PARTS; i++) {
        ace_residency_drop(r, (ace_part)i);
    }
    ace_layer_window_free(&r->window);
    memset(r, 0, sizeof *r);
}

void ace_residency_rehearse(const ace_residency *real, ace_residency *out)
{
    *out = *real;
    out->device = real->measure;
    out->ledger.trace = NULL;
    out->writer = NULL;
    memset(&out->window, 0, sizeof out->window);
    memset(&out->foresight, 0, sizeof out->foresight);
    out->dit.adapters = out->part[ACE_PART_ADAPTERS].held ? &out->adapters : NULL;
    for (int i = 0; i < ACE_PARTS; i++) {
        out->part[i].arena.device = out->part[i].held ? out->device : NULL;
    }
}

bool ace_residency_has(const ace_residency *r, ace_part part)
{
    switch (part) {
    case ACE_PART_LM:
        return r->models->lm != NULL;
    case ACE_PART_ADAPTERS:
        return r->n_uses > 0;
    case ACE_PART_VAE_ENCODER:
    case ACE_PART_TOKENIZER:
    case ACE_PART_DETOKENIZER:
        return r->models->set.card.audio_input;
    default:
        return true;
    }
}

ace_dtype ace_part_matrix(const ace_residency *r, const ace_plan *plan, ace_part part)
{
    return plan->int8 && ace_part_is_quantised(part) ? ACE_I8 : r->precisions.plain;
}

/* Silence that has been heard need not be heard again. */
static bool hears_timbres(const ace_residency *r, const ace_plan *plan)
{
    ace_dtype matrix = ace_part_matrix(r, plan, ACE_PART_CONDITION);
    return r->references || ace_silence_timbre_of(r->silence, matrix) == NULL;
}

static ace_part_order order_of(const ace_residency *r, const ace_plan *plan, ace_part part)
{
    return (ace_part_order){.part = part,
                            .matrix = ace_part_matrix(r, plan, part),
                            .window = plan->window,
                            .timbre = hears_timbres(r, plan)};
}

/* Matrix type and window must be as the plan wants them; what can hear a timbre may be there
 * unused. */
static bool is_as_planned(const ace_residency *r, const ace_plan *plan, ace_part part)
{
    const ace_held_part *p = &r->part[part];
    return p->held && p->matrix == ace_part_matrix(r, plan, part) &&
           (part != ACE_PART_DIT || p->window == plan->window) &&
           (part != ACE_PART_CONDITION || p->timbre || !hears_timbres(r, plan));
}

ace_status ace_residency_load(ace_residency *r, const ace_plan *plan, ace_part part,
                              size_t capacity, ace_stream_counters *counters, size_t *bytes,
                              ace_error *err)
{
    ace_held_part *p = &r->part[part];
    *bytes = p->arena.high_water;
    if (is_as_planned(r, plan, part)) {
        return ACESTEP_OK;
    }
    ace_residency_drop(r, part);
    r->foreseen[part] = false;
    ace_status status = ace_arena_open(&p->arena, r->device, capacity, err);
    if (status != ACESTEP_OK) {
        return status;
    }
    double uploaded = 0;
    ace_part_order order = order_of(r, plan, part);
    p->held = true;
    p->matrix = order.matrix;
    p->window = order.window;
    p->timbre = order.timbre;
    status = ace_part_load(r, &order, &p->arena, &uploaded, err);
    counters->uploaded += uploaded;
    *bytes = p->arena.high_water;
    ace_ledger_alloc(&r->ledger, part, *bytes);
    ace_ledger_copy(&r->ledger, ace_part_code(part), "h2d", uploaded);
    if (status != ACESTEP_OK) {
        ace_residency_drop(r, part);
    }
    return status;
}

void ace_residency_foresee(ace_residency *r, const ace_plan *plan, const ace_part *parts, int n)
{
    bool is_news = false;
    for (int i = 0; i < n && r->device->computes; i++) {
        is_news = is_news || (!is_as_planned(r, plan, parts[i]) && !r->foreseen[parts[i]]);
    }
    if (!is_news) {
        return;
    }
    ace_foresight_stop(&r->foresight);
    for (int i = 0; i < n; i++) {
        ace_part_order order = order_of(r, plan, parts[i]);
        if (!is_as_planned(r, plan, parts[i])) {
            ace_part_foresee(r, &order, &r->foresight);
            r->foreseen[parts[i]] = true;
        }
    }
    /* half: the stages need memory too */
    ace_foresight_start(&r->foresight, (size_t)(ace_host_memory_now().available / 2));
}

void ace_residency_await_writing(ace_residency *r)
{
    ace_pack_writer_finish(r->writer, r->cache);
    r->writer = NULL;
}

void ace_residency_drop(ace_residency *r, ace_part part)
{
    ace_held_part *p = &r->part[part];
    if (!p->held) {
        return;
    }
    if (r->writing == part) {
        ace_residency_await_writing(r);
    }
    if (part == ACE_PART_DIT) {
        ace_layer_window_stop(&r->window);
    }
    if (part == ACE_PART_ADAPTERS) {
        r->dit.adapters = NULL;
    }
    ace_ledger_free(&r->ledger, part, true);
    ace_arena_close(&p->arena);
    p->held = false;
}

void ace_residency_settle(ace_residency *r, const ace_plan *plan)
{
    for (int i = 0; i < ACE_PARTS; i++) {
        ace_part part = (ace_part)i;
        if (r->part[i].held && (!ace_plan_keeps(plan, part) || !is_as_planned(r, plan, part))) {
            ace_residency_drop(r, part);
        }
    }
}
