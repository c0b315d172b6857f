/* Every network at sizes that nobody has published: drawn architectures, written as checkpoints and
 * read back, computed on the reference device and on the CPU, or on the device that TEST_DEVICE
 * names, in exactly the bytes that were counted before. TEST_ARCHITECTURES=FIRST:COUNT draws others
 * than the usual ones. */
#include "device/plugin.h"
#include "model/condition_encoder.h"
#include "model/dit.h"
#include "model/fsq.h"
#include "model/language_model.h"
#include "model/text_encoder.h"
#include "model/vae_tiling.h"
#include "support/bench_device.h"
#include "support/opened_architecture.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef enum network {
    TEXT_ENCODER,
    CONDITION_ENCODER,
    TOKENIZER,
    DETOKENIZER,
    DIFFUSION,
    LANGUAGE_MODEL,
    AUDIO_DECODER,
    AUDIO_ENCODER,
    N_NETWORKS
} network;

static const char *const network_names[] = {
    "text encoder", "condition encoder", "tokenizer", "detokenizer",
    "diffusion",    "language model",    "decoder",   "encoder"};

/* ---- loading --------------------------------------------------------------------------------- */

static const ace_weights *weights_of(const opened *o, network kind)
{
    switch (kind) {
    case TEXT_ENCODER:
        return o->text;
    case LANGUAGE_MODEL:
        return o->lm;
    case AUDIO_DECODER:
    case AUDIO_ENCODER:
        return o->vae;
    case CONDITION_ENCODER:
    case TOKENIZER:
    case DETOKENIZER:
    case DIFFUSION:
    case N_NETWORKS:
        break;
    }
    return o->dit;
}

typedef union model {
    ace_text_encoder text;
    ace_condition_encoder condition;
    ace_fsq_tokenizer tokenizer;
    ace_fsq_detokenizer detokenizer;
    ace_dit dit;
    ace_language_model lm;
    ace_vae_decoder decoder;
    ace_vae_encoder encoder;
} model;

static void load(ace_loader *l, network kind, const architecture *a, model *m)
{
    switch (kind) {
    case TEXT_ENCODER:
        ace_text_encoder_load(l, &a->text, &m->text);
        break;
    case CONDITION_ENCODER:
        ace_condition_encoder_load(l, &a->dit, &m->condition);
        break;
    case TOKENIZER:
        ace_fsq_tokenizer_load(l, &a->dit, &m->tokenizer);
        break;
    case DETOKENIZER:
        ace_fsq_detokenizer_load(l, &a->dit, &m->detokenizer);
        break;
    case LANGUAGE_MODEL:
        ace_language_model_load(l, &a->lm, &m->lm);
        break;
    case AUDIO_DECODER:
        ace_vae_decoder_load(l, &a->vae, &m->decoder);
        break;
    case AUDIO_ENCODER:
        ace_vae_encoder_load(l, &a->vae, &m->encoder);
        break;
    case DIFFUSION:
    case N_NETWORKS:
        ace_dit_load(l, &a->dit, &m->dit);
        break;
    }
}

/* ---- passes ---------------------------------------------------------------------------------- */

/* What a pass hands out; nothing while measuring. Inputs come from the drawer: the same on every
 * device. */
typedef struct pass {
    ace_stream *s;
    const architecture *a;
    drawer draw;
    float *block[16]; /* inputs, freed at the end */
    int blocks;
    float *out;
    int64_t n;
} pass;

static float *input(pass *p, int64_t n)
{
    assert_true(p->blocks < 16);
    float *values = malloc((size_t)n * sizeof *values);
    assert_non_null(values);
    p->block[p->blocks++] = values;
    for (int64_t i = 0; i < n; i++) {
        values[i] = draw_unit(&p->draw) * 1.7f; /* about as wide as a normal number */
    }
    return values;
}

static float *output(pass *p, int64_t n)
{
    p->out = realloc(p->out, (size_t)(p->n + n) * sizeof *p->out);
    assert_non_null(p->out);
    memset(p->out + p->n, 0, (size_t)n * sizeof *p->out);
    p->n += n;
    return p->out + p->n - n;
}

