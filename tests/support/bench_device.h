/* A device, a big arena and a stream for tests of networks. */
#ifndef TESTS_SUPPORT_BENCH_DEVICE_H
#define TESTS_SUPPORT_BENCH_DEVICE_H

#include "model/config.h"
#include "weights/loader.h"

typedef struct test_bench {
    ace_device *device;
    ace_arena arena;
    ace_stream stream;
    ace_error error;
    ace_weights *weights;
    ace_loader loader;
} test_bench;

/* model: folder below tests/golden, e.g. "acestep-v15-turbo"; NULL: made-up weights. precision: F32,
 * BF16 or I8 of the matrices; activations are f32 for F32, else bf16. device is closed by
 * bench_close. */
void bench_open(test_bench *b, ace_device *device, const char *model, ace_dtype precision);
void bench_loaded(test_bench *b); /* fails the test when loading failed */
void bench_check(test_bench *b);  /* fails the test when the stream failed */
void bench_close(test_bench *b);

ace_device *bench_reference(void);
/* The devices every network is tested on: the reference device, and the CPU at each level. NULL past the
 * end. */
ace_device *bench_device(int index);

ace_dit_config bench_dit_config(const char *model);
ace_vae_config bench_vae_config(const char *model);
ace_qwen3_config bench_qwen3_config(const char *model);

#endif
