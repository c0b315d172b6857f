/* Memory of the transformer networks: a measured plan holds to the byte on every device, every
 * shortage is an error, and the published shapes take what the design promises. */
#include "base/memory.h"
#include "model/condition_encoder.h"
#include "model/dit.h"
#include "model/fsq.h"
#include "model/language_model.h"
#include "model/text_encoder.h"
#include "support/bench_device.h"
#include "support/golden.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
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
    N_NETWORKS
} network;

static const char *const network_names[] = {"text encoder", "condition encoder", "tokenizer",
                                            "detokenizer",  "diffusion",         "language model"};

typedef struct job {
    network network;
    ace_qwen3_config text; /* or language model */
    ace_dit_config dit;
    const ace_weights *weights; /* NULL: only for measuring */
    ace_dtype precision;        /* of the matrices; activations as in bench_open */
    int64_t size;               /* tokens, groups of frames, or latent frames */
    int batch, conditions;      /* of the diffusion transformer */
    int64_t condition_length;
    bool guided;
} job;

typedef struct outcome {
    ace_status status;
    size_t high_water;
    size_t weights; /* bytes that stay after loading */
    double flops;   /* of one pass; of the last evaluation for the diffusion transformer */
} outcome;

typedef union model {
    ace_text_encoder text;
    ace_condition_encoder condition;
    ace_fsq_tokenizer tokenizer;
    ace_fsq_detokenizer detokenizer;
    ace_dit dit;
    ace_language_model lm;
} model;

static void load(ace_loader *l, const job *j, model *m)
{
    switch (j->network) {
    case TEXT_ENCODER:
        ace_text_encoder_load(l, &j->text, &m->text);
        break;
    case CONDITION_ENCODER:
        ace_condition_encoder_load(l, &j->dit, &m->condition);
        break;
    case TOKENIZER:
        ace_fsq_tokenizer_load(l, &j->dit, &m->tokenizer);
        break;
    case DETOKENIZER:
        ace_fsq_detokenizer_load(l, &j->dit, &m->detokenizer);
        break;
    case LANGUAGE_MODEL:
        ace_language_model_load(l, &j->text, &m->lm);
        break;
    case DIFFUSION:
    case N_NETWORKS:
        ace_dit_load(l, &j->dit, &m->dit);
        break;
    }
}

/* ---- passes; zeros in, results thrown away; NULL in and out while measuring ------------------ */

static float *zeros(const ace_stream *s, int64_t n)
{
    float *values = s->device->computes ? calloc((size_t)n, sizeof *values) : NULL;
    assert_true(values != NULL || !s->device->computes);
    return values;
}

static void pass_text(ace_stream *s, const job *j, const model *m)
{
    float *host = zeros(s, j->size * j->text.block.hidden);
    ace_tensor x = ace_new_from(s, ACE_F32, j->size, j->text.block.hidden, host);
    ace_text_encoder_forward(s, &m->text, x, 1, j->size, NULL, x);
    ace_download(s, host, x);
    free(host);
}

static void pass_condition(ace_stream *s, const job *j, const model *m)
{
    int64_t n = 2 * j->size + 1;
    float *text = zeros(s, j->size * j->dit.text_dim);
    float *timbre = zeros(s, j->size * j->dit.latent_channels);
    float *out = zeros(s, n * j->dit.encoder.hidden);
    ace_condition_input in = {.text = text,
                              .n_text = j->size,
                              .lyrics = text,
                              .n_lyrics = j->size,
                              .timbre = timbre,
                              .n_refs = 1,
                              .timbre_frames = j->size};
    ace_condition_encode(s, &m->condition, &in, out);
    free(text);
    free(timbre);
    free(out);
}

static void pass_codes(ace_stream *s, const job *j, const model *m)
{
    float *latents = zeros(s, j->size * j->dit.pool_window * j->dit.latent_channels);
    int32_t *codes = calloc((size_t)j->size, sizeof *codes);
    float *quantised = zeros(s, j->size * j->dit.encoder.hidden);
    assert_non_null(codes);
    if (j->network == TOKENIZER) {
        ace_fsq_encoding out = {.codes = codes};
        ace_fsq_encode(s, &m->tokenizer, latents, j->size, &out);
    } else {
        ace_fsq_decode(s, &m->detokenizer, codes, j->size, quantised, latents);
    }
    free(latents);
    free(codes);
    free(quantised);
}

