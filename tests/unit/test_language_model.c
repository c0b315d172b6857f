/* The 5 Hz language model: recorded logits and continuations, what its cache may not change, and
 * what it takes. */
#include "model/language_pass.h"
#include "support/bench_device.h"
#include "support/golden.h"
#include "weights/embedding.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char folder[] = "acestep-5Hz-lm-0.6B";
static const ace_dtype precisions[] = {ACE_F32, ACE_BF16, ACE_I8};

/* A small model with a head of more than one part. */
static const ace_qwen3_config wide = {.block = {.hidden = 48,
                                                .intermediate = 80,
                                                .heads = 4,
                                                .kv_heads = 2,
                                                .head_dim = 16,
                                                .rms_eps = 1e-6f,
                                                .rope_theta = 1e6},
                                      .layers = 2,
                                      .vocabulary = 3 * ACE_LM_HEAD_ROWS - 100,
                                      .tied_embeddings = true};

typedef struct lm_bench {
    test_bench b;
    ace_language_model *model;
    ace_lm_session *session;
    ace_arena_mark loaded;
    bool int8_cache; /* of the sessions to come */
} lm_bench;

/* config NULL: the recorded model; else made-up weights. */
static void lm_open(lm_bench *l, ace_device *device, const ace_qwen3_config *config,
                    ace_dtype precision)
{
    ace_qwen3_config c = config != NULL ? *config : bench_qwen3_config(folder);
    l->int8_cache = false;
    l->model = malloc(sizeof *l->model);
    l->session = malloc(sizeof *l->session);
    assert_non_null(l->model);
    assert_non_null(l->session);
    bench_open(&l->b, device, config != NULL ? NULL : folder, precision);
    ace_language_model_load(&l->b.loader, &c, l->model);
    bench_loaded(&l->b);
    l->loaded = ace_mark(&l->b.stream);
}

static void lm_close(lm_bench *l)
{
    bench_close(&l->b);
    free(l->model);
    free(l->session);
}

/* A new session in the place of the last. */
static void lm_begin(lm_bench *l, const ace_lm_shape *shape)
{
    ace_lm_shape whole = *shape;
    whole.int8_cache = l->int8_cache;
    ace_reset(&l->b.stream, &l->loaded);
    ace_lm_begin(&l->b.stream, l->model, &whole, l->session);
    bench_check(&l->b);
}

static float *numbers(int64_t n)
{
    float *out = calloc((size_t)n, sizeof *out);
    assert_non_null(out);
    return out;
}

/* [n, hidden]; free with free(). */
static float *embed(lm_bench *l, const int32_t *ids, int64_t n)
{
    const ace_qwen3_config *c = &l->model->config;
    float *out = numbers(n * c->block.hidden);
    assert_int_equal(ace_embedding_gather(l->b.weights, "embed_tokens.weight", c->vocabulary,
                                          c->block.hidden, ids, n, out, &l->b.error),
                     ACESTEP_OK);
    return out;
}

static int64_t vocabulary_of(const lm_bench *l)
{
    return l->model->config.vocabulary;
}

/* Reads tokens into a prompt, or into a sequence; logits of the last `rows` of them. */
static void read_prompt(lm_bench *l, int prompt, const int32_t *ids, int64_t n, int64_t rows,
                        float *values)
{
    float *x = embed(l, ids, n);
    ace_lm_logits all = {.count = vocabulary_of(l), .rows = rows, .values = values};
    ace_lm_read_prompt(l->session, prompt, x, n, rows > 0 ? &all : NULL);
    bench_check(&l->b);
    free(x);
}

static void read_own(lm_bench *l, int sequence, const int32_t *ids, int64_t n, int64_t rows,
                     float *values)
{
    float *x = embed(l, ids, n);
    ace_lm_logits all = {.count = vocabulary_of(l), .rows = rows, .values = values};
    ace_lm_read(l->session, sequence, x, n, &all);
    bench_check(&l->b);
    free(x);
}

/* One token for each sequence: values [n, vocabulary]. */
static void decode(lm_bench *l, const int *sequences, int n, const int32_t *ids, float *values)
{
    float *x = embed(l, ids, n);
    ace_lm_logits all = {.count = vocabulary_of(l), .values = values};
    ace_lm_decode(l->session, sequences, n, x, &all);
    bench_check(&l->b);
    free(x);
}

/* ---- recorded cases -------------------------------------------------------------------------- */

enum { MOST_TOKENS = 32, MOST_SEQUENCES = 2 };

/* The sequences of a case without their padding. */
typedef struct recording {
    golden g;
    int batch;
    int64_t length[MOST_SEQUENCES];
    int32_t ids[MOST_SEQUENCES][MOST_TOKENS];
} recording;

