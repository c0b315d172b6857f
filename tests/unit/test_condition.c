#include "base/memory.h"
#include "model/condition_reference.h"
#include "support/bench_device.h"
#include "support/golden.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct recorded {
    golden g;
    ace_padded_condition in;
    float *text, *lyrics, *timbre;
    int64_t *text_mask, *lyric_mask, *order;
} recorded;

static recorded open_case(const char *name)
{
    recorded c = {.g = golden_open(name)};
    const ace_weight *text = golden_tensor(&c.g, "in.text_hidden_states");
    const ace_weight *lyrics = golden_tensor(&c.g, "in.lyric_hidden_states");
    const ace_weight *refs = golden_tensor(&c.g, "in.refer_audio_acoustic_hidden_states_packed");
    c.text = golden_f32(&c.g, "in.text_hidden_states");
    c.lyrics = golden_f32(&c.g, "in.lyric_hidden_states");
    c.timbre = golden_f32(&c.g, "in.refer_audio_acoustic_hidden_states_packed");
    c.text_mask = golden_i64(&c.g, "in.text_attention_mask");
    c.lyric_mask = golden_i64(&c.g, "in.lyric_attention_mask");
    c.order = golden_i64(&c.g, "in.refer_audio_order_mask");
    c.in = (ace_padded_condition){
        .batch = text->dim[0],
        .text_length = text->dim[1],
        .lyric_length = lyrics->dim[1],
        .text = c.text,
        .text_mask = c.text_mask,
        .lyrics = c.lyrics,
        .lyric_mask = c.lyric_mask,
        .n_refs = refs->dim[0],
        .timbre_frames = refs->dim[1],
        .timbre = c.timbre,
        .ref_order = c.order,
    };
    return c;
}

static void close_case(recorded *c)
{
    golden_close(&c->g);
    free(c->text);
    free(c->lyrics);
    free(c->timbre);
    free(c->text_mask);
    free(c->lyric_mask);
    free(c->order);
}

static ace_condition_encoder *load(test_bench *b, ace_device *device, const char *model,
                                   ace_dtype precision)
{
    ace_dit_config config = bench_dit_config(model);
    ace_condition_encoder *m = malloc(sizeof *m);
    assert_non_null(m);
    bench_open(b, device, model, precision);
    ace_condition_encoder_load(&b->loader, &config, m);
    bench_loaded(b);
    return m;
}

static const struct {
    const char *name, *model;
} cases[] = {
    {"cond_turbo_single", "acestep-v15-turbo"},
    {"cond_turbo_batch2_padded", "acestep-v15-turbo"},
    {"cond_base_single", "acestep-v15-base"},
    {"cond_base_batch2_padded", "acestep-v15-base"},
};

static void check_padded(ace_device *device, const char *name, const char *model)
{
    recorded c = open_case(name);
    test_bench b;
    ace_condition_encoder *m = load(&b, device, model, ACE_F32);
    const ace_weight *states = golden_tensor(&c.g, "out.encoder_hidden_states");
    int64_t n = golden_elements(states);
    ace_packed_condition out = {
        .states = malloc((size_t)n * sizeof(float)),
        .mask = malloc((size_t)n * sizeof(int64_t)),
        .lyric_encoded = malloc((size_t)n * sizeof(float)),
        .timbre = malloc((size_t)n * sizeof(float)),
        .timbre_mask = malloc((size_t)n * sizeof(int64_t)),
        .text_projected = malloc((size_t)n * sizeof(float)),
    };
    ace_condition_encode_padded(&b.stream, m, &c.in, &out);
    bench_check(&b);
    assert_true(golden_matches(&c.g, "out.encoder_hidden_states", out.states));
    assert_true(golden_matches_i64(&c.g, "out.encoder_attention_mask", out.mask));
    assert_true(golden_matches(&c.g, "out.lyric_encoded", out.lyric_encoded));
    assert_true(golden_matches(&c.g, "out.timbre_unpacked", out.timbre));
    assert_true(golden_matches_i64(&c.g, "out.timbre_mask", out.timbre_mask));
    assert_true(golden_matches(&c.g, "out.text_projected", out.text_projected));
    free(out.states);
    free(out.mask);
    free(out.lyric_encoded);
    free(out.timbre);
    free(out.timbre_mask);
    free(out.text_projected);
    free(m);
    bench_close(&b);
    close_case(&c);
}

