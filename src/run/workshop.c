#include "run/workshop.h"

#include "cpu/cpu_device.h"
#include "device/sim_device.h"
#include "run/planning.h"

#include <stdio.h>
#include <string.h>

/* gpu.md 4.2: library workspaces and growth that no plan sees. */
static const size_t MARGIN_BYTES = (size_t)1 << 28;

/* ---- precision ----------------------------------------------------------------------------------
 */

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
    ace_hardware_wishes wishes = ace_hardware_wishes_of(r);
    ace_hardware_detect(&wishes, &w->hardware);
    if (w->hardware.warning[0] != '\0') {
        ace_warn(&w->warnings, "B.1", "max_cuda_vram", r->max_cuda_vram, "nothing", "%s",
                 w->hardware.warning);
    }
    if (w->hardware.wanted[0] != '\0') {
        ace_warn(&w->warnings, "W14", "device", w->hardware.wanted,
                 w->hardware.device == ACE_DEVICE_SIM ? "sim" : "cpu", "%s",
                 w->hardware.n_diagnoses > 0 ? w->hardware.diagnosis[0] : "it is not there");
    }
}

/* The simulated card over what computes, or over what only counts. */
static ace_status open_device(const ace_request *r, ace_workshop *w, ace_error *err)
{
    ace_device *under = w->shape ? w->cpu_measure : w->cpu;
    if (w->hardware.device != ACE_DEVICE_SIM) {
        w->device = under;
        w->measure = w->cpu_measure;
        return ACESTEP_OK;
    }
    ace_sim_options options = {.cap_bytes = (size_t)w->hardware.cap_bytes,
                               .fail_alloc = r->sim_fail_alloc,
                               .shrink = r->sim_shrink,
                               .used_gb = r->sim_used_gb};
    ace_status status = ace_sim_device_open(under, &options, &w->device, err);
    return status == ACESTEP_OK ? ace_measure_device_open(w->device, &w->measure, err) : status;
}

/* What is kept from one job to the next, and on disk. */
static void open_keepers(const ace_request *r, ace_workshop *w)
{
    const ace_timbre_numerics numerics = {.plain = w->precisions.plain,
                                          .activation = w->precisions.activation,
                                          .device = ace_cpu_device_numerics(w->cpu)};
    ace_pack_cache_open(&w->cache, r, ace_cpu_device_pool(w->cpu));
    ace_silence_timbre_open(&w->silence, &w->models, &numerics, &w->cache);
    ace_residency *both[] = {&w->residency, &w->host_residency};
    for (int i = 0; i < 2; i++) {
        both[i]->cache = &w->cache;
        both[i]->silence = &w->silence; /* a simulated card computes as the CPU does */
    }
}

ace_status ace_workshop_open(const ace_request *r, ace_workshop *w, ace_error *err)
{
    memset(w, 0, sizeof *w);
    w->shape = r->exec == 1;
    detect(r, w);
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
        status = open_device(r, w, err);
    }
    if (status == ACESTEP_OK) {
        w->precisions = precisions_of(choose_precision(r, &w->models));
        ace_residency_init(&w->residency, w->device, w->measure, &w->models, w->precisions);
        ace_residency_init(&w->host_residency, w->shape ? w->cpu_measure : w->cpu, w->cpu_measure,
                           &w->models, w->precisions);
        open_keepers(r, w);
        status = ace_ledger_open(&w->residency.ledger, r->trace_mem, err);
    }
    if (status != ACESTEP_OK) {
        ace_workshop_close(w);
    }
    return status;
}

void ace_workshop_close(ace_workshop *w)
{
    ace_residency_close(&w->residency);
    ace_residency_close(&w->host_residency);
    ace_silence_timbre_close(&w->silence);
    if (w->measure != w->cpu_measure) {
        ace_device_close(w->measure);
    }
    if (w->device != w->cpu && w->device != w->cpu_measure) {
        ace_device_close(w->device);
    }
    ace_device_close(w->cpu_measure);
    ace_device_close(w->cpu);
    ace_models_close(&w->models);
    memset(w, 0, sizeof *w);
}

static size_t within_reach(ace_device *device)
{
    ace_device_memory memory;
    device->ops->memory(device, &memory);
    return memory.free + memory.held + device->workspace_bytes;
}

size_t ace_workshop_budget(const ace_workshop *w)
{
    ace_device *device = w->device == w->cpu_measure ? w->cpu : w->device;
    size_t all = within_reach(device);
    if (device != w->cpu && !w->shape) { /* a simulated card that computes lies in host memory */
        size_t host = within_reach(w->cpu);
        all = all < host ? all : host;
    }
    return all > MARGIN_BYTES ? all - MARGIN_BYTES : 0;
}
