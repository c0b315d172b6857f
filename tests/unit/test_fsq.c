#include "model/fsq.h"
#include "support/bench_device.h"
#include "support/golden.h"

#include <math.h>
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

/* Latents of `n` codes, or the pooled states of n groups of frames, at some precision. */
static float *detokenize(ace_device *device, ace_dtype precision, const int32_t *codes, int64_t n)
{
    ace_dit_config config = bench_dit_config("acestep-v15-turbo");
    int64_t size = n * config.pool_window * config.latent_channels;
    ace_fsq_detokenizer *m = malloc(sizeof *m);
    float *latents = malloc((size_t)size * sizeof *latents);
    test_bench b;
    assert_true(m != NULL && latents != NULL);
    bench_open(&b, device, "acestep-v15-turbo", precision);
    ace_fsq_detokenizer_load(&b.loader, &config, m);
    bench_loaded(&b);
    ace_fsq_decode(&b.stream, m, codes, n, NULL, latents);
    bench_check(&b);
    bench_close(&b);
    free(m);
    return latents;
}

static float *pool(ace_device *device, ace_dtype precision, const float *latents, int64_t n,
                   int32_t *codes)
{
    ace_dit_config config = bench_dit_config("acestep-v15-turbo");
    ace_fsq_tokenizer *m = malloc(sizeof *m);
    float *pooled = malloc((size_t)(n * config.encoder.hidden) * sizeof *pooled);
    test_bench b;
    assert_true(m != NULL && pooled != NULL);
    bench_open(&b, device, "acestep-v15-turbo", precision);
    ace_fsq_tokenizer_load(&b.loader, &config, m);
    bench_loaded(&b);
    ace_fsq_encoding out = {.pooled = pooled, .codes = codes};
    ace_fsq_encode(&b.stream, m, latents, n, &out);
    bench_check(&b);
    bench_close(&b);
    free(m);
    return pooled;
}

/* More groups than one run takes: the recorded ones again and again, in both directions. */
static void long_songs_are_worked_through_in_runs(void **state)
{
    (void)state;
    enum { GROUPS = 2 * ACE_FSQ_GROUPS + 31 };
    ace_dit_config config = bench_dit_config("acestep-v15-turbo");
    golden g = golden_open("fsq_tokenize_turbo_t25");
    int64_t period = golden_elements(golden_tensor(&g, "out.indices"));
    int64_t frames = config.pool_window * config.latent_channels; /* numbers of one group */
    int64_t *recorded = golden_i64(&g, "out.indices");
    float *once = golden_f32(&g, "in.latents");
    float *latents = malloc((size_t)(GROUPS * frames) * sizeof *latents);
    int32_t codes[GROUPS] = {0};
    assert_non_null(latents);
    for (int64_t i = 0; i < GROUPS; i++) {
        memcpy(latents + i * frames, once + i % period * frames, (size_t)frames * sizeof *once);
    }
    free(pool(bench_device(1), ACE_F32, latents, GROUPS, codes));
    float *decoded = detokenize(bench_device(1), ACE_F32, codes, GROUPS);
    for (int64_t i = 0; i < GROUPS; i++) {
        assert_int_equal(codes[i], recorded[i % period]);
        for (int64_t k = 0; k < frames; k++) {
            double first = (double)decoded[i % period * frames + k];
            assert_true(fabs((double)decoded[i * frames + k] - first) < 1e-5);
        }
    }
    free(recorded);
    free(once);
    free(latents);
    free(decoded);
    golden_close(&g);
}

static void low_precision_stays_close(void **state)
{
    (void)state;
    static const struct {
        ace_dtype matrices;
        double cosine, relative;
    } bounds[] = {{ACE_BF16, 0.9999, 0.015}, {ACE_I8, 0.999, 0.05}};
    golden t = golden_open("fsq_tokenize_turbo_t25");
    golden d = golden_open("fsq_detokenize_turbo");
    float *latents = golden_f32(&t, "in.latents");
    int64_t groups = golden_elements(golden_tensor(&t, "out.indices"));
    int64_t n = golden_elements(golden_tensor(&d, "in.indices"));
    int64_t *wide = golden_i64(&d, "in.indices");
    int32_t codes[16] = {0};
    assert_true(n <= 16);
    for (int64_t i = 0; i < n; i++) {
        codes[i] = (int32_t)wide[i];
    }
    ace_device *device = NULL;
    for (int k = 0; (device = bench_device(k / 2)) != NULL; k++) {
        double cosine[2];
        double relative[2];
        ace_dtype precision = bounds[k % 2].matrices;
        float *pooled = pool(device, precision, latents, groups, NULL);
        float *decoded = detokenize(bench_device(k / 2), precision, codes, n);
        golden_distance(&t, "out.pooled", pooled, &cosine[0], &relative[0]);
        golden_distance(&d, "out.latents_25hz", decoded, &cosine[1], &relative[1]);
        for (int i = 0; i < 2; i++) {
            assert_true(cosine[i] > bounds[k % 2].cosine);
            assert_true(relative[i] < bounds[k % 2].relative);
        }
        free(pooled);
        free(decoded);
    }
    free(latents);
    free(wide);
    golden_close(&t);
    golden_close(&d);
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
        cmocka_unit_test(long_songs_are_worked_through_in_runs),
        cmocka_unit_test(low_precision_stays_close),
        cmocka_unit_test(published_codes_have_known_digits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