static void padded_batches_match(void **state)
{
    (void)state;
    ace_device *device = NULL;
    for (int i = 0; (device = bench_device(i)) != NULL; i++) {
        ace_device_close(device);
        for (int k = 0; k < 4; k++) {
            check_padded(bench_device(i), cases[k].name, cases[k].model);
        }
    }
}

/* The engine's own path: one item, no padding: the same as the recorded batch of one. */
static void single_items_match(void **state)
{
    (void)state;
    ace_device *device = NULL;
    for (int i = 0; (device = bench_device(i)) != NULL; i++) {
        ace_device_close(device);
        for (int k = 0; k < 4; k += 2) {
            recorded c = open_case(cases[k].name);
            test_bench b;
            ace_condition_encoder *m = load(&b, bench_device(i), cases[k].model, ACE_F32);
            ace_condition_input in = {
                .text = c.text,
                .n_text = c.in.text_length,
                .lyrics = c.lyrics,
                .n_lyrics = c.in.lyric_length,
                .timbre = c.timbre,
                .n_refs = c.in.n_refs,
                .timbre_frames = c.in.timbre_frames,
            };
            int64_t n = golden_elements(golden_tensor(&c.g, "out.encoder_hidden_states"));
            float *out = malloc((size_t)n * sizeof *out);
            assert_non_null(out);
            ace_condition_encode(&b.stream, m, &in, out);
            bench_check(&b);
            assert_true(golden_matches(&c.g, "out.encoder_hidden_states", out));
            free(out);
            free(m);
            bench_close(&b);
            close_case(&c);
        }
    }
}

static void check_low_precision(ace_device *device, ace_dtype matrices, double least_cosine,
                                double most_relative)
{
    recorded c = open_case("cond_turbo_single");
    test_bench b;
    ace_condition_encoder *m = load(&b, device, "acestep-v15-turbo", matrices);
    int64_t n = golden_elements(golden_tensor(&c.g, "out.encoder_hidden_states"));
    float *states = malloc((size_t)n * sizeof *states);
    int64_t *mask = malloc((size_t)n * sizeof *mask);
    ace_packed_condition out = {.states = states, .mask = mask};
    double cosine = 0;
    double relative = 0;
    assert_true(states != NULL && mask != NULL);
    ace_condition_encode_padded(&b.stream, m, &c.in, &out);
    bench_check(&b);
    golden_distance(&c.g, "out.encoder_hidden_states", states, &cosine, &relative);
    assert_true(cosine > least_cosine);
    assert_true(relative < most_relative);
    free(states);
    free(mask);
    free(m);
    bench_close(&b);
    close_case(&c);
}

static void low_precision_stays_close(void **state)
{
    (void)state;
    ace_device *device = NULL;
    for (int i = 0; (device = bench_device(i)) != NULL; i++) {
        check_low_precision(device, ACE_BF16, 0.9999, 0.01);
        check_low_precision(bench_device(i), ACE_I8, 0.9995, 0.03);
    }
}

/* ---- the timbre token of the XL checkpoints -------------------------------------------------- */

/* Runs the timbre stack over rows put together by hand: the token, then the embedded frames. */
static void encode_with_token(test_bench *b, const ace_condition_encoder *m, const float *frames,
                              int64_t n, float *out)
{
    ace_stream *s = &b->stream;
    int64_t hidden = m->config.encoder.hidden;
    float *rows = malloc((size_t)((n + 1) * hidden) * sizeof *rows);
    assert_non_null(rows);
    ace_tensor in = ace_new_from(s, ACE_F32, n, m->config.latent_channels, frames);
    ace_tensor embedded = ace_new(s, ACE_F32, n, hidden);
    ace_epilogue bias = {.bias = m->timbre.embed_bias};
    ace_linear(s, embedded, in, &m->timbre.embed, &bias);
    ace_download(s, rows, m->timbre_token);
    ace_download(s, rows + hidden, embedded);
    ace_tensor x = ace_new_from(s, ACE_F32, n + 1, hidden, rows);
    ace_sequences seq = {.batch = 1, .length = n + 1};
    ace_latent_stack_forward(s, &m->config, &m->timbre, x, seq);
    ace_download(s, out, ace_rows(x, 0, 1));
    free(rows);
}

