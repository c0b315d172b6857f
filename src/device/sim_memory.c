/* Memory of the simulated card: the cap, and addresses that fault when a host touches them. */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS, MAP_NORESERVE */
#include "device/sim.h"

#include "base/checked.h"
#include "base/memory.h"

#include <sys/mman.h>
#include <unistd.h>

static const double GIB = 1024.0 * 1024.0 * 1024.0;

uint64_t ace_sim_map(size_t bytes)
{
    void *zone = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return zone == MAP_FAILED ? 0 : (uint64_t)(uintptr_t)zone;
}

void ace_sim_unmap(uint64_t addr, size_t bytes)
{
    if (addr != 0) {
        (void)munmap((void *)(uintptr_t)addr, bytes);
    }
}

/* ---- the table of blocks --------------------------------------------------------------------- */

/* The block that holds addr, or n_blocks. A job holds a handful of arenas: a walk is enough. */
static int find(const ace_sim *sim, uint64_t addr)
{
    int i = 0;
    while (i < sim->n_blocks && addr - sim->blocks[i].zone >= sim->blocks[i].mapped) {
        i++;
    }
    return i;
}

uint64_t ace_sim_inner(const ace_sim *sim, uint64_t addr)
{
    if (addr == 0 || !sim->inner->computes) {
        return addr;
    }
    int i = find(sim, addr);
    return i < sim->n_blocks ? sim->blocks[i].inner + (addr - sim->blocks[i].zone) : sim->trap;
}

static bool append(ace_sim *sim, const ace_sim_block *block)
{
    (void)pthread_mutex_lock(&sim->lock);
    bool fits = sim->n_blocks < sim->max_blocks;
    if (!fits) {
        int max = sim->max_blocks != 0 ? 2 * sim->max_blocks : 16;
        ace_sim_block *blocks = ace_realloc_array(sim->blocks, (size_t)max, sizeof *blocks);
        if (blocks != NULL) {
            sim->blocks = blocks;
            sim->max_blocks = max;
            fits = true;
        }
    }
    if (fits) {
        sim->blocks[sim->n_blocks++] = *block;
    }
    (void)pthread_mutex_unlock(&sim->lock);
    return fits;
}

static ace_sim_block take_out(ace_sim *sim, uint64_t addr)
{
    (void)pthread_mutex_lock(&sim->lock);
    int i = find(sim, addr);
    ace_sim_block block = sim->blocks[i];
    sim->blocks[i] = sim->blocks[--sim->n_blocks];
    (void)pthread_mutex_unlock(&sim->lock);
    return block;
}

/* ---- reservations ---------------------------------------------------------------------------- */

static bool exceeds_cap(const ace_sim *sim, size_t bytes)
{
    size_t sum;
    return ace_add_overflows(sim->held, sim->used, &sum) ||
           ace_add_overflows(sum, sim->base.workspace_bytes, &sum) ||
           ace_add_overflows(sum, bytes, &sum) || sum > sim->cap;
}

static ace_status refuse(const ace_sim *sim, size_t bytes, const char *why, ace_error *err)
{
    return ace_fail(err, ACESTEP_MEMORY,
                    "sim: %.3f GB (%zu bytes) asked, %s: %.3f GB held, %.3f GB of workspace and "
                    "%.3f GB of others against a cap of %.3f GB (%zu bytes)",
                    (double)bytes / GIB, bytes, why, (double)sim->held / GIB,
                    (double)sim->base.workspace_bytes / GIB, (double)sim->used / GIB,
                    (double)sim->cap / GIB, sim->cap);
}

/* The inner device's memory, and addresses of the card for it. */
static ace_status reserve_block(ace_sim *sim, size_t bytes, uint64_t *addr, ace_error *err)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    ace_sim_block block = {.bytes = bytes, .mapped = ace_align_up(bytes != 0 ? bytes : 1, page)};
    ace_status status = sim->inner->ops->reserve(sim->inner, bytes, &block.inner, err);
    if (status != ACESTEP_OK) {
        return status;
    }
    block.zone = ace_sim_map(block.mapped);
    if (block.zone == 0 || !append(sim, &block)) {
        ace_sim_unmap(block.zone, block.mapped);
        sim->inner->ops->release(sim->inner, block.inner, bytes);
        return ace_fail(err, ACESTEP_MEMORY, "sim: no host memory to describe a block of %zu bytes",
                        bytes);
    }
    *addr = block.zone;
    return ACESTEP_OK;
}

ace_status ace_sim_reserve(ace_device *device, size_t bytes, uint64_t *addr, ace_error *err)
{
    ace_sim *sim = ace_sim_of(device);
    if (ace_sim_hooks_fail(&sim->hooks, device->stage, &sim->used)) {
        return refuse(sim, bytes, "refused as told", err);
    }
    if (exceeds_cap(sim, bytes)) {
        return refuse(sim, bytes, "too much", err);
    }
    ace_status status = sim->inner->computes
                            ? reserve_block(sim, bytes, addr, err)
                            : sim->inner->ops->reserve(sim->inner, bytes, addr, err);
    if (status == ACESTEP_OK) {
        sim->held += bytes;
        sim->peak = sim->held > sim->peak ? sim->held : sim->peak;
    }
    return status;
}

void ace_sim_release(ace_device *device, uint64_t addr, size_t bytes)
{
    ace_sim *sim = ace_sim_of(device);
    sim->held -= bytes;
    if (!sim->inner->computes) {
        sim->inner->ops->release(sim->inner, addr, bytes);
        return;
    }
    ace_sim_block block = take_out(sim, addr);
    ace_sim_unmap(block.zone, block.mapped);
    sim->inner->ops->release(sim->inner, block.inner, block.bytes);
}

void ace_sim_memory(ace_device *device, ace_device_memory *out)
{
    const ace_sim *sim = ace_sim_of(device);
    size_t taken;
    bool full = ace_add_overflows(sim->held, sim->used, &taken) ||
                ace_add_overflows(taken, device->workspace_bytes, &taken) || taken > sim->cap;
    *out = (ace_device_memory){
        .total = sim->cap, .free = full ? 0 : sim->cap - taken, .held = sim->held};
}
