#include "run/workshop.h"

#include "cpu/cpu_device.h"
#include "device/sim_device.h"
#include "run/card.h"
#include "run/planning.h"

#include <stdio.h>
#include <string.h>

/* gpu.md 4.2: library workspaces and growth that no plan sees. */
static const size_t MARGIN_BYTES = (size_t)1 << 28;

/* ---- precision ------------------------------------------------------------------------------- */

static ace_precision choose_precision(const ace_request *r, const ace_models *m)
{
    if (r->precision != ACE_PRECISION_AUTO) {
        return (ace_precision)r->precision;
    }
    return strcmp(m->set.card.precision, "f32") == 0 ? ACE_PRECISION_F32 : ACE_PRECISION_BF16;
}

static ace_precisions precisions_of(ace_precision precision)
{
    switch (precision) {
    case ACE_PRECISION_F32:
        return (ace_precisions){.activation = ACE_F32, .plain = ACE_F32};
    case ACE_PRECISION_INT8:
        return (ace_precisions){.activation = ACE_BF16, .plain = ACE_I8};
    case ACE_PRECISION_BF16:
    case ACE_PRECISION_AUTO:
        break;
    }
    return (ace_precisions){.activation = ACE_BF16, .plain = ACE_BF16};
}

/* ---- machine
 * -------------------------------------------------------------------------------------- */

static void detect(const ace_request *r, ace_workshop *w)
{
    ace_card_detect(r, NULL, &w->hardware, &w->plugin);
    if (w->hardware.warning[0] != '\0') {
        ace_warn(&w->warnings, "B.1", "max_cuda_vram", r->max_cuda_vram, "nothing", "%s",
                 w->hardware.warning);
    }
    if (w->hardware.wanted[0] != '\0') {
        ace_warn(&w->warnings, "W14", "device", w->hardware.wanted,
                 ace_device_kind_name(w->hardware.device), "%s",
                 w->hardware.n_diagnoses > 0 ? w->hardware.diagnosis[0] : "it is not there");
    }
}

/* A simulated card over another device: over what computes, or over what only counts. */
static ace_status open_sim(const ace_request *r, ace_workshop *w, ace_device *under, size_t cap,
                           ace_error *err)
{
    ace_sim_options options = {.cap_bytes = cap,
                               .fail_alloc = r->sim_fail_alloc,
                               .shrink = r->sim_shrink,
                               .used_gb = r->sim_used_gb};
    ace_status status = ace_sim_device_open(under, &options, &w->device, err);
    return status == ACESTEP_OK ? ace_measure_device_open(w->device, &w->measure, err) : status;
}

static size_t within_reach(ace_device *device)
{
    ace_device_memory memory;
    device->ops->memory(device, &memory);
    return memory.free + memory.held + device->workspace_bytes;
}

/* What can be told to a simulated card can be told to a real one through it: allocations fail, and
 * others take memory. */
static bool has_hooks(const ace_request *r)
{
    return r->sim_fail_alloc[0] != '\0' || r->sim_shrink[0] != '\0' || r->sim_used_gb > 0;
}

static ace_status open_card(const ace_request *r, ace_workshop *w, ace_error *err)
{
    if (!w->shape && has_hooks(r)) {
        return open_sim(r, w, w->card, within_reach(w->card), err);
    }
    ace_status status = ace_measure_device_open(w->card, &w->measure, err);
    w->device = w->shape ? w->measure : w->card;
    return status;
}

/* The card that was found cannot be used: what there would be without it. */
static void do_without_card(const ace_request *r, ace_workshop *w, const ace_error *problem)
{
    ace_card_detect(r, problem, &w->hardware, &w->plugin);
    ace_warn(&w->warnings, "W14", "device", "cuda", ace_device_kind_name(w->hardware.device), "%s",
             problem->message);
}

static ace_status open_device(const ace_request *r, ace_workshop *w, ace_error *err)
{
    ace_error problem = {.code = ACESTEP_OK};
    if (w->plugin != NULL && ace_card_open(r, &w->hardware, w->plugin, ace_cpu_device_pool(w->cpu),
                                           &w->card, &problem) == ACESTEP_OK) {
        return open_card(r, w, err);
    }
    if (w->plugin != NULL) {
        do_without_card(r, w, &problem);
    }
    ace_device *under = w->shape ? w->cpu_measure : w->cpu;
    if (w->hardware.device == ACE_DEVICE_SIM) {
        return open_sim(r, w, under, (size_t)w->hardware.cap_bytes, err);
    }
    w->device = under;
    w->measure = w->cpu_measure;
    return ACESTEP_OK;
}