static void recording_open(recording *r, const char *name, bool padded)
{
    memset(r, 0, sizeof *r);
    r->g = golden_open(name);
    const ace_weight *shape = golden_tensor(&r->g, "in.input_ids");
    int64_t *ids = golden_i64(&r->g, "in.input_ids");
    int64_t *mask = padded ? golden_i64(&r->g, "in.attention_mask") : NULL;
    r->batch = (int)shape->dim[0];
    assert_in_range(r->batch, 1, MOST_SEQUENCES);
    assert_in_range(shape->dim[1], 1, MOST_TOKENS);
    for (int64_t i = 0; i < r->batch * shape->dim[1]; i++) {
        int64_t b = i / shape->dim[1];
        if (mask == NULL || mask[i] != 0) {
            r->ids[b][r->length[b]++] = (int32_t)ids[i];
        }
    }
    free(ids);
    free(mask);
}

static ace_lm_shape shape_of(const recording *r, int64_t own)
{
    ace_lm_shape shape = {.prompts = r->batch, .sequences = r->batch, .own_tokens = own};
    for (int b = 0; b < r->batch; b++) {
        shape.prompt_tokens[b] = r->length[b];
        shape.prompt_of[b] = b;
    }
    return shape;
}

static void keep_states(void *context, ace_stream *s, const char *name, ace_tensor t)
{
    assert_string_equal(name, "last_hidden_state");
    ace_download(s, context, t);
}

static void prompts_match_recorded(void **state)
{
    (void)state;
    ace_device *device = NULL;
    for (int i = 0; (device = bench_device(i)) != NULL; i++) {
        lm_bench l;
        recording r;
        lm_open(&l, device, NULL, ACE_F32);
        recording_open(&r, "lm_logits", false);
        ace_lm_shape shape = shape_of(&r, 1);
        float *logits = numbers(r.length[0] * vocabulary_of(&l));
        float *states = numbers(r.length[0] * l.model->config.block.hidden);
        l.model->observer = (ace_observer){keep_states, states};
        lm_begin(&l, &shape);
        read_prompt(&l, 0, r.ids[0], r.length[0], r.length[0], logits);
        assert_true(golden_matches(&r.g, "out.logits", logits));
        assert_true(golden_matches(&r.g, "out.last_hidden_state", states));
        golden_close(&r.g);
        free(logits);
        free(states);
        lm_close(&l);
    }
}

/* The original pads on the left and counts positions over the padding. */
static void padded_batches_match_without_padding(void **state)
{
    (void)state;
    ace_device *device = NULL;
    for (int i = 0; (device = bench_device(i)) != NULL; i++) {
        lm_bench l;
        recording r;
        lm_open(&l, device, NULL, ACE_F32);
        recording_open(&r, "lm_batch2_leftpad", true);
        ace_lm_shape shape = shape_of(&r, 1);
        float *logits = numbers(10 * vocabulary_of(&l));
        lm_begin(&l, &shape);
        read_prompt(&l, 0, r.ids[0], r.length[0], 4, logits);
        read_prompt(&l, 1, r.ids[1], r.length[1], 6, logits + 4 * vocabulary_of(&l));
        assert_int_not_equal(r.length[0], r.length[1]);
        assert_true(golden_matches(&r.g, "out.logits_row0_last4", logits));
        assert_true(golden_matches(&r.g, "out.logits_row1_last6", logits + 4 * vocabulary_of(&l)));
        golden_close(&r.g);
        free(logits);
        lm_close(&l);
    }
}

/* Logits of the next token, two sequences mixed as guidance does, into row 0. */
static void mix(const recording *r, int64_t vocabulary, float scale, float *rows)
{
    for (int64_t i = 0; i < vocabulary && r->batch == 2; i++) {
        float other = rows[vocabulary + i];
        rows[i] = other + scale * (rows[i] - other);
    }
}

static int64_t best_of(const float *row, int64_t n)
{
    int64_t best = 0;
    for (int64_t i = 1; i < n; i++) {
        best = row[i] > row[best] ? i : best;
    }
    return best;
}

/* The n likeliest tokens one after another. */
static void continue_greedily(lm_bench *l, const recording *r, float scale, int64_t n,
                              int64_t *tokens)
{
    int64_t vocabulary = vocabulary_of(l);
    ace_lm_shape shape = shape_of(r, n);
    const int sequences[MOST_SEQUENCES] = {0, 1};
    float *rows = numbers(MOST_SEQUENCES * vocabulary);
    lm_begin(l, &shape);
    for (int b = 0; b < r->batch; b++) {
        read_prompt(l, b, r->ids[b], r->length[b], 1, rows + b * vocabulary);
    }
    for (int64_t step = 0; step < n; step++) {
        mix(r, vocabulary, scale, rows);
        tokens[step] = best_of(rows, vocabulary);
        int32_t id = (int32_t)tokens[step];
        decode(l, sequences, r->batch, (int32_t[]){id, id}, rows);
    }
    free(rows);
}

