/* Drawn architectures by other ways than straight through: sequences of the language model side by
 * side, the autoencoder in windows, songs whose layers pass through a card. */
#include "model/language_model.h"
#include "model/vae_tiling.h"
#include "support/bench_device.h"
#include "support/job_run.h"
#include "support/opened_architecture.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The fastest CPU device, in f32, with weights of the architecture's. */
static void open_bench(test_bench *b, const ace_weights *weights)
{
    ace_device *device = NULL;
    ace_device *next = NULL;
    for (int i = 1; (next = bench_device(i)) != NULL; i++) {
        ace_device_close(device);
        device = next;
    }
    bench_open(b, device, NULL, ACE_F32);
    b->loader.weights = weights;
}

static float *draw_numbers(drawer *d, int64_t n)
{
    float *values = malloc((size_t)n * sizeof *values);
    assert_non_null(values);
    for (int64_t i = 0; i < n; i++) {
        values[i] = draw_unit(d) * 1.7f;
    }
    return values;
}

/* Root of the mean square of the difference, in that of what is right. */
static double distance(const float *a, const float *right, int64_t n)
{
    double difference = 0;
    double size = 0;
    for (int64_t i = 0; i < n; i++) {
        double d = (double)a[i] - (double)right[i];
        difference += d * d;
        size += (double)right[i] * (double)right[i];
    }
    return sqrt(difference / size);
}

/* ---- the language model ---------------------------------------------------------------------- */

/* Three sequences that go on from two prompts. */
enum { PROMPTS = 2, SEQUENCES = 3, STEPS = 3, LONGEST = 7 };
static const int order[SEQUENCES] = {1, 2, 0};
static const ace_lm_shape together = {.prompts = PROMPTS,
                                      .prompt_tokens = {LONGEST, 2},
                                      .sequences = SEQUENCES,
                                      .prompt_of = {0, 1, 0},
                                      .own_tokens = STEPS};

/* Embeddings [tokens, hidden]: of prompts, and [steps][places] of their own. */
typedef struct lm_inputs {
    float *prompt[PROMPTS], *own;
} lm_inputs;

/* The last logits of all sequences, [place][vocabulary]. */
static float *decode_together(test_bench *b, const ace_language_model *m, const lm_inputs *in)
{
    int64_t hidden = m->config.block.hidden;
    int64_t vocabulary = m->config.vocabulary;
    float *values = calloc((size_t)(SEQUENCES * vocabulary), sizeof *values);
    ace_lm_session *session = malloc(sizeof *session);
    assert_non_null(values);
    assert_non_null(session);
    ace_arena_mark mark = ace_mark(&b->stream);
    ace_lm_begin(&b->stream, m, &together, session);
    for (int i = 0; i < PROMPTS; i++) {
        ace_lm_read_prompt(session, i, in->prompt[i], together.prompt_tokens[i], NULL);
    }
    ace_lm_logits all = {.count = vocabulary, .values = values};
    for (int i = 0; i < STEPS; i++) {
        ace_lm_decode(session, order, SEQUENCES, in->own + i * SEQUENCES * hidden, &all);
    }
    ace_reset(&b->stream, &mark);
    free(session);
    return values;
}

/* The same of one sequence, read from its beginning to its end. */
static void read_alone(test_bench *b, const ace_language_model *m, const lm_inputs *in, int place,
                       float *values)
{
    size_t hidden = (size_t)m->config.block.hidden;
    int prompt = together.prompt_of[order[place]];
    size_t known = (size_t)together.prompt_tokens[prompt];
    ace_lm_shape one = {.prompts = 1, .prompt_tokens = {(int64_t)known + STEPS}};
    float *x = malloc((known + STEPS) * hidden * sizeof *x);
    ace_lm_session *session = malloc(sizeof *session);
    assert_non_null(x);
    assert_non_null(session);
    memcpy(x, in->prompt[prompt], known * hidden * sizeof *x);
    for (size_t i = 0; i < STEPS; i++) {
        memcpy(x + (known + i) * hidden, in->own + (i * SEQUENCES + (size_t)place) * hidden,
               hidden * sizeof *x);
    }
    ace_arena_mark mark = ace_mark(&b->stream);
    ace_lm_logits last = {.count = m->config.vocabulary, .rows = 1, .values = values};
    ace_lm_begin(&b->stream, m, &one, session);
    ace_lm_read_prompt(session, 0, x, (int64_t)known + STEPS, &last);
    ace_reset(&b->stream, &mark);
    free(session);
    free(x);
}