static void pass_text(pass *p, const model *m)
{
    enum { BATCH = 2 };
    int64_t length = draw_between(&p->draw, 1, 20);
    int64_t rows = BATCH * length;
    int64_t hidden = p->a->text.block.hidden;
    ace_tensor x = ace_new_from(p->s, ACE_F32, rows, hidden, input(p, rows * hidden));
    ace_text_encoder_forward(p->s, &m->text, x, BATCH, length, NULL, x);
    ace_download(p->s, output(p, rows * hidden), x);
}

/* A condition, and a batch of padded lyrics. */
static void pass_condition(pass *p, const model *m)
{
    const ace_dit_config *c = &p->a->dit;
    ace_condition_input in = {.n_text = draw_between(&p->draw, 1, 9),
                              .n_lyrics = draw_between(&p->draw, 1, 30),
                              .n_refs = 2,
                              .timbre_frames = draw_between(&p->draw, 1, 40)};
    in.text = input(p, in.n_text * c->text_dim);
    in.lyrics = input(p, in.n_lyrics * c->text_dim);
    in.timbre = input(p, in.n_refs * in.timbre_frames * c->latent_channels);
    ace_condition_encode(p->s, &m->condition, &in,
                         output(p, (in.n_lyrics + in.n_refs + in.n_text) * c->encoder.hidden));
    enum { BATCH = 2, LENGTH = 11, KEPT = 7 };
    uint8_t mask[BATCH * LENGTH];
    for (int i = 0; i < BATCH * LENGTH; i++) {
        mask[i] = i < LENGTH + KEPT;
    }
    ace_tensor y = ace_new(p->s, ACE_F32, BATCH * LENGTH, c->encoder.hidden);
    ace_lyric_encode(p->s, &m->condition, y, input(p, BATCH * LENGTH * c->text_dim), BATCH, LENGTH,
                     mask);
    ace_download(p->s, output(p, BATCH * LENGTH * c->encoder.hidden), y);
}

/* Before rounding: what lies near a border may fall to either side. */
static void pass_tokenizer(pass *p, const model *m)
{
    const ace_dit_config *c = &p->a->dit;
    int64_t groups = draw_between(&p->draw, 1, 6);
    float *latents = input(p, groups * c->pool_window * c->latent_channels);
    int32_t codes[6];
    float *out = output(p, groups * (c->encoder.hidden + c->n_fsq_levels));
    ace_fsq_encoding e = {
        .pooled = out, .pre_quant = out + groups * c->encoder.hidden, .codes = codes};
    ace_fsq_encode(p->s, &m->tokenizer, latents, groups, &e);
}

static void pass_detokenizer(pass *p, const model *m)
{
    const ace_dit_config *c = &p->a->dit;
    int64_t groups = draw_between(&p->draw, 1, 6);
    int32_t codes[6];
    for (int64_t i = 0; i < groups; i++) {
        codes[i] = (int32_t)draw_between(&p->draw, 0, c->fsq_codes - 1);
    }
    codes[0] = (int32_t)(c->fsq_codes - 1);
    int64_t latents = groups * c->pool_window * c->latent_channels;
    float *out = output(p, groups * c->encoder.hidden + latents);
    ace_fsq_decode(p->s, &m->detokenizer, codes, groups, out, out + groups * c->encoder.hidden);
}

/* Two songs with two conditions: with and without guidance, and the null branch of the same x. */
static void pass_diffusion(pass *p, const model *m)
{
    enum { BATCH = 2 };
    const ace_dit_config *c = &p->a->dit;
    int64_t frames = draw_between(&p->draw, 1, 41);
    int64_t n = BATCH * frames * c->latent_channels;
    int64_t lengths[BATCH] = {draw_between(&p->draw, 1, 17), draw_between(&p->draw, 1, 17)};
    const float *conditions[BATCH] = {input(p, lengths[0] * c->encoder.hidden),
                                      input(p, lengths[1] * c->encoder.hidden)};
    const int32_t condition_of[BATCH] = {1, 0};
    float t[BATCH] = {0.75f, 0.3f};
    float t_r[BATCH] = {0.75f, 0.1f};
    ace_dit_inputs in = {.batch = BATCH,
                         .frames = frames,
                         .context = input(p, 2 * n),
                         .n_conditions = BATCH,
                         .condition = conditions,
                         .condition_length = lengths,
                         .condition_of = condition_of,
                         .guided = true};
    float *x = input(p, n);
    float *v = output(p, 2 * n);
    ace_dit_session *session = malloc(sizeof *session);
    assert_non_null(session);
    ace_dit_begin(p->s, &m->dit, &in, session);
    ace_dit_velocity(session, x, t, t_r, false, v);
    session->same_x = true;
    ace_dit_velocity(session, x, t, t_r, true, v + n);
    free(session);
}