static const struct {
    const char *name;
    bool guided;
    int64_t tokens;
} greedy[] = {{"lm_greedy32", false, 32}, {"lm_cfg_greedy16", true, 16}};

static void greedy_tokens_are_exact(void **state)
{
    (void)state;
    ace_device *device = NULL;
    for (int i = 0; (device = bench_device(i)) != NULL; i++) {
        lm_bench l;
        lm_open(&l, device, NULL, ACE_F32);
        for (int k = 0; k < 2; k++) {
            recording r;
            int64_t tokens[MOST_TOKENS];
            recording_open(&r, greedy[k].name, greedy[k].guided);
            float *scale = greedy[k].guided ? golden_f32(&r.g, "in.cfg_scale") : NULL;
            continue_greedily(&l, &r, scale != NULL ? *scale : 1, greedy[k].tokens, tokens);
            assert_true(golden_matches_i64(&r.g, "out.tokens", tokens));
            free(scale);
            golden_close(&r.g);
        }
        lm_close(&l);
    }
}

/* What logits may lose, and how close the best two must be for a token to differ. */
typedef struct lower_precision {
    const char *name;
    ace_dtype weights;
    bool int8_cache;
    double cosine, relative, margin;
} lower_precision;

static const lower_precision lower_precisions[] = {
    {"f32, int8 cache", ACE_F32, true, 0.9998, 0.02, 0.5},
    {"bf16", ACE_BF16, false, 0.9998, 0.02, 0.5},
    {"bf16, int8 cache", ACE_BF16, true, 0.9998, 0.02, 0.5},
    {"int8", ACE_I8, false, 0.9992, 0.04, 1.0},
    {"int8, int8 cache", ACE_I8, true, 0.9992, 0.04, 1.0},
};

/* In lower precision a token may only differ first where the best two are close: logits have an RMS
 * of 4.2, of which bf16 keeps about 0.011 and int8 0.02 in RMS. Guidance multiplies that by about
 * scale. Later tokens follow from other ones and say nothing. */
static void lower_precision_differs_only_where_it_is_close(void **state)
{
    (void)state;
    ace_device *device = NULL;
    for (int i = 0; (device = bench_device(i / 10)) != NULL; i++) {
        const lower_precision *lower = &lower_precisions[i % 5];
        int k = i / 5 % 2;
        lm_bench l;
        recording r;
        int64_t tokens[MOST_TOKENS];
        lm_open(&l, device, NULL, lower->weights);
        l.int8_cache = lower->int8_cache;
        recording_open(&r, greedy[k].name, greedy[k].guided);
        float *scale = greedy[k].guided ? golden_f32(&r.g, "in.cfg_scale") : NULL;
        float *margins = golden_f32(&r.g, "out.margins");
        int64_t *want = golden_i64(&r.g, "out.tokens");
        continue_greedily(&l, &r, scale != NULL ? *scale : 1, greedy[k].tokens, tokens);
        int64_t same = 0;
        while (same < greedy[k].tokens && tokens[same] == want[same]) {
            same++;
        }
        print_message("%s, %s: %d of %d tokens as in f32\n", greedy[k].name, lower->name, (int)same,
                      (int)greedy[k].tokens);
        assert_true(same == greedy[k].tokens || (double)margins[same] < lower->margin);
        free(scale);
        free(margins);
        free(want);
        golden_close(&r.g);
        lm_close(&l);
    }
}

static void lower_precision_stays_close(void **state)
{
    (void)state;
    ace_device *device = NULL;
    for (int i = 0; (device = bench_device(i / 5)) != NULL; i++) {
        const lower_precision *lower = &lower_precisions[i % 5];
        lm_bench l;
        recording r;
        double cosine = 0;
        double relative = 0;
        lm_open(&l, device, NULL, lower->weights);
        l.int8_cache = lower->int8_cache;
        recording_open(&r, "lm_logits", false);
        ace_lm_shape shape = shape_of(&r, 1);
        float *logits = numbers(r.length[0] * vocabulary_of(&l));
        lm_begin(&l, &shape);
        read_prompt(&l, 0, r.ids[0], r.length[0], r.length[0], logits);
        golden_distance(&r.g, "out.logits", logits, &cosine, &relative);
        print_message("%s: cosine %.6f, relative RMS %.4f\n", lower->name, cosine, relative);
        assert_true(cosine > lower->cosine);
        assert_true(relative < lower->relative);
        free(logits);
        golden_close(&r.g);
        lm_close(&l);
    }
}

/* ---- what the cache may not change ----------------------------------------------------------- */

static void make_ids(int32_t *ids, int64_t n, unsigned seed)
{
    for (int64_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        ids[i] = (int32_t)(seed >> 8) % (int32_t)wide.vocabulary;
    }
}

