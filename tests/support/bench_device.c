#include "support/bench_device.h"

#include "base/file_map.h"
#include "cpu/cpu_device.h"
#include "cpu/reference_device.h"
#include "support/golden.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

ace_device *bench_reference(void)
{
    ace_device *d = NULL;
    assert_int_equal(ace_reference_device_open(&d, NULL), ACESTEP_OK);
    return d;
}

ace_device *bench_device(int index)
{
    ace_device *d = NULL;
    if (index == 0) {
        return bench_reference();
    }
    ace_cpu_level level = (ace_cpu_level)(index - 1);
    if (level > ACE_CPU_BEST || level > ace_cpu_detect()) {
        return NULL;
    }
    assert_int_equal(ace_cpu_device_open(2, level, &d, NULL), ACESTEP_OK);
    return d;
}

void bench_open(test_bench *b, ace_device *device, const char *model, ace_dtype precision)
{
    memset(b, 0, sizeof *b);
    assert_non_null(device);
    b->device = device;
    ace_status status = ace_arena_open(&b->arena, device, (size_t)256 << 20, &b->error);
    if (status == ACESTEP_OK) {
        status = model != NULL ? ace_weights_open(golden_path(model), &b->weights, &b->error)
                               : ace_weights_open_synthetic(&b->weights, &b->error);
    }
    if (status != ACESTEP_OK) {
        fail_msg("%s", b->error.message);
    }
    ace_stream_init(&b->stream, device, &b->arena, precision == ACE_F32 ? ACE_F32 : ACE_BF16,
                    &b->error);
    ace_loader_init(&b->loader, &b->stream, b->weights, precision);
}

void bench_loaded(test_bench *b)
{
    if (ace_loader_finish(&b->loader) != ACESTEP_OK) {
        fail_msg("%s", b->error.message);
    }
}

void bench_check(test_bench *b)
{
    if (b->stream.status != ACESTEP_OK) {
        fail_msg("%s", b->error.message);
    }
}

void bench_close(test_bench *b)
{
    ace_weights_close(b->weights);
    ace_arena_close(&b->arena);
    ace_device_close(b->device);
}

static ace_file open_config(const char *model)
{
    char below[256];
    ace_file file;
    (void)snprintf(below, sizeof below, "%s/config.json", model);
    assert_int_equal(ace_file_open(golden_path(below), &file, NULL), ACESTEP_OK);
    return file;
}

ace_dit_config bench_dit_config(const char *model)
{
    ace_dit_config c;
    ace_file f = open_config(model);
    assert_int_equal(ace_dit_config_parse((const char *)f.data, f.bytes, model, &c, NULL),
                     ACESTEP_OK);
    ace_file_close(&f);
    return c;
}

ace_vae_config bench_vae_config(const char *model)
{
    ace_vae_config c;
    ace_file f = open_config(model);
    assert_int_equal(ace_vae_config_parse((const char *)f.data, f.bytes, model, &c, NULL),
                     ACESTEP_OK);
    ace_file_close(&f);
    return c;
}

ace_qwen3_config bench_qwen3_config(const char *model)
{
    ace_qwen3_config c;
    ace_file f = open_config(model);
    assert_int_equal(ace_qwen3_config_parse((const char *)f.data, f.bytes, model, &c, NULL),
                     ACESTEP_OK);
    ace_file_close(&f);
    return c;
}
