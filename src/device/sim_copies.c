/* Copies between host and simulated card, and the ledger of them. */
#include "device/sim.h"

#include <string.h>

/* ---- the ledger ------------------------------------------------------------------------------ */

static bool same_label(const char *a, const char *b)
{
    return strcmp(a != NULL ? a : "", b != NULL ? b : "") == 0;
}

/* The row of these labels. Where the ledger is full the last row takes everything new. */
static ace_sim_copies *row_of(ace_sim *sim, const char *stage, const char *tag)
{
    for (int i = 0; i < sim->n_copies; i++) {
        if (same_label(sim->copies[i].stage, stage) && same_label(sim->copies[i].tag, tag)) {
            return &sim->copies[i];
        }
    }
    if (sim->n_copies == ACE_SIM_MAX_COPIES - 1) {
        stage = "other";
        tag = "other";
    }
    if (sim->n_copies == ACE_SIM_MAX_COPIES) {
        return &sim->copies[ACE_SIM_MAX_COPIES - 1];
    }
    ace_sim_copies *row = &sim->copies[sim->n_copies++];
    *row = (ace_sim_copies){.stage = stage != NULL ? stage : "", .tag = tag != NULL ? tag : ""};
    return row;
}

static void record(ace_sim *sim, const char *tag, double to_device, double to_host)
{
    (void)pthread_mutex_lock(&sim->lock);
    ace_sim_copies *row = row_of(sim, sim->base.stage, tag);
    row->to_device += to_device;
    row->to_host += to_host;
    row->count++;
    (void)pthread_mutex_unlock(&sim->lock);
}

static double bytes_of(ace_tensor t)
{
    return (double)t.rows * (double)t.cols * (double)ace_dtype_bytes(t.dtype);
}

/* ---- copies ---------------------------------------------------------------------------------- */

ace_status ace_sim_upload(ace_device *device, ace_tensor to, const float *from, ace_error *err)
{
    ace_sim *sim = ace_sim_of(device);
    record(sim, device->tag, bytes_of(to), 0);
    to.addr = ace_sim_inner(sim, to.addr);
    return sim->inner->ops->upload(sim->inner, to, from, err);
}

ace_status ace_sim_download(ace_device *device, float *to, ace_tensor from, ace_error *err)
{
    ace_sim *sim = ace_sim_of(device);
    record(sim, device->tag, 0, bytes_of(from));
    from.addr = ace_sim_inner(sim, from.addr);
    return sim->inner->ops->download(sim->inner, to, from, err);
}

size_t ace_sim_matrix_bytes(const ace_device *device, const ace_matrix_shape *shape)
{
    const ace_device *inner = ((const ace_sim *)device)->inner;
    return inner->ops->matrix_bytes(inner, shape);
}

ace_status ace_sim_matrix_pack(ace_device *device, const ace_matrix *m,
                               const ace_matrix_part *parts, int n_parts, ace_error *err)
{
    ace_sim *sim = ace_sim_of(device);
    record(sim, device->tag, (double)m->bytes, 0);
    ace_matrix inner = *m;
    inner.addr = ace_sim_inner(sim, m->addr);
    return sim->inner->ops->matrix_pack(sim->inner, &inner, parts, n_parts, err);
}

ace_status ace_sim_matrix_image(ace_device *device, const ace_matrix_shape *shape,
                                const ace_matrix_part *parts, int n_parts, void *to, ace_error *err)
{
    ace_device *inner = ace_sim_of(device)->inner;
    return inner->ops->matrix_image(inner, shape, parts, n_parts, to, err);
}

/* The thread that writes is not the one that sets the tag: what is written are images of weights,
 * and they are booked as such. */
ace_status ace_sim_write(ace_device *device, uint64_t addr, const void *from, size_t bytes,
                         ace_error *err)
{
    ace_sim *sim = ace_sim_of(device);
    record(sim, "weights", (double)bytes, 0);
    (void)pthread_mutex_lock(&sim->lock);
    uint64_t inner = ace_sim_inner(sim, addr);
    (void)pthread_mutex_unlock(&sim->lock);
    return sim->inner->ops->write(sim->inner, inner, from, bytes, err);
}
