/* The autoencoder against recorded values of the original, whole and in tiles, in f32 and bf16. */
#include "model/vae_posterior.h"
#include "model/vae_tiling.h"
#include "support/bench_device.h"
#include "support/golden.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const ace_vae_tiling whole = {0, 0};

static float *new_floats(int64_t n)
{
    float *out = calloc((size_t)n, sizeof *out);
    assert_non_null(out);
    return out;
}

/* [channels, n] ⇄ [n, channels]: recorded tensors are channels-first. */
static float *transposed(const float *in, int64_t rows, int64_t cols)
{
    float *out = new_floats(rows * cols);
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t c = 0; c < cols; c++) {
            out[c * rows + r] = in[r * cols + c];
        }
    }
    return out;
}

static double largest_difference(const float *a, const float *b, int64_t n)
{
    double worst = 0;
    for (int64_t i = 0; i < n; i++) {
        double d = fabs((double)a[i] - (double)b[i]);
        worst = d > worst || isnan(d) ? d : worst;
    }
    return worst;
}

/* latents [channels, frames] → wave [audio channels, samples], as recorded. */
static float *decode(test_bench *b, const ace_vae_decoder *d, const float *latents, int64_t frames,
                     const ace_vae_tiling *tiling)
{
    float *x = transposed(latents, d->latent_channels, frames);
    float *y = new_floats(frames * d->hop * d->audio_channels);
    ace_vae_decode_tiled(&b->stream, d, x, frames, tiling, y);
    bench_check(b);
    float *out = transposed(y, frames * d->hop, d->audio_channels);
    free(x);
    free(y);
    return out;
}

static void open_decoder(test_bench *b, ace_device *device, ace_dtype precision, ace_vae_decoder *d)
{
    ace_vae_config c = bench_vae_config("vae");
    bench_open(b, device, "vae", precision);
    ace_vae_decoder_load(&b->loader, &c, d);
    bench_loaded(b);
}

static void open_encoder(test_bench *b, ace_device *device, ace_dtype precision, ace_vae_encoder *e)
{
    ace_vae_config c = bench_vae_config("vae");
    bench_open(b, device, "vae", precision);
    ace_vae_encoder_load(&b->loader, &c, e);
    bench_loaded(b);
}

/* ---- decoder --------------------------------------------------------------------------------- */

typedef struct watcher {
    const golden *g;
    int seen;
    bool matches;
} watcher;

static void watch(void *context, ace_stream *s, const char *name, ace_tensor t)
{
    watcher *w = context;
    char full[96];
    (void)snprintf(full, sizeof full, "out.mid.%s", name);
    if (ace_weights_find(w->g->weights, full) == NULL) {
        return;
    }
    float *values = new_floats(t.rows * t.cols);
    ace_download(s, values, t);
    float *channels_first = transposed(values, t.rows, t.cols);
    w->matches = golden_matches(w->g, full, channels_first) && w->matches;
    w->seen++;
    free(values);
    free(channels_first);
}

/* All items of a recorded batch, one after another. */
static float *decode_case(test_bench *b, const ace_vae_decoder *d, const golden *g,
                          const ace_vae_tiling *tiling)
{
    const ace_weight *shape = golden_tensor(g, "in.latents");
    int64_t frames = shape->dim[2];
    int64_t per_item = frames * d->hop * d->audio_channels;
    float *latents = golden_f32(g, "in.latents");
    float *out = new_floats(shape->dim[0] * per_item);
    for (int64_t i = 0; i < shape->dim[0]; i++) {
        float *wave = decode(b, d, latents + i * frames * d->latent_channels, frames, tiling);
        memcpy(out + i * per_item, wave, (size_t)per_item * sizeof *out);
        free(wave);
    }
    free(latents);
    return out;
}

static void decoder_matches(void **state)
{
    (void)state;
    static const char *const cases[] = {"vae_decode_12", "vae_decode_batch2", "vae_decode_40"};
    for (int i = 0;; i++) {
        ace_device *device = bench_device(i);
        if (device == NULL) {
            break;
        }
        test_bench b;
        ace_vae_decoder d;
        open_decoder(&b, device, ACE_F32, &d);
        /* The reference device is slow on purpose: the short cases suffice for it. */
        for (int k = 0; k < (i == 0 ? 2 : 3); k++) {
            golden g = golden_open(cases[k]);
            watcher w = {&g, 0, true};
            d.observer = (ace_observer){watch, &w};
            float *wave = decode_case(&b, &d, &g, &whole);
            assert_true(golden_matches(&g, "out.waveform", wave));
            assert_true(w.matches);
            assert_int_equal(w.seen, k == 0 ? 3 : 0);
            free(wave);
            golden_close(&g);
        }
        bench_close(&b);
    }
}