static double pass_diffusion(ace_stream *s, const job *j, const model *m)
{
    int64_t channels = j->dit.latent_channels;
    float *context = zeros(s, j->batch * j->size * (j->dit.in_channels - channels));
    float *condition = zeros(s, j->condition_length * j->dit.encoder.hidden);
    float *x = zeros(s, j->batch * j->size * channels);
    const float *conditions[ACE_DIT_MAX_CONDITIONS] = {0};
    int64_t lengths[ACE_DIT_MAX_CONDITIONS] = {0};
    int32_t condition_of[ACE_DIT_MAX_BATCH] = {0};
    float t[ACE_DIT_MAX_BATCH] = {0};
    for (int i = 0; i < j->conditions; i++) {
        conditions[i] = condition;
        lengths[i] = j->condition_length - i;
    }
    for (int b = 0; b < j->batch; b++) {
        condition_of[b] = b % j->conditions;
    }
    ace_dit_inputs in = {j->batch,   j->size, context,      j->conditions,
                         conditions, lengths, condition_of, j->guided};
    ace_dit_session *session = malloc(sizeof *session);
    assert_non_null(session);
    ace_dit_begin(s, &m->dit, &in, session);
    double begun = s->counters.flops;
    ace_dit_velocity(session, x, t, t, false, x);
    double flops = s->counters.flops - begun;
    if (j->guided) {
        ace_dit_velocity(session, x, t, t, true, x);
    }
    free(session);
    free(context);
    free(condition);
    free(x);
    return flops;
}

/* Two prompts of unequal length, three sequences, and two tokens of each. */
static void pass_language(ace_stream *s, const job *j, const model *m)
{
    enum { SEQUENCES = 3, STEPS = 2 };
    const int sequences[SEQUENCES] = {0, 1, 2};
    const ace_lm_shape shape = {.prompts = 2,
                                .prompt_tokens = {j->size, 1 + j->size / 3},
                                .sequences = SEQUENCES,
                                .prompt_of = {0, 1, 0},
                                .own_tokens = STEPS};
    float *embeddings = zeros(s, (j->size + SEQUENCES) * j->text.block.hidden);
    float *values = zeros(s, SEQUENCES * j->text.vocabulary);
    ace_lm_session *session = malloc(sizeof *session);
    assert_non_null(session);
    ace_lm_logits logits = {.count = j->text.vocabulary, .rows = 1, .values = values};
    ace_lm_begin(s, &m->lm, &shape, session);
    for (int i = 0; i < shape.prompts; i++) {
        ace_lm_read_prompt(session, i, embeddings, shape.prompt_tokens[i], &logits);
    }
    for (int i = 0; i < STEPS; i++) {
        ace_lm_decode(session, sequences, SEQUENCES, embeddings, &logits);
    }
    free(session);
    free(embeddings);
    free(values);
}

static double pass(ace_stream *s, const job *j, const model *m)
{
    double before = s->counters.flops;
    switch (j->network) {
    case TEXT_ENCODER:
        pass_text(s, j, m);
        break;
    case CONDITION_ENCODER:
        pass_condition(s, j, m);
        break;
    case TOKENIZER:
    case DETOKENIZER:
        pass_codes(s, j, m);
        break;
    case LANGUAGE_MODEL:
        pass_language(s, j, m);
        break;
    case DIFFUSION:
    case N_NETWORKS:
        return pass_diffusion(s, j, m);
    }
    return s->counters.flops - before;
}