static bool close_to(const float *a, const float *b, int64_t n)
{
    bool all = true;
    for (int64_t i = 0; i < n; i++) {
        all = all && fabsf(a[i] - b[i]) <= 2e-5f * (1 + fabsf(b[i]));
    }
    return all;
}

/* Logits of every token of a prompt, against the same tokens read as prompt, in runs of the
 * sequence's own, and one by one. */
static void pieces_do_not_show(void **state)
{
    (void)state;
    enum { N = 24, PROMPT = 5, RUN = 9 };
    int32_t ids[N];
    const int first = 0;
    make_ids(ids, N, 1);
    ace_device *device = NULL;
    for (int i = 0; (device = bench_device(i)) != NULL; i++) {
        lm_bench l;
        lm_open(&l, device, &wide, ACE_F32);
        int64_t v = vocabulary_of(&l);
        float *whole = numbers(N * v);
        float *pieces = numbers(N * v);
        ace_lm_shape one = {.prompts = 1, .prompt_tokens = {N}};
        lm_begin(&l, &one);
        read_prompt(&l, 0, ids, N, N, whole);

        ace_lm_shape cut = {.prompts = 1,
                            .prompt_tokens = {PROMPT + 3}, /* not all of it has to be used */
                            .sequences = 1,
                            .own_tokens = N - PROMPT};
        lm_begin(&l, &cut);
        read_prompt(&l, 0, ids, 2, 2, pieces);
        read_prompt(&l, 0, ids + 2, PROMPT - 2, PROMPT - 2, pieces + 2 * v);
        read_own(&l, 0, ids + PROMPT, RUN, RUN, pieces + PROMPT * v);
        for (int k = PROMPT + RUN; k < N; k++) {
            decode(&l, &first, 1, ids + k, pieces + k * v);
        }
        assert_true(close_to(pieces, whole, N * v));
        free(whole);
        free(pieces);
        lm_close(&l);
    }
}

/* More tokens than are read at once, with logits on both sides of the cut. */
static void long_prompts_go_in_pieces(void **state)
{
    (void)state;
    enum { N = ACE_MLP_ROWS + 40, ROWS = 100, COLS = 50 };
    int32_t ids[N];
    make_ids(ids, N, 2);
    lm_bench l;
    lm_open(&l, bench_device(1), &wide, ACE_F32);
    float *x = embed(&l, ids, N);
    float *together = numbers(ROWS * COLS);
    float *apart = numbers(ROWS * COLS);
    ace_lm_shape shape = {.prompts = 1, .prompt_tokens = {N}};
    ace_lm_logits logits = {.first = 7, .count = COLS, .rows = ROWS, .values = together};
    lm_begin(&l, &shape);
    ace_lm_read_prompt(l.session, 0, x, N, &logits);
    lm_begin(&l, &shape);
    ace_lm_read_prompt(l.session, 0, x, N - ROWS, NULL);
    for (int64_t done = 0; done < ROWS; done += 20) {
        logits =
            (ace_lm_logits){.first = 7, .count = COLS, .rows = 20, .values = apart + done * COLS};
        ace_lm_read_prompt(l.session, 0, x + (N - ROWS + done) * wide.block.hidden, 20, &logits);
    }
    bench_check(&l.b);
    assert_true(close_to(apart, together, ROWS * COLS));
    free(x);
    free(together);
    free(apart);
    lm_close(&l);
}

enum { COMPANY = 16, STEPS = 3 };

/* Two prompts shared by all, or one for each sequence with the same tokens; then a few tokens for
 * the sequences asked for. values [STEPS, n, vocabulary]. */
static void run_company(lm_bench *l, bool shared, const int *sequences, int n, float *values)
{
    int32_t ids[COMPANY];
    int32_t prompt[2][11];
    ace_lm_shape shape = {
        .prompts = shared ? 2 : COMPANY, .sequences = COMPANY, .own_tokens = STEPS};
    make_ids(prompt[0], 11, 3);
    make_ids(prompt[1], 11, 4);
    for (int i = 0; i < COMPANY; i++) {
        shape.prompt_of[i] = shared ? i % 2 : i;
        shape.prompt_tokens[i] = i % 2 == 0 ? 11 : 6;
    }
    lm_begin(l, &shape);
    for (int i = 0; i < shape.prompts; i++) {
        read_prompt(l, i, prompt[i % 2], i % 2 == 0 ? 11 : 6, 0, NULL);
    }
    for (int step = 0; step < STEPS; step++) {
        for (int i = 0; i < n; i++) {
            make_ids(&ids[i], 1, (unsigned)(100 * step + sequences[i]));
        }
        decode(l, sequences, n, ids, values + step * n * vocabulary_of(l));
    }
}