/* Two prompts, three sequences of two of them, three tokens each: keys that are shared, and keys of
 * their own. */
enum { PROMPTS = 2, SEQUENCES = 3, STEPS = 3 };

static void pass_language(pass *p, const model *m)
{
    const ace_qwen3_config *c = &p->a->lm;
    const int sequences[SEQUENCES] = {2, 0, 1};
    ace_lm_shape shape = {.prompts = PROMPTS,
                          .prompt_tokens = {draw_between(&p->draw, 1, 20), 4},
                          .sequences = SEQUENCES,
                          .prompt_of = {0, 1, 0},
                          .own_tokens = STEPS};
    ace_lm_session *session = malloc(sizeof *session);
    assert_non_null(session);
    ace_lm_begin(p->s, &m->lm, &shape, session);
    for (int i = 0; i < PROMPTS; i++) {
        float *x = input(p, shape.prompt_tokens[i] * c->block.hidden);
        ace_lm_logits all = {.count = c->vocabulary, .rows = 1, .values = output(p, c->vocabulary)};
        ace_lm_read_prompt(session, i, x, shape.prompt_tokens[i], &all);
    }
    for (int i = 0; i < STEPS; i++) {
        float *x = input(p, SEQUENCES * c->block.hidden);
        int64_t first = draw_between(&p->draw, 0, c->vocabulary - 1);
        int64_t count = c->vocabulary - first;
        ace_lm_logits some = {
            .first = first, .count = count, .values = output(p, SEQUENCES * count)};
        ace_lm_decode(session, sequences, SEQUENCES, x, &some);
    }
    free(session);
}

/* About so many samples: the reference device takes its time. */
static int64_t short_frames(const ace_vae_config *c, drawer *d)
{
    int64_t frames = 1500 / c->hop;
    return frames > 1 ? draw_between(d, 1, frames < 24 ? frames : 24) : 1;
}

static void pass_decoder(pass *p, const model *m)
{
    const ace_vae_config *c = &p->a->vae;
    const ace_vae_tiling whole = {0, 0};
    int64_t frames = short_frames(c, &p->draw);
    ace_vae_decode_tiled(p->s, &m->decoder, input(p, frames * c->latent_channels), frames, &whole,
                         output(p, frames * c->hop * c->audio_channels));
}

static void pass_encoder(pass *p, const model *m)
{
    const ace_vae_config *c = &p->a->vae;
    const ace_vae_tiling whole = {0, 0};
    int64_t frames = short_frames(c, &p->draw);
    int64_t samples = frames * c->hop + draw_between(&p->draw, 0, c->hop - 1);
    ace_vae_encode_tiled(p->s, &m->encoder, input(p, samples * c->audio_channels), samples, &whole,
                         output(p, frames * 2 * c->latent_channels));
}

typedef void run_pass(pass *p, const model *m);

static run_pass *const passes[] = {pass_text,      pass_condition, pass_tokenizer, pass_detokenizer,
                                   pass_diffusion, pass_language,  pass_decoder,   pass_encoder};

/* ---- one run --------------------------------------------------------------------------------- */

typedef struct outcome {
    float *values;
    int64_t n;
    size_t high_water;
} outcome;