/* What is kept from one job to the next, and on disk. */
static void open_keepers(const ace_request *r, ace_workshop *w)
{
    const ace_timbre_numerics numerics = {.plain = w->precisions.plain,
                                          .activation = w->precisions.activation,
                                          .device = w->card != NULL
                                                        ? ace_card_numerics(r, &w->hardware)
                                                        : ace_cpu_device_numerics(w->cpu)};
    ace_pack_cache_open(&w->cache, r, ace_cpu_device_pool(w->cpu));
    ace_silence_timbre_open(&w->silence, &w->models, &numerics, &w->cache);
    ace_residency *both[] = {&w->residency, &w->host_residency};
    for (int i = 0; i < 2; i++) {
        both[i]->cache = &w->cache;
        both[i]->pool = ace_cpu_device_pool(w->cpu);
    }
    w->residency.silence = &w->silence;
    if (w->card == NULL) { /* a simulated card computes as the CPU does */
        w->host_residency.silence = &w->silence;
    }
}

static ace_status open_host(const ace_request *r, ace_workshop *w, ace_error *err)
{
    ace_status status = ace_tier_table_load(r->gpu_tiers, &w->tiers, err);
    if (status == ACESTEP_OK) {
        status = ace_models_open(r, &w->models, err);
    }
    if (status == ACESTEP_OK) {
        status = ace_cpu_device_open((int)r->threads, (ace_cpu_level)r->cpu, &w->cpu, err);
    }
    if (status == ACESTEP_OK) {
        ace_cpu_device_set_int8_compute(w->cpu, r->int8_compute);
        status = ace_measure_device_open(w->cpu, &w->cpu_measure, err);
    }
    if (status == ACESTEP_OK) {
        w->precisions = precisions_of(choose_precision(r, &w->models));
        ace_residency_init(&w->host_residency, w->shape ? w->cpu_measure : w->cpu, w->cpu_measure,
                           &w->models, w->precisions);
    }
    return status;
}

ace_status ace_workshop_open_device(const ace_request *r, ace_workshop *w, ace_error *err)
{
    detect(r, w);
    ace_status status = open_device(r, w, err);
    if (status == ACESTEP_OK) {
        ace_residency_init(&w->residency, w->device, w->measure, &w->models, w->precisions);
        open_keepers(r, w);
    }
    return status;
}

ace_status ace_workshop_open(const ace_request *r, ace_workshop *w, ace_error *err)
{
    memset(w, 0, sizeof *w);
    w->shape = r->exec == 1;
    ace_status status = open_host(r, w, err);
    if (status == ACESTEP_OK) {
        status = ace_workshop_open_device(r, w, err);
    }
    if (status == ACESTEP_OK) {
        status = ace_ledger_open(&w->residency.ledger, r->trace_mem, err);
    }
    if (status != ACESTEP_OK) {
        ace_workshop_close(w);
    }
    return status;
}

void ace_workshop_close_device(ace_workshop *w)
{
    ace_residency_close(&w->residency);
    w->host_residency.silence = NULL;
    ace_silence_timbre_close(&w->silence);
    if (w->measure != w->cpu_measure) {
        ace_device_close(w->measure);
    }
    if (w->device != w->cpu && w->device != w->cpu_measure && w->device != w->measure &&
        w->device != w->card) {
        ace_device_close(w->device);
    }
    ace_device_close(w->card);
    w->measure = NULL;
    w->device = NULL;
    w->card = NULL;
    w->plugin = NULL;
    w->warnings.count = 0;
}

void ace_workshop_close(ace_workshop *w)
{
    ace_workshop_close_device(w);
    ace_residency_close(&w->host_residency);
    ace_device_close(w->cpu_measure);
    ace_device_close(w->cpu);
    ace_models_close(&w->models);
    memset(w, 0, sizeof *w);
}

size_t ace_workshop_budget(const ace_workshop *w)
{
    ace_device *counted = w->card != NULL ? w->card : w->cpu; /* by a device that only counts */
    ace_device *device =
        w->device == w->cpu_measure || w->device == w->measure ? counted : w->device;
    size_t all = within_reach(device);
    if (device != w->cpu && w->card == NULL &&
        !w->shape) { /* a simulated card that computes lies in host memory */
        size_t host = within_reach(w->cpu);
        all = all < host ? all : host;
    }
    return all > MARGIN_BYTES ? all - MARGIN_BYTES : 0;
}