static void check_alone(lm_bench *l, const float *together, int sequence)
{
    int64_t v = vocabulary_of(l);
    float *alone = numbers(STEPS * v);
    run_company(l, true, &sequence, 1, alone);
    for (int step = 0; step < STEPS; step++) {
        assert_memory_equal(alone + step * v, together + (step * COMPANY + sequence) * v,
                            (size_t)v * sizeof *alone);
    }
    free(alone);
}

/* Bit for bit, at every precision and level. */
static void check_company(const ace_qwen3_config *config, bool int8_cache)
{
    int all[COMPANY];
    for (int i = 0; i < COMPANY; i++) {
        all[i] = i;
    }
    ace_device *device = NULL;
    for (int i = 3; (device = bench_device(i / 3)) != NULL; i++) {
        lm_bench l;
        lm_open(&l, device, config, precisions[i % 3]);
        l.int8_cache = int8_cache;
        int64_t n = STEPS * COMPANY * vocabulary_of(&l);
        float *together = numbers(n);
        float *unshared = numbers(n);
        run_company(&l, true, all, COMPANY, together);
        run_company(&l, false, all, COMPANY, unshared);
        assert_memory_equal(together, unshared, (size_t)n * sizeof *together);
        for (int k = 0; k < COMPANY; k += 5) {
            check_alone(&l, together, k);
        }
        free(together);
        free(unshared);
        lm_close(&l);
    }
}

static void company_and_sharing_do_not_show(void **state)
{
    (void)state;
    check_company(&wide, false);
}

/* Heads as long as published ones, whose single queries meet their keys as words, and short ones.
 */
static void nor_with_a_cache_of_8_bits(void **state)
{
    (void)state;
    ace_qwen3_config longer = wide;
    longer.block.head_dim = 64;
    check_company(&longer, true);
    check_company(&wide, true);
}

/* ---- channels of keys ------------------------------------------------------------------------ */

static void balanced_norms_give_the_same_scores(void **state)
{
    (void)state;
    enum { N = 8 };
    const float q[N] = {1, 2, 0.5f, -3, 1, 7, 1, 0.1f};
    const float k[N] = {64, 0.01f, 0, 1, -3, 0.005f, 0, 1.7f};
    float even_q[N];
    float even_k[N];
    memcpy(even_q, q, sizeof q);
    memcpy(even_k, k, sizeof k);
    ace_lm_balance(even_q, even_k, N);
    for (int i = 0; i < N / 2; i++) {
        int other = i + N / 2; /* which a rotation mixes with i */
        float size = hypotf(even_k[i], even_k[other]);
        assert_true(size == 0 || (size >= 0.5f && size <= 1));
        for (int c = i; c < N; c += N / 2) {
            assert_true(even_q[c] * even_k[c] == q[c] * k[c]);
        }
        assert_true(even_k[i] * k[other] == even_k[other] * k[i]);
    }
}

/* Keys of one channel 16 times as large, and queries that much smaller, or the other way round. */
static void make_uneven(lm_bench *l)
{
    int64_t head_dim = l->model->config.block.head_dim;
    float *row = numbers(head_dim);
    for (int64_t i = 0; i < 2 * l->model->config.layers; i++) {
        const ace_attention_weights *w = &l->model->layers[i / 2].attention;
        ace_tensor norm = i % 2 == 0 ? w->q_norm : w->k_norm;
        float factor = i % 2 == 0 ? 1.0f / 16 : 16;
        ace_download(&l->b.stream, row, norm);
        for (int64_t c = 1; c < head_dim; c += head_dim / 2) {
            row[c] *= factor;
            row[c + 1] /= factor;
        }
        ace_upload(&l->b.stream, norm, row);
    }
    free(row);
}

/* Scores are the same, and so is, bit for bit, what comes out of a cache of 8 bits. */
static void uneven_channels_cost_nothing(void **state)
{
    (void)state;
    enum { N = 9 };
    int32_t ids[N];
    const int first = 0;
    make_ids(ids, N, 7);
    ace_device *device = NULL;
    for (int i = 3; (device = bench_device(i / 3)) != NULL; i++) {
        lm_bench l;
        lm_open(&l, device, &wide, precisions[i % 3]);
        l.int8_cache = true;
        int64_t v = vocabulary_of(&l);
        float *values[2] = {numbers(2 * v), numbers(2 * v)};
        ace_lm_shape shape = {
            .prompts = 1, .prompt_tokens = {N - 1}, .sequences = 1, .own_tokens = 1};
        for (int run = 0; run < 2; run++) {
            lm_begin(&l, &shape);
            read_prompt(&l, 0, ids, N - 1, 1, values[run]);
            decode(&l, &first, 1, ids + N - 1, values[run] + v);
            make_uneven(&l);
        }
        assert_memory_equal(values[0], values[1], (size_t)(2 * v) * sizeof *values[0]);
        free(values[0]);
        free(values[1]);
        lm_close(&l);
    }
}