static void a_timbre_token_leads_where_the_checkpoint_uses_it(void **state)
{
    (void)state;
    recorded c = open_case("cond_turbo_batch2_padded");
    test_bench b;
    ace_condition_encoder *m = load(&b, bench_device(1), "acestep-v15-turbo", ACE_F32);
    int64_t hidden = m->config.encoder.hidden;
    int64_t frames = c.in.timbre_frames;
    float *without = malloc((size_t)(3 * hidden) * sizeof *without);
    float *with = malloc((size_t)(3 * hidden) * sizeof *with);
    float *by_hand = malloc((size_t)hidden * sizeof *by_hand);
    assert_true(without != NULL && with != NULL && by_hand != NULL);
    assert_int_equal(c.in.n_refs, 3);
    ace_tensor y = ace_new(&b.stream, ACE_F32, 3, hidden);
    ace_timbre_encode(&b.stream, m, y, c.timbre, 3, frames);
    ace_download(&b.stream, without, y);
    m->config.timbre_cls = true;
    ace_timbre_encode(&b.stream, m, y, c.timbre, 3, frames);
    ace_download(&b.stream, with, y);
    for (int r = 0; r < 3; r++) {
        encode_with_token(&b, m, c.timbre + r * frames * m->config.latent_channels, frames,
                          by_hand);
        double apart = 0;
        for (int64_t i = 0; i < hidden; i++) {
            assert_true(fabsf(by_hand[i] - with[r * hidden + i]) < 1e-6f);
            apart =
                fmax(apart, fabs((double)with[r * hidden + i] - (double)without[r * hidden + i]));
        }
        assert_true(apart > 0.1);
    }
    bench_check(&b);
    free(without);
    free(with);
    free(by_hand);
    free(m);
    bench_close(&b);
    close_case(&c);
}

/* ---- host memory ----------------------------------------------------------------------------- */

static void padded_batches_report_a_lack_of_host_memory(void **state)
{
    (void)state;
    recorded c = open_case("cond_turbo_batch2_padded");
    ace_status status = ACESTEP_MEMORY;
    int failures = 0;
    for (uint64_t n = 1; status == ACESTEP_MEMORY; n++) {
        test_bench b;
        ace_condition_encoder *m = load(&b, bench_device(1), "acestep-v15-turbo", ACE_F32);
        int64_t size = golden_elements(golden_tensor(&c.g, "out.encoder_hidden_states"));
        float *states = malloc((size_t)size * sizeof *states);
        int64_t *mask = malloc((size_t)size * sizeof *mask);
        ace_packed_condition out = {.states = states, .mask = mask};
        uint64_t before = ace_memory_live();
        ace_memory_fail_at(n);
        ace_condition_encode_padded(&b.stream, m, &c.in, &out);
        ace_memory_fail_at(0);
        status = ace_stream_status(&b.stream);
        failures += status == ACESTEP_MEMORY;
        assert_int_equal(ace_memory_live(), before);
        free(states);
        free(mask);
        free(m);
        bench_close(&b);
    }
    assert_int_equal(status, ACESTEP_OK);
    assert_true(failures >= 6);
    close_case(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(padded_batches_match),
        cmocka_unit_test(single_items_match),
        cmocka_unit_test(low_precision_stays_close),
        cmocka_unit_test(a_timbre_token_leads_where_the_checkpoint_uses_it),
        cmocka_unit_test(padded_batches_report_a_lack_of_host_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
