/* Whole recorded runs with the network in the loop: conditions, transformer, guidance and solver
 * together must end where the original ended. Cases whose source is neither codes nor a cover. */
#include "model/condition_reference.h"
#include "model/dit.h"
#include "sample/solver.h"
#include "support/bench_device.h"
#include "support/sampling_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const cases[] = {
    "sample_base_adg5_6steps",        "sample_base_apg4_shift3_interval",
    "sample_base_apg7_shift1_8steps", "sample_base_batch2_apg7",
    "sample_base_nocfg_6steps",       "sample_base_repaint_apg7",
    "sample_base_sde_apg3_shift2",    "sample_sft_timesteps_apg7",
    "sample_turbo_batch2_padded",     "sample_turbo_custom_timesteps",
    "sample_turbo_ode_shift1",        "sample_turbo_ode_shift2_4",
    "sample_turbo_ode_shift3",        "sample_turbo_repaint",
    "sample_turbo_sde_shift3",
};

typedef struct network {
    const sampling_case *c;
    test_bench bench;
    ace_dit dit;
    ace_condition_encoder encoder;
    ace_dit_session session;
} network;

static void *need(size_t count, size_t size)
{
    void *p = calloc(count, size);
    assert_non_null(p);
    return p;
}

/* [items, length, encoder width], padded as in the original; the caller frees. */
static float *conditions(network *n, int64_t *length)
{
    const golden *g = &n->c->g;
    const ace_weight *text = golden_tensor(g, "in.text_hidden_states");
    const ace_weight *lyrics = golden_tensor(g, "in.lyric_hidden_states");
    const ace_weight *refs = golden_tensor(g, "in.refer_audio_acoustic_hidden_states_packed");
    float *text_values = golden_f32(g, "in.text_hidden_states");
    float *lyric_values = golden_f32(g, "in.lyric_hidden_states");
    float *timbre = golden_f32(g, "in.refer_audio_acoustic_hidden_states_packed");
    int64_t *text_mask = golden_i64(g, "in.text_attention_mask");
    int64_t *lyric_mask = golden_i64(g, "in.lyric_attention_mask");
    int64_t *order = golden_i64(g, "in.refer_audio_order_mask");
    ace_padded_condition in = {
        .batch = text->dim[0],
        .text_length = text->dim[1],
        .lyric_length = lyrics->dim[1],
        .text = text_values,
        .text_mask = text_mask,
        .lyrics = lyric_values,
        .lyric_mask = lyric_mask,
        .n_refs = refs->dim[0],
        .timbre_frames = refs->dim[1],
        .timbre = timbre,
        .ref_order = order,
    };
    *length = in.lyric_length + ace_condition_slots(&in) + in.text_length;
    size_t width = (size_t)n->encoder.config.encoder.hidden;
    size_t rows = (size_t)(in.batch * *length);
    ace_packed_condition out = {.states = need(rows * width, sizeof(float)),
                                .mask = need(rows, sizeof(int64_t))};
    ace_condition_encode_padded(&n->bench.stream, &n->encoder, &in, &out);
    bench_check(&n->bench);
    free(out.mask);
    free(text_values);
    free(lyric_values);
    free(timbre);
    free(text_mask);
    free(lyric_mask);
    free(order);
    return out.states;
}

/* [items, frames, 2·channels]: source latents, then the mask; the caller frees. */
static float *context(const sampling_case *c)
{
    size_t rows = (size_t)(c->items * c->frames);
    size_t width = (size_t)c->channels;
    float *mask = golden_f32(&c->g, "in.chunk_masks");
    float *out = need(rows * 2 * width, sizeof *out);
    for (size_t i = 0; i < rows; i++) {
        memcpy(out + i * 2 * width, c->source + i * width, width * sizeof *out);
        memcpy(out + (i * 2 + 1) * width, mask + i * width, width * sizeof *out);
    }
    free(mask);
    return out;
}

static void open_network(network *n, const sampling_case *c)
{
    const char *model = c->sampling.turbo ? "acestep-v15-turbo" : "acestep-v15-base";
    ace_dit_config config = bench_dit_config(model);
    n->c = c;
    bench_open(&n->bench, bench_device(1), model, ACE_F32);
    ace_condition_encoder_load(&n->bench.loader, &config, &n->encoder);
    ace_dit_load(&n->bench.loader, &config, &n->dit);
    bench_loaded(&n->bench);

    const float *condition[ACE_DIT_MAX_CONDITIONS];
    int64_t lengths[ACE_DIT_MAX_CONDITIONS];
    int32_t condition_of[ACE_DIT_MAX_BATCH];
    int64_t length = 0;
    float *states = conditions(n, &length);
    float *latents = context(c);
    for (int64_t i = 0; i < c->items; i++) {
        condition[i] = states + i * length * config.encoder.hidden;
        lengths[i] = length;
        condition_of[i] = (int32_t)i;
    }
    ace_dit_inputs in = {.batch = c->items,
                         .frames = c->frames,
                         .context = latents,
                         .n_conditions = (int)c->items,
                         .condition = condition,
                         .condition_length = lengths,
                         .condition_of = condition_of,
                         .guided = !c->sampling.turbo && c->sampling.guidance_scale > 1.0};
    ace_dit_begin(&n->bench.stream, &n->dit, &in, &n->session);
    bench_check(&n->bench);
    free(states);
    free(latents);
}

static ace_status velocity(void *user, const float *x, float t, int condition, bool guided,
                           float *v_cond, float *v_null)
{
    network *n = user;
    float times[ACE_DIT_MAX_BATCH];
    assert_int_equal(condition, 0);
    for (int64_t i = 0; i < n->c->items; i++) {
        times[i] = t;
    }
    ace_dit_velocity(&n->session, x, times, times, false, v_cond);
    if (guided) {
        ace_dit_velocity(&n->session, x, times, times, true, v_null);
    }
    return ace_stream_status(&n->bench.stream);
}

static ace_status recorded_noise(void *user, int64_t item, int step, float *out)
{
    const sampling_case *c = ((network *)user)->c;
    int64_t n = c->frames * c->channels;
    memcpy(out, c->step_noise + (step * c->items + item) * n, (size_t)n * sizeof *out);
    return ACESTEP_OK;
}

static void test_ends_where_the_original_ended(void **unused)
{
    (void)unused;
    bool all = true;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ace_error err = {.code = ACESTEP_OK};
        sampling_case c;
        network *n = need(1, sizeof *n);
        sampling_case_open(cases[i], &c);
        open_network(n, &c);
        float *latents = need((size_t)(c.items * c.frames * c.channels), sizeof *latents);
        ace_solver_io io = {.items = c.items,
                            .frames = c.frames,
                            .channels = c.channels,
                            .noise = c.noise,
                            .latents = latents,
                            .velocity = velocity,
                            .step_noise = recorded_noise,
                            .context = n};
        c.sampling.always_evaluate_null = false;
        if (ace_solver_run(&c.sampling, &io, &err) != ACESTEP_OK) {
            fail_msg("%s: %s", cases[i], err.message);
        }
        all = golden_matches(&c.g, "out.target_latents", latents) && all;
        bench_close(&n->bench);
        free(latents);
        free(n);
        sampling_case_close(&c);
    }
    assert_true(all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ends_where_the_original_ended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