static void going_back_repeats(void **state)
{
    (void)state;
    int32_t ids[12];
    const int first = 0;
    make_ids(ids, 12, 5);
    lm_bench l;
    lm_open(&l, bench_device(1), &wide, ACE_F32);
    float *before = numbers(vocabulary_of(&l));
    float *after = numbers(vocabulary_of(&l));
    ace_lm_shape shape = {.prompts = 1, .prompt_tokens = {4}, .sequences = 1, .own_tokens = 3};
    lm_begin(&l, &shape);
    read_prompt(&l, 0, ids, 4, 0, NULL);
    decode(&l, &first, 1, ids + 4, before);
    decode(&l, &first, 1, ids + 5, before);
    decode(&l, &first, 1, ids + 6, after);
    ace_lm_rewind(l.session, 0, 1);
    decode(&l, &first, 1, ids + 5, after);
    assert_memory_equal(before, after, (size_t)vocabulary_of(&l) * sizeof *before);
    decode(&l, &first, 1, ids + 7, after);
    assert_memory_not_equal(before, after, (size_t)vocabulary_of(&l) * sizeof *before);
    free(before);
    free(after);
    lm_close(&l);
}

/* Columns of the whole, whichever parts of the head they lie in. */
static void ranges_are_parts_of_the_whole(void **state)
{
    (void)state;
    static const int64_t ranges[][2] = {
        {0, 1},
        {ACE_LM_HEAD_ROWS - 1, 2},
        {100, 2 * ACE_LM_HEAD_ROWS},
        {2 * ACE_LM_HEAD_ROWS, ACE_LM_HEAD_ROWS - 100},
        {3 * ACE_LM_HEAD_ROWS - 101, 1},
    };
    int32_t id = 17;
    const int first = 0;
    lm_bench l;
    lm_open(&l, bench_device(1), &wide, ACE_I8);
    assert_int_equal(l.model->head_parts, 3);
    float *whole = numbers(vocabulary_of(&l));
    float *x = embed(&l, &id, 1);
    ace_lm_shape shape = {.prompts = 1, .prompt_tokens = {1}, .sequences = 1, .own_tokens = 1};
    lm_begin(&l, &shape);
    read_prompt(&l, 0, &id, 1, 0, NULL);
    decode(&l, &first, 1, &id, whole);
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        float *part = numbers(ranges[i][1] + 1);
        part[ranges[i][1]] = 4711;
        ace_lm_logits logits = {.first = ranges[i][0], .count = ranges[i][1], .values = part};
        ace_lm_rewind(l.session, 0, 0);
        ace_lm_decode(l.session, &first, 1, x, &logits);
        bench_check(&l.b);
        assert_memory_equal(part, whole + ranges[i][0], (size_t)ranges[i][1] * sizeof *part);
        assert_true(part[ranges[i][1]] == 4711);
        free(part);
    }
    free(whole);
    free(x);
    lm_close(&l);
}

/* ---- what cannot be -------------------------------------------------------------------------- */

static void spoil(lm_bench *l, int what)
{
    const int twice[] = {1, 1};
    const int both[] = {0, 1};
    float x[3 * 48] = {0};
    float y[8];
    const ace_lm_logits beyond = {.first = wide.vocabulary - 3, .count = 4, .values = y};
    const ace_lm_logits rows = {.count = 1, .rows = 3, .values = y};
    switch (what) {
    case 0:
        ace_lm_decode(l->session, twice, 2, x, NULL);
        break;
    case 1:
        ace_lm_decode(l->session, (int[]){2}, 1, x, NULL);
        break;
    case 2:
        ace_lm_decode(l->session, both, 0, x, NULL);
        break;
    case 3:
        ace_lm_decode(l->session, both, 2, x, &beyond);
        break;
    case 4: /* one token fits */
        ace_lm_decode(l->session, both, 2, x, NULL);
        bench_check(&l->b);
        ace_lm_decode(l->session, both, 1, x, NULL);
        break;
    case 5:
        ace_lm_read_prompt(l->session, 0, x, 2, NULL);
        break;
    case 6:
        ace_lm_read(l->session, 0, x, 2, NULL);
        break;
    case 7:
        ace_lm_rewind(l->session, 1, 1);
        break;
    case 8: /* sequence 1 has gone on */
        ace_lm_decode(l->session, both + 1, 1, x, NULL);
        bench_check(&l->b);
        ace_lm_read_prompt(l->session, 0, x, 1, NULL);
        break;
    case 9:
        ace_lm_read_prompt(l->session, 0, x, 1, &rows);
        break;
    case 10:
        ace_lm_read_prompt(l->session, -1, x, 1, NULL);
        break;
    default: {
        ace_lm_shape none = {.prompts = 1, .prompt_tokens = {INT64_MAX}};
        assert_int_equal(ace_lm_cache_bytes(&wide, &none, ACE_F32), SIZE_MAX);
        ace_lm_begin(&l->b.stream, l->model, &none, l->session);
        break;
    }
    }
}