static outcome run(ace_device *device, size_t capacity, const job *j, uint64_t fail_at)
{
    ace_error error = {0};
    ace_arena arena;
    ace_stream s;
    ace_loader l;
    model *m = malloc(sizeof *m);
    assert_non_null(m);
    assert_int_equal(ace_arena_open(&arena, device, capacity, &error), ACESTEP_OK);
    ace_stream_init(&s, device, &arena, j->precision == ACE_F32 ? ACE_F32 : ACE_BF16, &error);
    ace_memory_fail_at(fail_at);
    ace_loader_init(&l, &s, j->weights, j->precision);
    load(&l, j, m);
    (void)ace_loader_finish(&l);
    size_t weights = arena.used;
    double flops = pass(&s, j, m);
    ace_memory_fail_at(0);
    outcome out = {ace_stream_status(&s), arena.high_water, weights, flops};
    assert_int_equal(error.code, out.status);
    ace_arena_close(&arena);
    free(m);
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

/* ---- the small recorded models --------------------------------------------------------------- */

static const char *qwen3_folder(network kind)
{
    return kind == LANGUAGE_MODEL ? "acestep-5Hz-lm-0.6B" : "Qwen3-Embedding-0.6B";
}

static job golden_job(network kind)
{
    return (job){.network = kind,
                 .text = bench_qwen3_config(qwen3_folder(kind)),
                 .dit = bench_dit_config("acestep-v15-turbo"),
                 .precision = ACE_F32,
                 .size = 13,
                 .batch = 2,
                 .conditions = 2,
                 .condition_length = 9,
                 .guided = true};
}

static ace_weights *golden_weights(network kind)
{
    ace_weights *w = NULL;
    bool is_qwen3 = kind == TEXT_ENCODER || kind == LANGUAGE_MODEL;
    const char *folder = is_qwen3 ? qwen3_folder(kind) : "acestep-v15-turbo";
    assert_int_equal(ace_weights_open(golden_path(folder), &w, NULL), ACESTEP_OK);
    return w;
}

static void check_plan(ace_device *device, const job *j)
{
    job blind = *j;
    blind.weights = NULL;
    outcome plan = measured(device, &blind);
    outcome real = run(device, plan.high_water, j, 0);
    assert_int_equal(real.status, ACESTEP_OK);
    assert_int_equal(real.high_water, plan.high_water);
    assert_int_equal(real.weights, plan.weights);
    assert_true(real.flops == plan.flops);
    assert_int_equal(run(device, plan.high_water - 1, j, 0).status, ACESTEP_MEMORY);
}

static void plan_holds_to_the_byte(void **state)
{
    (void)state;
    static const ace_dtype precisions[] = {ACE_F32, ACE_BF16, ACE_I8};
    static const int64_t sizes[] = {1, 13, 300}; /* 300 groups of frames take two runs */
    ace_device *device = NULL;
    for (int i = 0; (device = bench_device(i)) != NULL; i++) {
        for (int k = 0; k < N_NETWORKS * 3 * 3; k++) {
            job j = golden_job((network)(k / 9));
            j.precision = precisions[k % 3];
            j.size = sizes[k / 3 % 3];
            if (i == 0 && j.size == 300) {
                continue; /* the reference device would take long */
            }
            ace_weights *weights = golden_weights(j.network);
            j.weights = weights;
            check_plan(device, &j);
            ace_weights_close(weights);
        }
        ace_device_close(device);
    }
}

static void every_smaller_arena_is_refused(void **state)
{
    (void)state;
    ace_device *device = bench_device(1);
    for (int k = 0; k < N_NETWORKS; k++) {
        ace_weights *weights = golden_weights((network)k);
        job j = golden_job((network)k);
        size_t needed = measured(device, &j).high_water;
        j.weights = weights;
        for (size_t capacity = 64; capacity < needed; capacity += needed / 50 + 1) {
            assert_int_equal(run(device, capacity, &j, 0).status, ACESTEP_MEMORY);
        }
        ace_weights_close(weights);
    }
    ace_device_close(device);
}

/* Fails the n-th host allocation for every n until one run gets through. */
static void every_host_failure_is_reported(void **state)
{
    (void)state;
    ace_device *device = bench_device(1);
    for (int k = 0; k < N_NETWORKS; k++) {
        ace_weights *weights = golden_weights((network)k);
        job j = golden_job((network)k);
        j.weights = weights;
        size_t capacity = measured(device, &j).high_water;
        uint64_t before = ace_memory_live();
        ace_status status = ACESTEP_MEMORY;
        uint64_t failures = 0;
        for (uint64_t n = 1; status == ACESTEP_MEMORY; n++) {
            status = run(device, capacity, &j, n).status;
            assert_int_equal(ace_memory_live(), before);
            failures += status == ACESTEP_MEMORY;
        }
        assert_int_equal(status, ACESTEP_OK);
        assert_true(failures >= 2); /* the arena and a rope table at least */
        ace_weights_close(weights);
    }
    ace_device_close(device);
}

/* ---- the published shapes -------------------------------------------------------------------- */

static job published_job(network kind, const char *name, ace_dtype precision)
{
    job j = {.network = kind,
             .precision = precision,
             .batch = 1,
             .conditions = 1,
             .condition_length = 300};
    ace_text_encoder_config_published(&j.text);
    assert_int_equal(ace_dit_config_published(name, &j.dit, NULL), ACESTEP_OK);
    return j;
}

/* Working memory that one more unit of size takes, between two large sizes. */
static size_t slope(const ace_device *device, job *j, int64_t small, int64_t large)
{
    j->size = small;
    outcome a = measured(device, j);
    j->size = large;
    outcome b = measured(device, j);
    return (b.high_water - a.high_water) / (size_t)(large - small);
}

/* Per token: two frames of input, a rope row, the residual, and during self-attention queries, keys
 * and values beside the attended rows. The MLP runs in blocks of rows and adds nothing here. */
static size_t promised_per_token(const ace_dit_config *c, size_t activation)
{
    const ace_block_config *d = &c->decoder;
    size_t q = (size_t)(d->heads * d->head_dim);
    size_t kv = (size_t)(d->kv_heads * d->head_dim);
    size_t input = (size_t)(c->patch * c->in_channels) * activation;
    return input + (size_t)(d->head_dim + d->hidden) * sizeof(float) +
           (2 * q + 2 * kv) * activation;
}

static void diffusion_takes_what_it_promises(void **state)
{
    (void)state;
    static const char *const names[] = {"turbo", "xl-turbo"};
    ace_device *device = bench_device(1);
    for (int k = 0; k < 4; k++) {
        job j = published_job(DIFFUSION, names[k / 2], k % 2 == 0 ? ACE_F32 : ACE_BF16);
        size_t bytes = ace_dtype_bytes(j.precision);
        size_t per_frame = slope(device, &j, 6400, 12800);
        print_message("%s, %s: %zu bytes per token\n", names[k / 2], ace_dtype_name(j.precision),
                      2 * per_frame);
        assert_int_equal(2 * per_frame, promised_per_token(&j.dit, bytes));
        /* bf16: the 36,864 (2B) and 54,272 (XL) of a plain implementation are an upper bound */
        assert_true(k % 2 == 0 || 2 * per_frame <= (k == 1 ? 36864 : 54272));
        j.guided = true; /* the null branch is a second pass through the same memory */
        assert_int_equal(slope(device, &j, 6400, 12800), per_frame);
    }
    ace_device_close(device);
}

/* Keys and values of the condition are stored once for all songs that share it. */
static void a_shared_condition_is_stored_once(void **state)
{
    (void)state;
    ace_device *device = bench_device(1);
    job j = published_job(DIFFUSION, "turbo", ACE_BF16);
    j.size = 256;
    j.batch = 4;
    j.condition_length = 2048;
    size_t shared = measured(device, &j).high_water;
    j.conditions = 4;
    size_t own = measured(device, &j).high_water;
    /* 24 layers · 2 · 8 heads · 128 lanes · 2 bytes per condition token */
    assert_int_equal(own - shared, (size_t)3 * 2048 * 98304);
    ace_device_close(device);
}

static void other_networks_stay_small(void **state)
{
    (void)state;
    ace_device *device = bench_device(1);
    for (int k = 0; k < DIFFUSION; k++) {
        job j = published_job((network)k, "xl-turbo", ACE_BF16);
        /* of fixed sizes: 300 tokens of text; 2048 of lyrics; 10 minutes of codes */
        static const int64_t sizes[] = {256, 2048, 3000, 3000};
        j.size = sizes[k];
        outcome o = measured(device, &j);
        size_t working = o.high_water - o.weights;
        print_message("%s, bf16: weights %zu MB, working memory %.1f MB for %d\n", network_names[k],
                      o.weights / 1000000, (double)working / 1e6, (int)j.size);
        assert_true(working < (size_t)110 * 1000 * 1000);
    }
    ace_device_close(device);
}

/* Matrices in bf16 and vectors in f32, no second copy of anything. */
static void weights_take_what_they_hold(void **state)
{
    (void)state;
    static const struct {
        network network;
        const char *name;
        double parameters;
    } parts[] = {
        {TEXT_ENCODER, "turbo", 28 * 15730944.0 + 1024},
        {CONDITION_ENCODER, "turbo", 608367616.0},
        {TOKENIZER, "turbo", 105032198.0},
        {DETOKENIZER, "turbo", 105011776.0},
        {DIFFUSION, "turbo", 1575458880.0},
        {DIFFUSION, "xl-turbo", 4168897088.0},
    };
    ace_device *device = bench_device(1);
    for (size_t k = 0; k < sizeof parts / sizeof parts[0]; k++) {
        job j = published_job(parts[k].network, parts[k].name, ACE_BF16);
        j.size = 16;
        double weights = (double)measured(device, &j).weights;
        assert_true(weights >= 2 * parts[k].parameters);
        assert_true(weights < 2 * parts[k].parameters * 1.01);
    }
    ace_device_close(device);
}

/* One evaluation against the operation counts of the published shapes with 300 condition tokens. */
static void evaluations_cost_what_they_must(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int64_t frames;
        double teraflops;
    } songs[] = {
        {"turbo", 1500, 2.23},    {"turbo", 6000, 9.60},    {"turbo", 15000, 27.3},
        {"xl-turbo", 1500, 6.17}, {"xl-turbo", 6000, 26.4}, {"xl-turbo", 15000, 75.0},
    };
    ace_device *device = bench_device(1);
    for (size_t k = 0; k < sizeof songs / sizeof songs[0]; k++) {
        job j = published_job(DIFFUSION, songs[k].name, ACE_BF16);
        j.size = songs[k].frames;
        double found = measured(device, &j).flops / 1e12;
        assert_true(fabs(found / songs[k].teraflops - 1) < 0.01);
    }
    ace_device_close(device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plan_holds_to_the_byte),
        cmocka_unit_test(every_smaller_arena_is_refused),
        cmocka_unit_test(every_host_failure_is_reported),
        cmocka_unit_test(diffusion_takes_what_it_promises),
        cmocka_unit_test(a_shared_condition_is_stored_once),
        cmocka_unit_test(other_networks_stay_small),
        cmocka_unit_test(weights_take_what_they_hold),
        cmocka_unit_test(evaluations_cost_what_they_must),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
