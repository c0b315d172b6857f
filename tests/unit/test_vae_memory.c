/* The autoencoder's memory: a measured plan holds to the byte, and every shortage is an error. */
#include "base/memory.h"
#include "model/vae_tiling.h"
#include "support/bench_device.h"
#include "support/golden.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct job {
    ace_vae_config config;
    const ace_weights *weights; /* NULL: only for measuring */
    ace_dtype precision;        /* of matrices and activations */
    bool encode;
    int64_t frames; /* the encoder hears half a frame more */
    ace_vae_tiling tiling;
} job;

typedef struct outcome {
    ace_status status;
    size_t high_water;
    size_t weights; /* bytes that stay after loading */
} outcome;

static outcome run(ace_device *device, size_t capacity, const job *j, uint64_t fail_at)
{
    ace_error error = {0};
    ace_arena arena;
    ace_stream s;
    ace_loader l;
    ace_vae_decoder decoder;
    ace_vae_encoder encoder;
    const ace_vae_config *c = &j->config;
    int64_t samples = j->frames * c->hop + (j->encode ? c->hop / 2 : 0);
    float *wave = calloc((size_t)(samples * c->audio_channels), sizeof *wave);
    float *latents = calloc((size_t)(j->frames * 2 * c->latent_channels), sizeof *latents);
    assert_true(wave != NULL && latents != NULL);
    assert_int_equal(ace_arena_open(&arena, device, capacity, &error), ACESTEP_OK);
    ace_stream_init(&s, device, &arena, j->precision, &error);
    ace_memory_fail_at(fail_at);
    ace_loader_init(&l, &s, j->weights, j->precision);
    if (j->encode) {
        ace_vae_encoder_load(&l, c, &encoder);
    } else {
        ace_vae_decoder_load(&l, c, &decoder);
    }
    (void)ace_loader_finish(&l);
    size_t weights = arena.used;
    if (j->encode) {
        ace_vae_encode_tiled(&s, &encoder, wave, samples, &j->tiling, latents);
    } else {
        ace_vae_decode_tiled(&s, &decoder, latents, j->frames, &j->tiling, wave);
    }
    ace_memory_fail_at(0);
    outcome out = {ace_stream_status(&s), arena.high_water, weights};
    assert_true(arena.used == weights || out.status != ACESTEP_OK);
    assert_int_equal(error.code, out.status);
    ace_arena_close(&arena);
    free(wave);
    free(latents);
    return out;
}

static outcome measured(const ace_device *target, const job *j)
{
    ace_device *measure = NULL;
    assert_int_equal(ace_measure_device_open(target, &measure, NULL), ACESTEP_OK);
    outcome out = run(measure, SIZE_MAX / 2, j, 0);
    assert_int_equal(out.status, ACESTEP_OK);
    ace_device_close(measure);
    return out;
}