static void mistakes_are_refused(void **state)
{
    (void)state;
    const ace_lm_shape shape = {
        .prompts = 1, .prompt_tokens = {3}, .sequences = 2, .own_tokens = 1};
    int32_t ids[2] = {1, 2};
    for (int what = 0; what <= 11; what++) {
        lm_bench l;
        lm_open(&l, bench_device(1), &wide, ACE_F32);
        lm_begin(&l, &shape);
        read_prompt(&l, 0, ids, 2, 0, NULL);
        spoil(&l, what);
        assert_int_equal(l.b.stream.status, ACESTEP_FAILED);
        assert_memory_equal(l.b.error.message, "language model: ", 16);
        /* nothing moves any more */
        float x[48] = {0};
        ace_lm_read(l.session, 0, x, 1, NULL);
        ace_lm_decode(l.session, (int[]){0}, 1, x, NULL);
        ace_lm_rewind(l.session, 0, 0);
        assert_int_equal(l.b.stream.status, ACESTEP_FAILED);
        lm_close(&l);
    }
}

/* ---- what it takes --------------------------------------------------------------------------- */

typedef struct footprint {
    size_t weights, kv, all;
} footprint;

static size_t tag_peak(const ace_arena *arena, const char *name)
{
    for (int i = 0; i < arena->n_tags; i++) {
        if (strcmp(arena->tags[i].name, name) == 0) {
            return arena->tags[i].peak;
        }
    }
    return 0;
}

/* On the measure device: every prompt read, one token decoded. */
static footprint measured(const ace_qwen3_config *c, const ace_lm_shape *shape, ace_dtype precision)
{
    int sequences[ACE_LM_MAX_SEQUENCES];
    ace_device *cpu = bench_device(1);
    ace_device *measure = NULL;
    assert_int_equal(ace_measure_device_open(cpu, &measure, NULL), ACESTEP_OK);
    ace_arena arena;
    ace_error error = {0};
    ace_stream s;
    ace_loader loader;
    ace_language_model *m = malloc(sizeof *m);
    ace_lm_session *d = malloc(sizeof *d);
    assert_non_null(m);
    assert_non_null(d);
    assert_int_equal(ace_arena_open(&arena, measure, SIZE_MAX / 2, &error), ACESTEP_OK);
    ace_stream_init(&s, measure, &arena, precision == ACE_F32 ? ACE_F32 : ACE_BF16, &error);
    ace_loader_init(&loader, &s, NULL, precision);
    ace_language_model_load(&loader, c, m);
    assert_int_equal(ace_loader_finish(&loader), ACESTEP_OK);
    footprint f = {.weights = arena.used};
    ace_lm_begin(&s, m, shape, d);
    const ace_lm_logits all = {.count = c->vocabulary, .rows = 1};
    for (int i = 0; i < shape->prompts; i++) {
        ace_lm_read_prompt(d, i, NULL, shape->prompt_tokens[i], &all);
    }
    for (int i = 0; i < shape->sequences; i++) {
        sequences[i] = i;
    }
    if (shape->sequences > 0) {
        ace_lm_decode(d, sequences, shape->sequences, NULL, &all);
    }
    assert_int_equal(ace_stream_status(&s), ACESTEP_OK);
    f.kv = tag_peak(&arena, "kv");
    f.all = arena.high_water;
    ace_arena_close(&arena);
    ace_device_close(measure);
    ace_device_close(cpu);
    free(m);
    free(d);
    return f;
}

/* Two prompts, and twice c sequences. */
static ace_lm_shape guided_shape(int c, int64_t prompt, int64_t own)
{
    ace_lm_shape shape = {
        .prompts = 2, .prompt_tokens = {prompt, prompt}, .sequences = 2 * c, .own_tokens = own};
    for (int i = 0; i < 2 * c; i++) {
        shape.prompt_of[i] = i % 2;
    }
    return shape;
}