/* What the weights of the network and a pass over it give, in an arena of so many bytes. */
static outcome run(ace_device *device, size_t capacity, const opened *o, network kind,
                   ace_dtype precision)
{
    ace_error error = {.code = ACESTEP_OK};
    ace_arena arena;
    ace_stream s;
    ace_loader l;
    model *m = malloc(sizeof *m);
    assert_non_null(m);
    assert_int_equal(ace_arena_open(&arena, device, capacity, &error), ACESTEP_OK);
    ace_stream_init(&s, device, &arena, precision == ACE_F32 ? ACE_F32 : ACE_BF16, &error);
    ace_loader_init(&l, &s, weights_of(o, kind), precision);
    load(&l, kind, &o->read, m);
    (void)ace_loader_finish(&l);
    pass p = {.s = &s, .a = &o->read, .draw = {o->drawn.seed * 8 + (uint64_t)kind}};
    passes[kind](&p, m);
    if (ace_stream_status(&s) != ACESTEP_OK) {
        fail_msg("%s, %s on %s: %s", architecture_text(&o->drawn), network_names[kind],
                 device->name, error.message);
    }
    outcome out = {p.out, p.n, arena.high_water};
    for (int i = 0; i < p.blocks; i++) {
        free(p.block[i]);
    }
    ace_arena_close(&arena);
    free(m);
    return out;
}

/* In exactly the bytes that were counted before. */
static outcome run_as_planned(ace_device *device, const opened *o, network kind,
                              ace_dtype precision)
{
    ace_device *measure = NULL;
    assert_int_equal(ace_measure_device_open(device, &measure, NULL), ACESTEP_OK);
    outcome plan = run(measure, SIZE_MAX / 2, o, kind, precision);
    outcome real = run(device, plan.high_water, o, kind, precision);
    assert_int_equal(real.high_water, plan.high_water);
    ace_device_close(measure);
    free(plan.values);
    return real;
}

/* Root of the mean square of the difference, in that of what is right. */
static double distance(const outcome *a, const outcome *right)
{
    double difference = 0;
    double size = 0;
    assert_int_equal(a->n, right->n);
    for (int64_t i = 0; i < a->n; i++) {
        double d = (double)a->values[i] - (double)right->values[i];
        difference += d * d;
        size += (double)right->values[i] * (double)right->values[i];
    }
    return sqrt(difference / size);
}

/* ---- which, and on what ---------------------------------------------------------------------- */