static ace_weights *golden_weights(void)
{
    ace_weights *w = NULL;
    assert_int_equal(ace_weights_open(golden_path("vae"), &w, NULL), ACESTEP_OK);
    return w;
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void plan_holds_to_the_byte(void **state)
{
    (void)state;
    static const struct {
        int64_t frames;
        ace_vae_tiling tiling;
    } sizes[] = {{1, {0, 0}}, {5, {0, 0}}, {7, {2, 1}}, {23, {3, 9}}};
    ace_weights *weights = golden_weights();
    ace_device *device = bench_device(1);
    for (int k = 0; k < 16; k++) {
        job j = {.config = bench_vae_config("vae"),
                 .precision = k & 1 ? ACE_BF16 : ACE_F32,
                 .encode = (k & 2) != 0,
                 .frames = sizes[k / 4].frames,
                 .tiling = sizes[k / 4].tiling};
        outcome plan = measured(device, &j);
        j.weights = weights;
        outcome real = run(device, plan.high_water, &j, 0);
        assert_int_equal(real.status, ACESTEP_OK);
        assert_int_equal(real.high_water, plan.high_water);
        assert_int_equal(real.weights, plan.weights);
        outcome tight = run(device, plan.high_water - 1, &j, 0);
        assert_int_equal(tight.status, ACESTEP_MEMORY);
    }
    ace_weights_close(weights);
    ace_device_close(device);
}

static void every_smaller_arena_is_refused(void **state)
{
    (void)state;
    ace_weights *weights = golden_weights();
    ace_device *device = bench_device(1);
    for (int encode = 0; encode < 2; encode++) {
        job j = {.config = bench_vae_config("vae"),
                 .weights = weights,
                 .precision = ACE_F32,
                 .encode = encode != 0,
                 .frames = 1};
        size_t needed = measured(device, &j).high_water;
        for (size_t capacity = 64; capacity < needed; capacity += needed / 60 + 1) {
            assert_int_equal(run(device, capacity, &j, 0).status, ACESTEP_MEMORY);
        }
    }
    ace_weights_close(weights);
    ace_device_close(device);
}

/* Fails the n-th host allocation for every n until one run gets through. */
static void every_host_failure_is_reported(void **state)
{
    (void)state;
    ace_weights *weights = golden_weights();
    ace_device *device = bench_device(1);
    for (int encode = 0; encode < 2; encode++) {
        job j = {.config = bench_vae_config("vae"),
                 .weights = weights,
                 .precision = ACE_F32,
                 .encode = encode != 0,
                 .frames = 1};
        size_t capacity = measured(device, &j).high_water;
        uint64_t before = ace_memory_live();
        ace_status status = ACESTEP_MEMORY;
        uint64_t n = 1;
        for (; status == ACESTEP_MEMORY; n++) {
            status = run(device, capacity, &j, n).status;
            assert_int_equal(ace_memory_live(), before);
        }
        assert_int_equal(status, ACESTEP_OK);
        assert_true(n > 40); /* one scale per normalised convolution at least */
    }
    ace_weights_close(weights);
    ace_device_close(device);
}

/* The published shapes hold 1920 · 128 numbers per frame at their widest; two such buffers, the
 * stereo wave in f32 and the latents (decoder) or moments (encoder) in f32. */
static void published_shapes_take_two_wide_buffers(void **state)
{
    (void)state;
    const size_t wide = 1920 * 128;
    const size_t wave = 1920 * 2 * sizeof(float);
    ace_device *device = bench_device(1);
    for (int k = 0; k < 4; k++) {
        job j = {.precision = k & 1 ? ACE_BF16 : ACE_F32, .encode = (k & 2) != 0};
        ace_vae_config_published(&j.config);
        size_t high_water[2];
        for (int i = 0; i < 2; i++) {
            j.frames = i == 0 ? 128 : 384;
            outcome o = measured(device, &j);
            high_water[i] = o.high_water - o.weights;
        }
        size_t per_frame = (high_water[1] - high_water[0]) / 256;
        size_t latents = (j.encode ? 128 : 64) * sizeof(float);
        print_message("%s, %s: %zu bytes per latent frame\n", j.encode ? "encoder" : "decoder",
                      ace_dtype_name(j.precision), per_frame);
        assert_int_equal(per_frame, 2 * wide * ace_dtype_bytes(j.precision) + wave + latents);
    }
    ace_device_close(device);
}

/* A tile's memory is bounded by its size, whatever the length of the song. */
static void tiles_bound_the_memory(void **state)
{
    (void)state;
    ace_device *device = bench_device(1);
    job j = {.precision = ACE_BF16, .tiling = {64, 9}};
    ace_vae_config_published(&j.config);
    j.frames = 64 + 2 * 9;
    size_t one = measured(device, &j).high_water;
    j.frames = 1000;
    assert_int_equal(measured(device, &j).high_water, one);
    ace_device_close(device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plan_holds_to_the_byte),
        cmocka_unit_test(every_smaller_arena_is_refused),
        cmocka_unit_test(every_host_failure_is_reported),
        cmocka_unit_test(published_shapes_take_two_wide_buffers),
        cmocka_unit_test(tiles_bound_the_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