static void published_models_take_what_they_must(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        double parameters, kv_per_token, gib, int8_gib;
    } models[] = {
        {"0.6B", 662884352.0, 114688, 1.235, 0.620},
        {"1.7B", 1854243840.0, 114688, 3.454, 1.730},
        {"4B", 4189554176.0, 147456, 7.804, 3.907},
    };
    for (int i = 0; i < 3; i++) {
        ace_qwen3_config c;
        assert_int_equal(ace_language_model_config_published(models[i].name, &c, NULL), ACESTEP_OK);
        ace_lm_shape shape = {.prompts = 1, .prompt_tokens = {4096}};
        footprint bf16 = measured(&c, &shape, ACE_BF16);
        footprint int8 = measured(&c, &shape, ACE_I8);
        /* vectors of norms are f32, and the head's last part may be padded */
        assert_true((double)bf16.weights >= 2 * models[i].parameters);
        assert_true((double)bf16.weights < 2 * models[i].parameters * 1.001);
        assert_true(fabs((double)bf16.weights / 0x1p30 - models[i].gib) < 0.002);
        assert_true(fabs((double)int8.weights / 0x1p30 - models[i].int8_gib) < 0.003);
        assert_int_equal(bf16.kv, (size_t)(4096 * models[i].kv_per_token));
        assert_int_equal(int8.kv, bf16.kv);
        print_message("%s: weights %.3f GiB bf16, %.3f int8; 4096 tokens %.4f; work %.1f MiB\n",
                      models[i].name, (double)bf16.weights / 0x1p30, (double)int8.weights / 0x1p30,
                      (double)bf16.kv / 0x1p30,
                      (double)(bf16.all - bf16.weights - bf16.kv) / 0x1p20);
    }
    ace_error error = {.code = ACESTEP_OK};
    ace_qwen3_config c;
    assert_int_equal(ace_language_model_config_published("7B", &c, &error), ACESTEP_ARGUMENT);
    assert_non_null(strstr(error.message, "0.6B, 1.7B and 4B"));
}

/* (P_cond + P_uncond) + 2·c·(5·seconds + 10) tokens, in GiB, for prompts of 1024 tokens. */
static void caches_take_what_the_formula_says(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int64_t seconds;
        int songs;
        double gib;
    } caches[] = {
        {"0.6B", 480, 1, 0.73}, {"0.6B", 480, 2, 1.25}, {"1.7B", 480, 4, 2.28},
        {"1.7B", 600, 1, 0.86}, {"1.7B", 600, 8, 5.37}, {"4B", 480, 4, 2.94},
        {"4B", 600, 1, 1.11},   {"4B", 600, 8, 6.91},
    };
    for (size_t i = 0; i < sizeof caches / sizeof caches[0]; i++) {
        ace_qwen3_config c;
        assert_int_equal(ace_language_model_config_published(caches[i].name, &c, NULL), ACESTEP_OK);
        ace_lm_shape shape = guided_shape(caches[i].songs, 1024, 5 * caches[i].seconds + 10);
        size_t bytes = ace_lm_cache_bytes(&c, &shape, ACE_BF16);
        assert_int_equal(measured(&c, &shape, ACE_BF16).kv, bytes);
        assert_int_equal(ace_lm_cache_bytes(&c, &shape, ACE_F32), 2 * bytes);
        assert_true(fabs((double)bytes / 0x1p30 / caches[i].gib - 1) < 0.01);
        shape.int8_cache = true; /* 128 numbers and a scale, in place of 256 bytes */
        assert_int_equal(ace_lm_cache_bytes(&c, &shape, ACE_BF16), bytes / 256 * 132);
        assert_int_equal(measured(&c, &shape, ACE_BF16).kv, bytes / 256 * 132);
    }
}

/* Reading 4000 tokens takes no more working memory than 2000, beside the rows of the rotation. */
static void working_memory_does_not_grow_with_prompts(void **state)
{
    (void)state;
    ace_qwen3_config c;
    assert_int_equal(ace_language_model_config_published("1.7B", &c, NULL), ACESTEP_OK);
    ace_lm_shape small = guided_shape(1, 2000, 10);
    ace_lm_shape large = guided_shape(1, 4000, 10);
    footprint a = measured(&c, &small, ACE_BF16);
    footprint b = measured(&c, &large, ACE_BF16);
    size_t tables = (size_t)(2000 * c.block.head_dim) * sizeof(float);
    assert_int_equal(b.all - b.kv - (a.all - a.kv), tables);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prompts_match_recorded),
        cmocka_unit_test(padded_batches_match_without_padding),
        cmocka_unit_test(greedy_tokens_are_exact),
        cmocka_unit_test(lower_precision_differs_only_where_it_is_close),
        cmocka_unit_test(lower_precision_stays_close),
        cmocka_unit_test(pieces_do_not_show),
        cmocka_unit_test(long_prompts_go_in_pieces),
        cmocka_unit_test(company_and_sharing_do_not_show),
        cmocka_unit_test(nor_with_a_cache_of_8_bits),
        cmocka_unit_test(balanced_norms_give_the_same_scores),
        cmocka_unit_test(uneven_channels_cost_nothing),
        cmocka_unit_test(going_back_repeats),
        cmocka_unit_test(ranges_are_parts_of_the_whole),
        cmocka_unit_test(mistakes_are_refused),
        cmocka_unit_test(published_models_take_what_they_must),
        cmocka_unit_test(caches_take_what_the_formula_says),
        cmocka_unit_test(working_memory_does_not_grow_with_prompts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
