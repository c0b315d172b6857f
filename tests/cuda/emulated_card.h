/* What the tests of the CUDA device in the emulator share. TEST_PLUGIN_DIR: where the plug-in is.
 */
#ifndef TESTS_CUDA_EMULATED_CARD_H
#define TESTS_CUDA_EMULATED_CARD_H

#include "device/plugin.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static inline const ace_plugin *emulated_plugin(void)
{
    const ace_plugin *plugin = NULL;
    ace_error err = {.code = ACESTEP_OK};
    if (ace_plugin_load(getenv("TEST_PLUGIN_DIR"), "cuda", &plugin, &err) != ACESTEP_OK) {
        fail_msg("%s", err.message);
    }
    assert_non_null(strstr(plugin->about, "emulator"));
    return plugin;
}

static inline ace_device *open_card(size_t cap, size_t free_bytes)
{
    const ace_plugin_options options = {.cap_bytes = cap,
                                        .free_bytes = free_bytes,
                                        .vendor_libraries = true,
                                        .flash_attention = true};
    ace_device *d = NULL;
    ace_error err = {.code = ACESTEP_OK};
    if (ace_plugin_open(emulated_plugin(), &options, &d, &err) != ACESTEP_OK) {
        fail_msg("%s", err.message);
    }
    assert_false(d->addressable);
    return d;
}

static inline uint64_t reserve_there(ace_device *d, size_t bytes)
{
    uint64_t addr = 0;
    ace_error err = {.code = ACESTEP_OK};
    if (d->ops->reserve(d, bytes, &addr, &err) != ACESTEP_OK) {
        fail_msg("%s", err.message);
    }
    assert_true(addr != 0 && addr % d->alignment == 0);
    return addr;
}

static inline float value_at(int64_t i)
{
    return (float)(i % 251) - 125.0f; /* exact in bf16 */
}

#endif
