/* A plug-in of the smallest kind, for the loader's test, built several times (cmake/tests.cmake):
 * FAKE_RIGHT, or with one thing wrong. */
#include "device/plugin.h"

static const char *const about = "nothing, for a test";

static ace_status open_device(const ace_plugin_options *options,
                              const ace_plugin_services *services, ace_device **out, ace_error *err)
{
#if defined(FAKE_FAILS)
    (void)services, (void)out, (void)err;
    return options->card == 0 ? ACESTEP_FAILED : ACESTEP_MEMORY; /* without a word */
#else
    (void)err;
    ace_device *device = services->allocate(1, sizeof *device);
    device->name = options->card == 3 ? "fake card 3" : "fake";
    *out = device;
    return ACESTEP_OK;
#endif
}

const ace_plugin *fake_entry(void);

const ace_plugin *fake_entry(void)
{
    static const ace_plugin plugin = {
#if defined(FAKE_OLD)
        .abi = ACE_PLUGIN_ABI - 1,
#else
        .abi = ACE_PLUGIN_ABI,
#endif
        .sizes = ACE_PLUGIN_SIZE_LIST,
#if defined(FAKE_OTHER)
        .name = "other",
#else
        .name = "fake",
#endif
        .about = about,
        .min_capability = 75,
        .open = open_device
    };
#if defined(FAKE_SIZES)
    static ace_plugin changed;
    changed = plugin;
    changed.sizes[3] += (uint32_t)sizeof(void *);
    return &changed;
#else
    return &plugin;
#endif
}

#if !defined(FAKE_NAMELESS)
const ace_plugin *acestep_device_plugin(void);

const ace_plugin *acestep_device_plugin(void)
{
    return fake_entry();
}
#endif