static double check_company(const opened *o)
{
    const ace_qwen3_config *c = &o->read.lm;
    drawer d = {o->drawn.seed};
    test_bench b;
    ace_language_model *m = malloc(sizeof *m);
    assert_non_null(m);
    open_bench(&b, o->lm);
    ace_language_model_load(&b.loader, c, m);
    bench_loaded(&b);
    lm_inputs in = {.own = draw_numbers(&d, STEPS * SEQUENCES * c->block.hidden)};
    for (int i = 0; i < PROMPTS; i++) {
        in.prompt[i] = draw_numbers(&d, LONGEST * c->block.hidden);
    }
    float *found = decode_together(&b, m, &in);
    float *right = draw_numbers(&d, SEQUENCES * c->vocabulary);
    for (int place = 0; place < SEQUENCES; place++) {
        read_alone(&b, m, &in, place, right + place * c->vocabulary);
    }
    bench_check(&b);
    double far = distance(found, right, SEQUENCES * c->vocabulary);
    free(found);
    free(right);
    free(in.own);
    free(in.prompt[0]);
    free(in.prompt[1]);
    bench_close(&b);
    free(m);
    return far;
}

static void sequences_may_share_what_they_know(void **state)
{
    (void)state;
    seed_range r = chosen_seeds(12);
    for (int i = 0; i < r.count; i++) {
        opened *o = open_architecture(r.first + (uint64_t)i, false);
        double far = check_company(o);
        if (!(far < 2e-5)) {
            fail_msg("%s: sequences side by side are %g away", architecture_text(&o->drawn), far);
        }
        close_architecture(o);
    }
}

/* ---- the autoencoder ------------------------------------------------------------------------- */

/* The whole, windows that reach as far as the network hears, and windows of one frame less. */
enum { TILINGS = 3 };

static void decode_tiled(const opened *o, drawer *d, float *out[TILINGS], int64_t *n)
{
    const ace_vae_config *c = &o->read.vae;
    int64_t halo = ace_vae_decoder_halo(c);
    int64_t frames = 2 * halo + 9;
    const ace_vae_tiling tiling[TILINGS] = {{0, 0}, {3, halo}, {3, halo - 1}};
    test_bench b;
    ace_vae_decoder *m = malloc(sizeof *m);
    assert_non_null(m);
    open_bench(&b, o->vae);
    ace_vae_decoder_load(&b.loader, c, m);
    bench_loaded(&b);
    *n = frames * c->hop * c->audio_channels;
    float *latents = draw_numbers(d, frames * c->latent_channels);
    for (int i = 0; i < TILINGS; i++) {
        out[i] = draw_numbers(d, *n);
        ace_vae_decode_tiled(&b.stream, m, latents, frames, &tiling[i], out[i]);
    }
    bench_check(&b);
    bench_close(&b);
    free(latents);
    free(m);
}

/* With samples after the last whole frame. */
static void encode_tiled(const opened *o, drawer *d, float *out[TILINGS], int64_t *n)
{
    const ace_vae_config *c = &o->read.vae;
    int64_t halo = ace_vae_encoder_halo(c);
    int64_t frames = 2 * halo + 9;
    int64_t samples = frames * c->hop + c->hop / 2;
    const ace_vae_tiling tiling[TILINGS] = {{0, 0}, {3, halo}, {3, halo - 1}};
    test_bench b;
    ace_vae_encoder *m = malloc(sizeof *m);
    assert_non_null(m);
    open_bench(&b, o->vae);
    ace_vae_encoder_load(&b.loader, c, m);
    bench_loaded(&b);
    *n = frames * 2 * c->latent_channels;
    float *wave = draw_numbers(d, samples * c->audio_channels);
    for (int i = 0; i < TILINGS; i++) {
        out[i] = draw_numbers(d, *n);
        ace_vae_encode_tiled(&b.stream, m, wave, samples, &tiling[i], out[i]);
    }
    bench_check(&b);
    bench_close(&b);
    free(wave);
    free(m);
}

