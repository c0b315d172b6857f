#include "run/card.h"

#include "run/planning.h"

#include <string.h>
#include <strings.h>

static bool may_use_card(const ace_request *r)
{
    return strcasecmp(r->device, "cpu") != 0 && strcasecmp(r->device, "sim") != 0;
}

void ace_card_detect(const ace_request *r, const ace_error *problem, ace_hardware *hardware,
                     const ace_plugin **plugin)
{
    ace_hardware_wishes wishes = ace_hardware_wishes_of(r);
    ace_error missing = {.code = ACESTEP_OK};
    *plugin = NULL;
    if (problem == NULL && may_use_card(r) &&
        ace_plugin_load(r->plugin_dir, "cuda", plugin, &missing) == ACESTEP_OK) {
        wishes.cuda_plugin = true;
        wishes.cuda_capability = (*plugin)->min_capability;
    }
    wishes.plugin_problem = problem != NULL ? problem->message : missing.message;
    ace_hardware_detect(&wishes, hardware);
    *plugin = hardware->device == ACE_DEVICE_CUDA ? *plugin : NULL;
}

static bool may_flash(const ace_request *r)
{
    return (ace_switch)r->use_flash_attention != ACE_SWITCH_OFF;
}

ace_status ace_card_open(const ace_request *r, const ace_hardware *hardware,
                         const ace_plugin *plugin, ace_pool *pool, ace_device **out, ace_error *err)
{
    const ace_gpu *gpu = &hardware->gpu[hardware->chosen];
    bool is_whole = hardware->cap_bytes >= gpu->total_bytes;
    const ace_plugin_options options = {.card = gpu->index,
                                        .cap_bytes =
                                            is_whole ? SIZE_MAX : (size_t)hardware->cap_bytes,
                                        .free_bytes = (size_t)gpu->free_bytes,
                                        .pool = pool,
                                        .vendor_libraries = r->cublas,
                                        .flash_attention = may_flash(r)};
    return ace_plugin_open(plugin, &options, out, err);
}

int ace_card_numerics(const ace_request *r, const ace_hardware *hardware)
{
    const ace_gpu *gpu = &hardware->gpu[hardware->chosen];
    return 1 << 16 | (10 * gpu->capability_major + gpu->capability_minor) << 1 |
           (r->cublas ? 1 : 0) | (may_flash(r) ? 0 : 1 << 17);
}
