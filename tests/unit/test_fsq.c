#include "model/fsq.h"
#include "support/bench_device.h"
#include "support/golden.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Recorded latents of one item, padded to whole groups with the start of the silence. */
static float *padded(const golden *g, int64_t item, int64_t groups, int64_t window,
                     int64_t channels)
{
    const ace_weight *shape = golden_tensor(g, "in.latents");
    int64_t frames = shape->dim[1];
    float *latents = golden_f32(g, "in.latents");
    float *silence = golden_f32(g, "in.silence_latent");
    float *out = malloc((size_t)(groups * window * channels) * sizeof *out);
    assert_non_null(out);
    memcpy(out, latents + item * frames * channels, (size_t)(frames * channels) * sizeof *out);
    memcpy(out + frames * channels, silence,
           (size_t)((groups * window - frames) * channels) * sizeof *out);
    free(latents);
    free(silence);
    return out;
}

static void check_encode(ace_device *device, const char *name, const char *model)
{
    ace_dit_config config = bench_dit_config(model);
    golden g = golden_open(name);
    const ace_weight *indices = golden_tensor(&g, "out.indices");
    int64_t batch = indices->dim[0];
    int64_t groups = indices->dim[1];
    int64_t hidden = config.encoder.hidden;
    test_bench b;
    ace_fsq_tokenizer *m = malloc(sizeof *m);
    float *pooled = malloc((size_t)(batch * groups * hidden) * sizeof *pooled);
    float *before = malloc((size_t)(batch * groups * config.n_fsq_levels) * sizeof *before);
    float *after = malloc((size_t)(batch * groups * hidden) * sizeof *after);
    int32_t *codes = malloc((size_t)(batch * groups) * sizeof *codes);
    int64_t *wide = malloc((size_t)(batch * groups) * sizeof *wide);
    bench_open(&b, device, model, ACE_F32);
    ace_fsq_tokenizer_load(&b.loader, &config, m);
    bench_loaded(&b);
    for (int64_t i = 0; i < batch; i++) {
        float *latents = padded(&g, i, groups, config.pool_window, config.latent_channels);
        ace_fsq_encoding out = {pooled + i * groups * hidden,
                                before + i * groups * config.n_fsq_levels, codes + i * groups,
                                after + i * groups * hidden};
        ace_fsq_encode(&b.stream, m, latents, groups, &out);
        free(latents);
    }
    bench_check(&b);
    for (int64_t i = 0; i < batch * groups; i++) {
        wide[i] = codes[i];
    }
    assert_true(golden_matches(&g, "out.pooled", pooled));
    assert_true(golden_matches(&g, "out.pre_quant", before));
    assert_true(golden_matches_i64(&g, "out.indices", wide));
    assert_true(golden_matches(&g, "out.quantized", after));
    free(m);
    free(pooled);
    free(before);
    free(after);
    free(codes);
    free(wide);
    bench_close(&b);
    golden_close(&g);
}

static void codes_match(void **state)
{
    (void)state;
    ace_device *device = NULL;
    for (int i = 0; (device = bench_device(i)) != NULL; i++) {
        ace_device_close(device);
        check_encode(bench_device(i), "fsq_tokenize_turbo_t25", "acestep-v15-turbo");
        check_encode(bench_device(i), "fsq_tokenize_turbo_t43_b2", "acestep-v15-turbo");
        check_encode(bench_device(i), "fsq_tokenize_base_t25", "acestep-v15-base");
        check_encode(bench_device(i), "fsq_tokenize_base_t43_b2", "acestep-v15-base");
    }
}

static void check_decode(ace_device *device, const char *name, const char *model)
{
    ace_dit_config config = bench_dit_config(model);
    golden g = golden_open(name);
    int64_t groups = golden_elements(golden_tensor(&g, "in.indices"));
    int64_t *wide = golden_i64(&g, "in.indices");
    int32_t *codes = malloc((size_t)groups * sizeof *codes);
    float *values = malloc((size_t)(groups * config.n_fsq_levels) * sizeof *values);
    float *quantised = malloc((size_t)(groups * config.encoder.hidden) * sizeof *quantised);
    float *latents =
        malloc((size_t)(groups * config.pool_window * config.latent_channels) * sizeof *latents);
    ace_fsq_detokenizer *m = malloc(sizeof *m);
    test_bench b;
    for (int64_t i = 0; i < groups; i++) {
        codes[i] = (int32_t)wide[i];
        ace_fsq_values(&config, codes[i], values + i * config.n_fsq_levels);
    }
    bench_open(&b, device, model, ACE_F32);
    ace_fsq_detokenizer_load(&b.loader, &config, m);
    bench_loaded(&b);
    ace_fsq_decode(&b.stream, m, codes, groups, quantised, latents);
    bench_check(&b);
    assert_true(golden_matches(&g, "out.codes", values));
    assert_true(golden_matches(&g, "out.quantized", quantised));
    assert_true(golden_matches(&g, "out.latents_25hz", latents));
    free(wide);
    free(codes);
    free(values);
    free(quantised);
    free(latents);
    free(m);
    bench_close(&b);
    golden_close(&g);
}

static void latents_match(void **state)
{
    (void)state;
    ace_device *device = NULL;
    for (int i = 0; (device = bench_device(i)) != NULL; i++) {
        ace_device_close(device);
        check_decode(bench_device(i), "fsq_detokenize_turbo", "acestep-v15-turbo");
        check_decode(bench_device(i), "fsq_detokenize_base", "acestep-v15-base");
    }
}

/* Published levels: digits of two codes known from the original's documentation. */
static void published_codes_have_known_digits(void **state)
{
    (void)state;
    ace_dit_config c;
    float v[ACE_MAX_FSQ_LEVELS];
    static const double first[] = {1.0 / 7, 5.0 / 7, 1.0 / 7, 1, -0.5, 0.5};
    static const double second[] = {-3.0 / 7, 1, 1, -1, 0, -0.5};
    assert_int_equal(ace_dit_config_published("turbo", &c, NULL), ACESTEP_OK);
    ace_fsq_values(&c, 43316, v);
    for (int i = 0; i < 6; i++) {
        assert_true((double)v[i] - first[i] < 1e-6 && first[i] - (double)v[i] < 1e-6);
    }
    ace_fsq_values(&c, 18426, v);
    for (int i = 0; i < 6; i++) {
        assert_true((double)v[i] - second[i] < 1e-6 && second[i] - (double)v[i] < 1e-6);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codes_match),
        cmocka_unit_test(latents_match),
        cmocka_unit_test(published_codes_have_known_digits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
