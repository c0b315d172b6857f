/* Networks on a device that keeps steps: the same bytes as without, and steps that come again are
 * really replayed. */
#include "model/dit.h"
#include "model/language_model.h"
#include "support/bench_device.h"
#include "support/keeping_device.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void *need(size_t count, size_t size)
{
    void *p = calloc(count, size);
    assert_non_null(p);
    return p;
}

static void fill(float *values, int64_t n, int64_t seed)
{
    for (int64_t i = 0; i < n; i++) {
        values[i] = (float)((i * 37 + seed * 101) % 211) / 211.0f - 0.5f;
    }
}

/* The best CPU level there is, behind a device that keeps steps. */
static ace_device *keeping_cpu(void)
{
    int i = 0;
    ace_device *d = bench_device(0);
    for (ace_device *next; (next = bench_device(i + 1)) != NULL; i++) {
        ace_device_close(d);
        d = next;
    }
    return keeping_device_open(d);
}

/* ---- the diffusion transformer --------------------------------------------------------------- */

enum { SONGS = 2, FRAMES = 11, LENGTH = 9, EVALUATIONS = 9 };

typedef struct diffusion {
    test_bench bench;
    ace_dit dit;
    ace_dit_session session;
    keeping_counts counts;
    float *v; /* [EVALUATIONS, 2, SONGS, FRAMES, channels] */
    int observed;
} diffusion;

static void begin_diffusion(diffusion *d)
{
    const ace_dit_config *c = &d->dit.config;
    int64_t width = c->encoder.hidden;
    int64_t context_cols = c->in_channels - c->latent_channels;
    float *context = need((size_t)(SONGS * FRAMES * context_cols), sizeof *context);
    float *states = need((size_t)(LENGTH * width), sizeof *states);
    const float *const conditions[] = {states, states + 2 * width};
    const int64_t lengths[] = {LENGTH, LENGTH - 2};
    const int32_t of[SONGS] = {1, 0};
    fill(context, SONGS * FRAMES * context_cols, 1);
    fill(states, LENGTH * width, 2);
    ace_dit_inputs in = {.batch = SONGS,
                         .frames = FRAMES,
                         .context = context,
                         .n_conditions = 2,
                         .condition = conditions,
                         .condition_length = lengths,
                         .condition_of = of,
                         .guided = true};
    ace_dit_begin(&d->bench.stream, &d->dit, &in, &d->session);
    free(context);
    free(states);
}

/* From two places in turn, as Heun's method asks: of the one both branches, of the other what is on
 * the device already. */
static void evaluate(diffusion *d)
{
    int64_t size = SONGS * FRAMES * d->dit.config.latent_channels;
    float *x = need((size_t)(2 * size), sizeof *x);
    d->v = need((size_t)(EVALUATIONS * 2 * size), sizeof *d->v);
    for (int k = 0; k < EVALUATIONS; k++) {
        float *at = x + k % 2 * size;
        const float t[SONGS] = {1 - 0.1f * (float)k, 0.9f - 0.05f * (float)k};
        fill(at, size, k);
        ace_dit_velocity(&d->session, at, t, t, false, d->v + 2 * k * size);
        d->session.same_x = k % 2 == 1;
        ace_dit_velocity(&d->session, at, t, t, k % 2 == 0, d->v + (2 * k + 1) * size);
    }
    free(x);
}

static void look(void *context, ace_stream *s, const char *name, ace_tensor t)
{
    (void)s, (void)name, (void)t;
    (*(int *)context)++;
}

static diffusion *run_diffusion(bool keeps, bool observed, int refused)
{
    diffusion *d = need(1, sizeof *d);
    ace_dit_config config = bench_dit_config("acestep-v15-base");
    bench_open(&d->bench, keeping_cpu(), "acestep-v15-base", ACE_BF16);
    ace_dit_load(&d->bench.loader, &config, &d->dit);
    bench_loaded(&d->bench);
    d->bench.stream.keeps_steps = keeps;
    d->dit.observer = observed ? (ace_observer){look, &d->observed} : (ace_observer){0};
    keeping_device_refuse(d->bench.device, refused);
    begin_diffusion(d);
    evaluate(d);
    bench_check(&d->bench);
    d->counts = keeping_device_counts(d->bench.device);
    return d;
}

static void close_diffusion(diffusion *d)
{
    bench_close(&d->bench);
    free(d->v);
    free(d);
}

static void same_velocities(const diffusion *a, const diffusion *b)
{
    int64_t n = (int64_t)EVALUATIONS * 2 * SONGS * FRAMES * a->dit.config.latent_channels;
    assert_memory_equal(a->v, b->v, (size_t)n * sizeof *a->v);
    assert_int_equal(a->bench.arena.high_water, b->bench.arena.high_water);
    assert_memory_equal(&a->bench.stream.counters, &b->bench.stream.counters,
                        sizeof a->bench.stream.counters);
}