static void decoder_tiles_match_the_whole(void **state)
{
    (void)state;
    static const ace_vae_tiling tilings[] = {{8, 12}, {16, 9}, {1, 9}, {19, 10}};
    test_bench b;
    ace_vae_decoder d;
    open_decoder(&b, bench_device(1), ACE_F32, &d);
    golden g = golden_open("vae_decode_40");
    float *want = decode_case(&b, &d, &g, &whole);
    for (size_t i = 0; i < sizeof tilings / sizeof *tilings; i++) {
        float *got = decode_case(&b, &d, &g, &tilings[i]);
        assert_true(golden_matches(&g, "out.waveform", got));
        assert_true(largest_difference(got, want, 40 * d.hop * 2) < 1e-5);
        free(got);
    }
    free(want);
    golden_close(&g);
    bench_close(&b);
}

/* The original's scheme with a halo that is too small: the deviation itself is recorded. */
static void small_halo_deviates_as_recorded(void **state)
{
    (void)state;
    static const ace_vae_tiling tiling = {8, 4};
    test_bench b;
    ace_vae_decoder d;
    open_decoder(&b, bench_device(1), ACE_F32, &d);
    golden g = golden_open("vae_decode_40_tiled_16_4");
    float *got = decode_case(&b, &d, &g, &tiling);
    float *want = decode_case(&b, &d, &g, &whole);
    int64_t n = 40 * d.hop;
    float *head = new_floats(2 * 4 * d.hop);
    float *seam = new_floats(2 * 4 * d.hop);
    float deviation[40] = {0};
    for (int64_t c = 0; c < 2; c++) {
        memcpy(head + c * 4 * d.hop, got + c * n, (size_t)(4 * d.hop) * sizeof *head);
        memcpy(seam + c * 4 * d.hop, got + c * n + 14 * d.hop, (size_t)(4 * d.hop) * sizeof *seam);
        for (int64_t i = 0; i < n; i++) {
            float *frame = &deviation[i / d.hop];
            *frame = fmaxf(*frame, fabsf(got[c * n + i] - want[c * n + i]));
        }
    }
    assert_true(golden_matches(&g, "out.tiled_first_4_frames", head));
    assert_true(golden_matches(&g, "out.tiled_frames_14_18", seam));
    assert_true(golden_matches(&g, "out.abs_diff_to_untiled_per_frame", deviation));
    free(head);
    free(seam);
    free(got);
    free(want);
    golden_close(&g);
    bench_close(&b);
}

/* The tiny random network amplifies: bf16 weights alone, with f32 activations, are 3.7 % off. */
static void decoder_bf16_stays_close(void **state)
{
    (void)state;
    golden g = golden_open("vae_decode_12");
    for (int i = 0;; i++) {
        ace_device *device = bench_device(i);
        if (device == NULL) {
            break;
        }
        test_bench b;
        ace_vae_decoder d;
        double cosine = 0;
        double rms = 0;
        open_decoder(&b, device, ACE_BF16, &d);
        float *wave = decode_case(&b, &d, &g, &whole);
        golden_distance(&g, "out.waveform", wave, &cosine, &rms);
        print_message("decoder, bf16, %s: cosine %.6f, relative RMS error %.4f\n", b.device->name,
                      cosine, rms);
        assert_true(cosine > 0.997);
        assert_true(rms < 0.08);
        free(wave);
        bench_close(&b);
    }
    golden_close(&g);
}

/* ---- encoder --------------------------------------------------------------------------------- */

/* One item: wave [audio channels, samples] → moments [frames, 2·latent channels]. */
static float *encode(test_bench *b, const ace_vae_encoder *e, const float *wave, int64_t samples,
                     const ace_vae_tiling *tiling)
{
    float *x = transposed(wave, e->audio_channels, samples);
    float *moments = new_floats(samples / e->hop * 2 * e->latent_channels);
    ace_vae_encode_tiled(&b->stream, e, x, samples, tiling, moments);
    bench_check(b);
    free(x);
    return moments;
}

/* A recorded batch: mean, scale_raw and sample, each [batch, channels, frames]. */
typedef struct encoded {
    float *mean, *scale_raw, *sample;
} encoded;

static encoded encode_case(test_bench *b, const ace_vae_encoder *e, const golden *g,
                           const ace_vae_tiling *tiling)
{
    const ace_weight *shape = golden_tensor(g, "in.waveform");
    int64_t samples = shape->dim[2];
    int64_t frames = samples / e->hop;
    int64_t channels = e->latent_channels;
    int64_t per_item = frames * channels;
    float *wave = golden_f32(g, "in.waveform");
    float *eps = golden_f32(g, "in.eps");
    encoded out = {new_floats(shape->dim[0] * per_item), new_floats(shape->dim[0] * per_item),
                   new_floats(shape->dim[0] * per_item)};
    for (int64_t i = 0; i < shape->dim[0]; i++) {
        float *moments = encode(b, e, wave + i * 2 * samples, samples, tiling);
        float *eps_rows = transposed(eps + i * per_item, channels, frames);
        float *latents = new_floats(per_item);
        float *columns = transposed(moments, frames, 2 * channels);
        memcpy(out.mean + i * per_item, columns, (size_t)per_item * sizeof(float));
        memcpy(out.scale_raw + i * per_item, columns + per_item, (size_t)per_item * sizeof(float));
        free(columns);
        ace_vae_posterior(moments, frames, channels, eps_rows, latents);
        columns = transposed(latents, frames, channels);
        memcpy(out.sample + i * per_item, columns, (size_t)per_item * sizeof(float));
        free(columns);
        free(moments);
        free(eps_rows);
        free(latents);
    }
    free(wave);
    free(eps);
    return out;
}