/* Devices to be compared with the reference: the CPU at each level, or the one that is named. */
static ace_device *device_at(int index)
{
    const char *name = getenv("TEST_DEVICE");
    if (name == NULL) {
        return bench_device(index + 1);
    }
    const ace_plugin *plugin = NULL;
    ace_device *d = NULL;
    ace_error err = {.code = ACESTEP_OK};
    const ace_plugin_options options = {
        .cap_bytes = SIZE_MAX, .vendor_libraries = true, .flash_attention = true};
    if (index == 0 &&
        (ace_plugin_load(getenv("TEST_PLUGIN_DIR"), name, &plugin, &err) != ACESTEP_OK ||
         ace_plugin_open(plugin, &options, &d, &err) != ACESTEP_OK)) {
        fail_msg("%s", err.message);
    }
    return d;
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void assert_same_block(const ace_block_config *a, const ace_block_config *b)
{
    assert_int_equal(a->hidden, b->hidden);
    assert_int_equal(a->intermediate, b->intermediate);
    assert_int_equal(a->heads, b->heads);
    assert_int_equal(a->kv_heads, b->kv_heads);
    assert_int_equal(a->head_dim, b->head_dim);
    assert_true(a->rms_eps >= b->rms_eps && a->rms_eps <= b->rms_eps);
    assert_true(a->rope_theta >= b->rope_theta && a->rope_theta <= b->rope_theta);
}

static void assert_same_qwen3(const ace_qwen3_config *a, const ace_qwen3_config *b)
{
    assert_same_block(&a->block, &b->block);
    assert_int_equal(a->layers, b->layers);
    assert_int_equal(a->vocabulary, b->vocabulary);
    assert_int_equal(a->tied_embeddings, b->tied_embeddings);
}

static void assert_same_dit(const ace_dit_config *a, const ace_dit_config *b)
{
    assert_same_block(&a->decoder, &b->decoder);
    assert_same_block(&a->encoder, &b->encoder);
    assert_int_equal(a->layers, b->layers);
    assert_int_equal(a->lyric_layers, b->lyric_layers);
    assert_int_equal(a->timbre_layers, b->timbre_layers);
    assert_int_equal(a->pooler_layers, b->pooler_layers);
    assert_int_equal(a->detokenizer_layers, b->detokenizer_layers);
    for (int i = 0; i < ACE_MAX_LAYERS; i++) {
        assert_int_equal(a->sliding[i], b->sliding[i]);
        assert_true(!a->sliding[i] || (a->decoder.window == b->decoder.window &&
                                       a->encoder.window == b->encoder.window));
    }
    assert_int_equal(a->latent_channels, b->latent_channels);
    assert_int_equal(a->patch, b->patch);
    assert_int_equal(a->text_dim, b->text_dim);
    assert_int_equal(a->timbre_frames, b->timbre_frames);
    assert_int_equal(a->pool_window, b->pool_window);
    assert_int_equal(a->fsq_codes, b->fsq_codes);
    assert_memory_equal(a->fsq_levels, b->fsq_levels, sizeof a->fsq_levels);
    assert_int_equal(a->turbo, b->turbo);
    assert_int_equal(a->timbre_cls, b->timbre_cls);
}

static void configs_say_what_was_drawn(void **state)
{
    (void)state;
    seed_range r = chosen_seeds(24);
    for (int i = 0; i < r.count; i++) {
        opened *o = open_architecture(r.first + (uint64_t)i, false);
        assert_same_dit(&o->read.dit, &o->drawn.dit);
        assert_memory_equal(&o->read.vae, &o->drawn.vae, sizeof o->read.vae);
        assert_same_qwen3(&o->read.text, &o->drawn.text);
        assert_same_qwen3(&o->read.lm, &o->drawn.lm);
        close_architecture(o);
    }
}

static const struct {
    ace_dtype dtype;
    const char *name;
    double most[N_NETWORKS]; /* of the distance to the reference device at the same precision */
} precisions[] = {
    {ACE_F32, "f32", {2e-5, 2e-5, 2e-5, 2e-5, 2e-5, 2e-5, 2e-5, 2e-5}},
    {ACE_BF16, "bf16", {0.05, 0.05, 0.05, 0.05, 0.05, 0.05, 0.05, 0.05}},
    {ACE_I8, "int8", {0.05, 0.05, 0.05, 0.05, 0.05, 0.05, 0, 0}}, /* 0: never computed so */
};
enum { PRECISIONS = sizeof precisions / sizeof precisions[0] };

static double worst[PRECISIONS][N_NETWORKS];
static uint64_t worst_seed[PRECISIONS][N_NETWORKS];

static void compare(ace_device *const *devices, const opened *o, network kind, int precision)
{
    ace_dtype dtype = precisions[precision].dtype;
    ace_device *reference = bench_reference();
    outcome right = run_as_planned(reference, o, kind, dtype);
    ace_device_close(reference);
    for (int k = 0; devices[k] != NULL; k++) {
        outcome found = run_as_planned(devices[k], o, kind, dtype);
        double far = distance(&found, &right);
        if (!(far <= worst[precision][kind])) {
            worst[precision][kind] = far;
            worst_seed[precision][kind] = o->drawn.seed;
        }
        if (!(far <= precisions[precision].most[kind])) {
            fail_msg("%s: %s in %s on %s %d is %g away from what is right",
                     architecture_text(&o->drawn), network_names[kind], precisions[precision].name,
                     devices[k]->name, k, far);
        }
        free(found.values);
    }
    free(right.values);
}

static void networks_agree_with_the_reference(void **state)
{
    (void)state;
    seed_range r = chosen_seeds(24);
    ace_device *devices[8] = {NULL};
    for (int k = 0; (devices[k] = device_at(k)) != NULL; k++) {
    }
    for (int i = 0; i < r.count; i++) {
        opened *o = open_architecture(r.first + (uint64_t)i, false);
        for (int k = 0; k < PRECISIONS * N_NETWORKS; k++) {
            if (precisions[k % PRECISIONS].most[k / PRECISIONS] > 0) {
                compare(devices, o, (network)(k / PRECISIONS), k % PRECISIONS);
            }
        }
        close_architecture(o);
    }
    for (int k = 0; k < N_NETWORKS; k++) {
        print_message("%-18s", network_names[k]);
        for (int p = 0; p < PRECISIONS; p++) {
            print_message(" %s %.2e (%llu)", precisions[p].name, worst[p][k],
                          (long long unsigned)worst_seed[p][k]);
        }
        print_message("\n");
    }
    for (int k = 0; devices[k] != NULL; k++) {
        ace_device_close(devices[k]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(configs_say_what_was_drawn),
        cmocka_unit_test(networks_agree_with_the_reference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