/* Does one frame less show? */
static bool check_tiles(uint64_t seed, bool decodes)
{
    float *out[TILINGS];
    int64_t n;
    opened *o = open_architecture(seed, false);
    drawer d = {seed};
    if (decodes) {
        decode_tiled(o, &d, out, &n);
    } else {
        encode_tiled(o, &d, out, &n);
    }
    double exact = distance(out[1], out[0], n);
    double short_of = distance(out[2], out[0], n);
    if (!(exact < 1e-6)) {
        fail_msg("%s: windows are %g away from the whole", architecture_text(&o->drawn), exact);
    }
    for (int i = 0; i < TILINGS; i++) {
        free(out[i]);
    }
    close_architecture(o);
    return short_of > 3 * exact; /* by little: few paths lead that far */
}

static void windows_reach_as_far_as_the_networks_hear(void **state)
{
    (void)state;
    seed_range r = chosen_seeds(24);
    int seams = 0;
    for (int i = 0; i < 2 * r.count; i++) {
        seams += check_tiles(r.first + (uint64_t)i / 2, i % 2 == 0);
    }
    print_message("one frame less is heard in %d of %d\n", seams, 2 * r.count);
    assert_true(4 * seams > 3 * 2 * r.count || r.count < 8);
}

static void published_ratios_reach_nine_frames(void **state)
{
    (void)state;
    ace_vae_config c;
    ace_vae_config_published(&c);
    assert_int_equal(ace_vae_decoder_halo(&c), 9);
    assert_int_equal(ace_vae_encoder_halo(&c), 7);
}

/* ---- songs ----------------------------------------------------------------------------------- */

static made *make_song(const opened *o, const char *numbers, const char *more)
{
    char options[700];
    (void)snprintf(options, sizeof options,
                   "models=%s;threads=2;seed=3;duration=5.2;caption=slow piano;lyrics=la la;"
                   "file_tags=none;%s;limits=exact;vae_chunk=128;cache=false;%s%s",
                   o->folder, numbers,
                   o->read.dit.turbo ? "" : "inference_steps=2;guidance_scale=4;", more);
    return job_make(options, NULL);
}

/* Whatever stays on the card and whatever passes through: bit for bit, in the bytes that were
 * planned. */
static void songs_do_not_depend_on_where_layers_are(void **state)
{
    (void)state;
    static const char *const numbers[] = {"quantization=none;precision=f32",
                                          "quantization=none;precision=bf16", "quantization=int8"};
    static const char *const ways[] = {
        "device=sim;max_cuda_vram=24", "device=sim;max_cuda_vram=8;offload_dit_window=1",
        "device=sim;max_cuda_vram=8;offload_dit_window=2;offload_to_cpu=true"};
    seed_range r = chosen_seeds(6);
    for (int i = 0; i < r.count; i++) {
        opened *o = open_architecture(r.first + (uint64_t)i, true);
        made *cpu = make_song(o, numbers[i % 3], "device=cpu");
        job_check_plan(cpu);
        for (int way = 0; way < 3; way++) {
            made *sim = make_song(o, numbers[i % 3], ways[way]);
            job_check_plan(sim);
            if (!job_same_song(&cpu->song[0], &sim->song[0])) {
                fail_msg("%s: another song with %s", architecture_text(&o->drawn), ways[way]);
            }
            job_discard(sim);
        }
        job_discard(cpu);
        close_architecture(o);
    }
}

/* Windows of the decoder have seams unless they reach far enough: the default does. The songs are
 * as long as the silence, or 12 s. */
static void windows_do_not_show_in_songs(void **state)
{
    (void)state;
    seed_range r = chosen_seeds(4);
    for (int i = 0; i < r.count; i++) {
        opened *o = open_architecture(r.first + (uint64_t)i, true);
        made *whole = make_song(o, "precision=f32", "device=cpu;duration=12;vae_chunk=512");
        made *tiled = make_song(o, "precision=f32", "device=cpu;duration=12;vae_chunk=128");
        int64_t n = 2 * whole->song[0].audio.frames;
        double far = distance(tiled->song[0].audio.samples, whole->song[0].audio.samples, n);
        if (!(far < 1e-6)) {
            fail_msg("%s: windows are %g away", architecture_text(&o->drawn), far);
        }
        job_discard(whole);
        job_discard(tiled);
        close_architecture(o);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sequences_may_share_what_they_know),
        cmocka_unit_test(windows_reach_as_far_as_the_networks_hear),
        cmocka_unit_test(published_ratios_reach_nine_frames),
        cmocka_unit_test(songs_do_not_depend_on_where_layers_are),
        cmocka_unit_test(windows_do_not_show_in_songs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