static void velocities_are_the_same(void **state)
{
    (void)state;
    diffusion *plain = run_diffusion(false, false, 0);
    diffusion *kept = run_diffusion(true, false, 0);
    diffusion *refused = run_diffusion(true, false, 3);
    same_velocities(plain, kept);
    same_velocities(plain, refused);
    assert_int_equal(plain->counts.issued, 0);
    assert_int_equal(kept->counts.issued, 4); /* two kinds from two places */
    assert_int_equal(kept->counts.recorded, 4);
    assert_int_equal(kept->counts.replayed, 2 * EVALUATIONS - 8);
    assert_true(refused->counts.replayed > 0);
    assert_true(refused->counts.replayed < kept->counts.replayed);
    close_diffusion(plain);
    close_diffusion(kept);
    close_diffusion(refused);
}

static void who_looks_on_sees_every_layer(void **state)
{
    (void)state;
    diffusion *d = run_diffusion(true, true, 0);
    assert_int_equal(d->counts.issued + d->counts.recorded + d->counts.replayed, 0);
    assert_true(d->observed > 2 * EVALUATIONS * d->dit.config.layers);
    close_diffusion(d);
}

/* ---- the language model ---------------------------------------------------------------------- */

enum { PROMPT = 245, OWN = 40, SEQUENCES = 3, VOCABULARY = ACE_LM_HEAD_ROWS + 500 };

static const ace_qwen3_config small = {.block = {.hidden = 48,
                                                 .intermediate = 80,
                                                 .heads = 4,
                                                 .kv_heads = 2,
                                                 .head_dim = 16,
                                                 .rms_eps = 1e-6f,
                                                 .rope_theta = 1e6},
                                       .layers = 2,
                                       .vocabulary = VOCABULARY,
                                       .tied_embeddings = true};

typedef struct writing {
    test_bench bench;
    ace_language_model model;
    ace_lm_session session;
    keeping_counts counts;
    float *logits; /* all that came, one after another */
    int64_t n;
} writing;

enum { MOST_LOGITS = 200 * 600 };

/* `tokens` more for sequences 0 … n - 1; logits of 600 columns from `first` on. */
static void write_tokens(writing *w, int n, int tokens, int64_t first)
{
    static float embeddings[SEQUENCES * 48];
    static const int sequences[SEQUENCES] = {2, 0, 1};
    for (int k = 0; k < tokens; k++) {
        fill(embeddings, n * 48, k);
        ace_lm_logits logits = {.first = first, .count = 600, .values = w->logits + w->n};
        w->n += n * 600;
        assert_true(w->n <= MOST_LOGITS);
        ace_lm_decode(&w->session, sequences, n, embeddings, &logits);
    }
}

/* Across the place where attention is asked about more keys, with fewer sequences, and with other
 * logits. */
static writing *run_writing(bool keeps)
{
    writing *w = need(1, sizeof *w);
    float *prompt = need(PROMPT * 48, sizeof *prompt);
    const ace_lm_shape shape = {.prompts = 2,
                                .prompt_tokens = {PROMPT, 7},
                                .sequences = SEQUENCES,
                                .prompt_of = {0, 1, 0},
                                .own_tokens = OWN};
    w->logits = need(MOST_LOGITS, sizeof *w->logits);
    bench_open(&w->bench, keeping_cpu(), NULL, ACE_BF16);
    ace_language_model_load(&w->bench.loader, &small, &w->model);
    bench_loaded(&w->bench);
    w->bench.stream.keeps_steps = keeps;
    ace_lm_begin(&w->bench.stream, &w->model, &shape, &w->session);
    fill(prompt, PROMPT * 48, 3);
    ace_lm_read_prompt(&w->session, 0, prompt, PROMPT, NULL);
    ace_lm_read_prompt(&w->session, 1, prompt, 7, NULL);
    write_tokens(w, 3, 20, 0); /* keys 246 … 265: the twelfth is the 257th */
    write_tokens(w, 2, 6, 0);
    ace_lm_rewind(&w->session, 2, 3);
    ace_lm_rewind(&w->session, 0, 3);
    write_tokens(w, 2, 4, VOCABULARY - 600);
    write_tokens(w, 2, 4, 0); /* and no more than 256 keys */
    bench_check(&w->bench);
    w->counts = keeping_device_counts(w->bench.device);
    free(prompt);
    return w;
}

static void close_writing(writing *w)
{
    bench_close(&w->bench);
    free(w->logits);
    free(w);
}

static void logits_are_the_same(void **state)
{
    (void)state;
    writing *plain = run_writing(false);
    writing *kept = run_writing(true);
    assert_int_equal(plain->n, kept->n);
    assert_memory_equal(plain->logits, kept->logits, (size_t)kept->n * sizeof *kept->logits);
    assert_memory_equal(&plain->bench.stream.counters, &kept->bench.stream.counters,
                        sizeof kept->bench.stream.counters);
    assert_int_equal(plain->counts.issued, 0);
    assert_int_equal(kept->counts.issued, 5);
    assert_int_equal(kept->counts.recorded, 5);
    assert_int_equal(kept->counts.replayed, 20 + 6 + 4 + 4 - 10);
    assert_int_equal(kept->counts.forgotten, 4);
    close_writing(plain);
    close_writing(kept);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(velocities_are_the_same),
        cmocka_unit_test(who_looks_on_sees_every_layer),
        cmocka_unit_test(logits_are_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
