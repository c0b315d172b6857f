#include "device/sim.h"

#include "base/memory.h"

#include <math.h>

static const double GIB = 1024.0 * 1024.0 * 1024.0;
static const size_t TRAP_BYTES = 4096;

static void close_device(ace_device *device)
{
    ace_sim *sim = ace_sim_of(device);
    ace_sim_unmap(sim->trap, TRAP_BYTES);
    (void)pthread_mutex_destroy(&sim->lock);
    ace_free(sim->blocks);
    ace_free(sim);
}

static const ace_device_ops sim_ops = {
    .reserve = ace_sim_reserve,
    .release = ace_sim_release,
    .memory = ace_sim_memory,
    .upload = ace_sim_upload,
    .download = ace_sim_download,
    .matrix_bytes = ace_sim_matrix_bytes,
    .matrix_pack = ace_sim_matrix_pack,
    .matrix_image = ace_sim_matrix_image,
    .write = ace_sim_write,
    .linear = ace_sim_linear,
    .conv = ace_sim_conv,
    .conv_transpose = ace_sim_conv_transpose,
    .rms_norm = ace_sim_rms_norm,
    .head_norm = ace_sim_head_norm,
    .attention = ace_sim_attention,
    .silu = ace_sim_silu,
    .silu_mul = ace_sim_silu_mul,
    .add = ace_sim_add,
    .copy = ace_sim_copy,
    .fill = ace_sim_fill,
    .scatter = ace_sim_scatter,
    .mix = ace_sim_mix,
    .close = close_device,
};

static ace_status read_options(ace_sim *sim, const ace_sim_options *options, ace_error *err)
{
    if (!(options->used_gb >= 0 && options->used_gb <= 1e6)) {
        return ace_fail(err, ACESTEP_ARGUMENT, "sim: others cannot hold %g GB", options->used_gb);
    }
    sim->cap = options->cap_bytes;
    sim->used = (size_t)(options->used_gb * GIB);
    return ace_sim_hooks_read(&sim->hooks, options, err);
}

ace_status ace_sim_device_open(ace_device *inner, const ace_sim_options *options, ace_device **out,
                               ace_error *err)
{
    *out = NULL;
    ace_sim *sim = ace_calloc(1, sizeof *sim);
    if (sim == NULL) {
        return ace_fail(err, ACESTEP_MEMORY, "sim: no host memory for the device");
    }
    sim->base = (ace_device){.name = "sim",
                             .ops = &sim_ops,
                             .alignment = inner->alignment,
                             .workspace_bytes = inner->workspace_bytes,
                             .computes = inner->computes};
    sim->inner = inner;
    ace_status status = read_options(sim, options, err);
    if (status != ACESTEP_OK) {
        ace_free(sim);
        return status;
    }
    sim->trap = ace_sim_map(TRAP_BYTES);
    if (sim->trap == 0 || pthread_mutex_init(&sim->lock, NULL) != 0) {
        ace_sim_unmap(sim->trap, TRAP_BYTES);
        ace_free(sim);
        return ace_fail(err, ACESTEP_MEMORY, "sim: no host memory for the device");
    }
    *out = &sim->base;
    return ACESTEP_OK;
}

bool ace_is_sim_device(const ace_device *device)
{
    return device != NULL && device->ops == &sim_ops;
}

void ace_sim_device_set_used(ace_device *device, size_t bytes)
{
    ace_sim_of(device)->used = bytes;
}

size_t ace_sim_device_held(const ace_device *device)
{
    return ((const ace_sim *)device)->held;
}

size_t ace_sim_device_peak(const ace_device *device)
{
    return ((const ace_sim *)device)->peak;
}

void ace_sim_device_reset_peak(ace_device *device)
{
    ace_sim *sim = ace_sim_of(device);
    sim->peak = sim->held;
}

int ace_sim_device_copies(const ace_device *device, const ace_sim_copies **rows)
{
    const ace_sim *sim = (const ace_sim *)device;
    *rows = sim->copies;
    return sim->n_copies;
}