static void free_encoded(encoded *r)
{
    free(r->mean);
    free(r->scale_raw);
    free(r->sample);
}

static void encoder_matches(void **state)
{
    (void)state;
    static const char *const cases[] = {"vae_encode_batch2_3f", "vae_encode_8f",
                                        "vae_encode_9f_plus777"};
    for (int i = 0;; i++) {
        ace_device *device = bench_device(i);
        if (device == NULL) {
            break;
        }
        test_bench b;
        ace_vae_encoder e;
        open_encoder(&b, device, ACE_F32, &e);
        for (int k = 0; k < (i == 0 ? 1 : 3); k++) {
            golden g = golden_open(cases[k]);
            encoded r = encode_case(&b, &e, &g, &whole);
            assert_true(golden_matches(&g, "out.mean", r.mean));
            assert_true(golden_matches(&g, "out.scale_raw", r.scale_raw));
            assert_true(golden_matches(&g, "out.sample", r.sample));
            free_encoded(&r);
            golden_close(&g);
        }
        bench_close(&b);
    }
}

static void encoder_bf16_stays_close(void **state)
{
    (void)state;
    golden g = golden_open("vae_encode_batch2_3f");
    for (int i = 0;; i++) {
        ace_device *device = bench_device(i);
        if (device == NULL) {
            break;
        }
        test_bench b;
        ace_vae_encoder e;
        double cosine = 0;
        double rms = 0;
        open_encoder(&b, device, ACE_BF16, &e);
        encoded r = encode_case(&b, &e, &g, &whole);
        golden_distance(&g, "out.mean", r.mean, &cosine, &rms);
        print_message("encoder, bf16, %s: cosine %.6f, relative RMS error %.4f\n", b.device->name,
                      cosine, rms);
        assert_true(cosine > 0.997);
        assert_true(rms < 0.1);
        free_encoded(&r);
        bench_close(&b);
    }
    golden_close(&g);
}

static float *noise(int64_t n)
{
    float *out = new_floats(n);
    uint32_t state = 1;
    for (int64_t i = 0; i < n; i++) {
        state = state * 1664525u + 1013904223u;
        out[i] = (float)(state >> 8) / 8388608.0f - 1.0f;
    }
    return out;
}

/* The signal's end lies inside a frame: the last tile must hear the rest of it. */
static void encoder_tiles_match_the_whole(void **state)
{
    (void)state;
    static const ace_vae_tiling tilings[] = {{8, 8}, {5, 9}};
    test_bench b;
    ace_vae_encoder e;
    open_encoder(&b, bench_device(1), ACE_F32, &e);
    int64_t samples = 30 * e.hop + 1111;
    float *wave = noise(2 * samples);
    float *want = encode(&b, &e, wave, samples, &whole);
    for (size_t i = 0; i < sizeof tilings / sizeof *tilings; i++) {
        float *got = encode(&b, &e, wave, samples, &tilings[i]);
        assert_true(largest_difference(got, want, 30 * 2 * e.latent_channels) < 1e-5);
        free(got);
    }
    static const ace_vae_tiling too_small = {8, 5};
    float *got = encode(&b, &e, wave, samples, &too_small);
    assert_true(largest_difference(got, want, 30 * 2 * e.latent_channels) > 1e-5);
    free(got);
    free(want);
    free(wave);
    bench_close(&b);
}

static void encoder_refuses_less_than_a_frame(void **state)
{
    (void)state;
    test_bench b;
    ace_vae_encoder e;
    open_encoder(&b, bench_device(1), ACE_F32, &e);
    ace_vae_encode_tiled(&b.stream, &e, NULL, e.hop - 1, &whole, NULL);
    assert_int_equal(ace_stream_status(&b.stream), ACESTEP_AUDIO);
    bench_close(&b);
}

static void posterior_without_noise_is_the_mean(void **state)
{
    (void)state;
    const float moments[] = {0.5f, -2.0f, 100.0f, -100.0f};
    const float eps[] = {1.0f, 2.0f};
    float latents[2];
    ace_vae_posterior(moments, 1, 2, NULL, latents);
    assert_true(latents[0] == 0.5f && latents[1] == -2.0f);
    ace_vae_posterior(moments, 1, 2, eps, latents);
    assert_true(fabsf(latents[0] - 100.5001f) < 1e-4f);
    assert_true(fabsf(latents[1] - -1.9998f) < 1e-6f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decoder_matches),
        cmocka_unit_test(decoder_tiles_match_the_whole),
        cmocka_unit_test(small_halo_deviates_as_recorded),
        cmocka_unit_test(decoder_bf16_stays_close),
        cmocka_unit_test(encoder_matches),
        cmocka_unit_test(encoder_bf16_stays_close),
        cmocka_unit_test(encoder_tiles_match_the_whole),
        cmocka_unit_test(encoder_refuses_less_than_a_frame),
        cmocka_unit_test(posterior_without_noise_is_the_mean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
