/* Scores against the plain way: prompt and target as one text, read in one piece, all logits at
 * once. And that a rehearsal covers what scoring then takes. */
#include "base/memory.h"
#include "options/option_table.h"
#include "run/lm_score.h"
#include "support/bench_device.h"
#include "support/golden.h"
#include "text/audio_codes.h"
#include "weights/embedding.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char folder[] = "acestep-5Hz-lm-0.6B";
static const char seen_by[] =
    "<|im_start|>system\n# Instruction\nUnderstand the given musical conditions and describe the "
    "audio semantics accordingly:\n\n<|im_end|>\n<|im_start|>user\n%s<|im_end|>\n<|im_start|>"
    "assistant\n";
static const char caption_text[] = "<think>\ncaption: slow piano, rain\n</think>\n";

enum { CODES = 40, TEXTS = 3 };

typedef struct reader {
    test_bench b;
    ace_language_model *model;
    ace_lm_session *session;
    ace_models models;
    ace_request *request;
    ace_lm_task task;
    ace_lm_written written;
    ace_lm_scorer scorer;
} reader;

static void open_reader(reader *r, ace_device *device, ace_dtype precision)
{
    memset(r, 0, sizeof *r);
    r->model = calloc(1, sizeof *r->model);
    r->session = calloc(1, sizeof *r->session);
    r->models.lm_config = bench_qwen3_config(folder);
    bench_open(&r->b, device, folder, precision);
    ace_language_model_load(&r->b.loader, &r->models.lm_config, r->model);
    bench_loaded(&r->b);
    r->models.lm = r->b.weights;
    assert_int_equal(ace_tokenizer_open(golden_path(folder), &r->models.lm_tokenizer, NULL),
                     ACESTEP_OK);
    assert_int_equal(ace_request_create(&r->request, NULL), ACESTEP_OK);
    r->task = (ace_lm_task){.opening = ACE_LM_GENERATE,
                            .codes = true,
                            .caption = "slow piano, rain",
                            .lyrics = "[Verse]\nhello world\nthis is a song",
                            .code_room = CODES + 1};
    r->scorer = (ace_lm_scorer){.stream = &r->b.stream,
                                .empty = ace_mark(&r->b.stream),
                                .model = r->model,
                                .session = r->session,
                                .models = &r->models,
                                .task = &r->task,
                                .request = r->request,
                                .error = &r->b.error};
    r->written.n_codes = CODES;
    r->written.codes = ace_calloc((size_t)TEXTS * CODES, sizeof(int32_t));
    assert_non_null(r->written.codes);
    for (int i = 0; i < TEXTS * CODES; i++) {
        r->written.codes[i] = (i * 37 + 11) % 1000;
    }
}

static void close_reader(reader *r)
{
    ace_lm_written_free(&r->written);
    ace_request_free(r->request);
    ace_tokenizer_free(r->models.lm_tokenizer);
    bench_close(&r->b);
    free(r->model);
    free(r->session);
}

static void know(reader *r, ace_lm_field field, const char *value)
{
    assert_int_equal(
        ace_lm_fields_set(&r->written.fields, field, value, strlen(value), &r->b.error),
        ACESTEP_OK);
}

static void score(reader *r)
{
    if (ace_lm_score_texts(&r->scorer, TEXTS, &r->written) != ACESTEP_OK) {
        fail_msg("%s", r->b.error.message);
    }
}

/* ---- the plain way --------------------------------------------------------------------------- */

typedef struct rows {
    ace_tokens ids;
    int64_t first, n; /* tokens of the target: ids[first …] */
    float *logits;    /* [n, vocabulary] */
} rows;

/* codes NULL: the prompt without. most: tokens of the target that count. */
static rows read_plainly(reader *r, const char *codes, const char *target, int64_t most)
{
    const ace_qwen3_config *c = &r->models.lm_config;
    size_t room = strlen(seen_by) + strlen(target) + (codes != NULL ? strlen(codes) : 20) + 1;
    char *text = malloc(room);
    ace_tokens prompt = {0};
    rows out = {0};
    (void)snprintf(text, room, seen_by, codes != NULL ? codes : "NO USER INPUT");
    assert_int_equal(
        ace_tokenizer_encode(r->models.lm_tokenizer, text, strlen(text), 0, &prompt, NULL),
        ACESTEP_OK);
    (void)strcat(text, target);
    assert_int_equal(
        ace_tokenizer_encode(r->models.lm_tokenizer, text, strlen(text), 0, &out.ids, NULL),
        ACESTEP_OK);
    out.first = prompt.n;
    out.n = out.ids.n - prompt.n < most ? out.ids.n - prompt.n : most;
    int64_t n = out.first + out.n;
    float *x = malloc((size_t)(n * c->block.hidden) * sizeof *x);
    out.logits = malloc((size_t)(out.n * c->vocabulary) * sizeof *out.logits);
    assert_int_equal(ace_embedding_gather(r->models.lm, "embed_tokens.weight", c->vocabulary,
                                          c->block.hidden, out.ids.ids, n, x, NULL),
                     ACESTEP_OK);
    ace_lm_shape shape = {.prompts = 1, .prompt_tokens = {n}};
    ace_lm_logits all = {.count = c->vocabulary, .rows = out.n, .values = out.logits};
    ace_reset(&r->b.stream, &r->scorer.empty);
    ace_lm_begin(&r->b.stream, r->model, &shape, r->session);
    /* the last token is not asked what follows it */
    ace_lm_read_prompt(r->session, 0, x, n - 1, &all);
    bench_check(&r->b);
    ace_tokens_free(&prompt);
    free(text);
    free(x);
    return out;
}

static void free_rows(rows *w)
{
    ace_tokens_free(&w->ids);
    free(w->logits);
}

static double plain_log_probability(reader *r, const char *codes, const char *target, int64_t most)
{
    rows w = read_plainly(r, codes, target, most);
    int64_t vocabulary = r->models.lm_config.vocabulary;
    double mean = 0;
    for (int64_t i = 0; i < w.n; i++) {
        double sum = 0;
        for (int64_t k = 0; k < vocabulary; k++) {
            sum += exp((double)w.logits[i * vocabulary + k]);
        }
        mean += (double)w.logits[i * vocabulary + w.ids.ids[w.first + i]] - log(sum);
    }
    mean /= (double)w.n;
    free_rows(&w);
    return mean;
}

static double plain_recall(reader *r, const char *codes, const char *target)
{
    rows w = read_plainly(r, codes, target, INT64_MAX);
    int64_t vocabulary = r->models.lm_config.vocabulary;
    double mean = 0;
    for (int64_t i = 0; i < w.n; i++) {
        const float *row = w.logits + i * vocabulary;
        int place = 0;
        for (int64_t k = 0; k < vocabulary; k++) {
            place += row[k] > row[w.ids.ids[w.first + i]];
        }
        mean += place < 10 ? 1 - place / 10.0 : 0;
    }
    mean /= (double)w.n;
    free_rows(&w);
    return mean;
}

static void assert_near(double got, double want, double tolerance)
{
    if (!(fabs(got - want) <= tolerance)) {
        fail_msg("%.17g is not %.17g", got, want);
    }
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void scores_are_those_of_the_plain_way(void **state)
{
    (void)state;
    static const char lyrics_text[] =
        "<think>\n</think>\n# Lyric\n[Verse]\nhello world\nthis is a song\n";
    reader r;
    open_reader(&r, bench_device(1), ACE_F32);
    know(&r, ACE_LM_BPM, "92");
    know(&r, ACE_LM_KEYSCALE, "C major");
    know(&r, ACE_LM_GENRES, "pop");
    score(&r);
    bool differ = false;
    for (int i = 0; i < TEXTS; i++) {
        const ace_lm_score *s = &r.written.score[i];
        char *codes = ace_codes_format(r.written.codes + i * CODES, CODES);
        double caption = plain_log_probability(&r, codes, caption_text, INT64_MAX) -
                         plain_log_probability(&r, NULL, caption_text, INT64_MAX);
        double lyrics = plain_log_probability(&r, codes, lyrics_text, INT64_MAX) -
                        plain_log_probability(&r, NULL, lyrics_text, INT64_MAX);
        double bpm = plain_recall(&r, codes, "<think>\nbpm: 92\n</think>\n");
        double key = plain_recall(&r, codes, "<think>\nkeyscale: C major\n</think>\n");
        double genres = plain_recall(&r, codes, "<think>\ngenres: pop\n</think>\n");
        caption = 1 / (1 + exp(-caption / 0.5));
        lyrics = 1 / (1 + exp(-lyrics / 0.5));
        assert_near(s->value[ACE_LM_CAPTION], caption, 1e-5);
        assert_near(s->value[ACE_LM_SCORE_LYRICS], lyrics, 1e-5);
        assert_near(s->value[ACE_LM_BPM], bpm, 1e-9);
        assert_near(s->value[ACE_LM_KEYSCALE], key, 1e-9);
        assert_near(s->value[ACE_LM_GENRES], genres, 1e-9);
        assert_near(s->global, 0.5 * caption + 0.3 * lyrics + 0.2 * (bpm + key + genres) / 3, 1e-5);
        assert_false(s->has[ACE_LM_DURATION] || s->has[ACE_LM_LANGUAGE]);
        differ = differ || s->global != r.written.score[0].global;
        ace_free(codes);
    }
    assert_true(differ);
    close_reader(&r);
}

/* Lyrics of many pieces, and more than are looked at. */
static void long_lyrics_are_cut(void **state)
{
    (void)state;
    static const char heading[] = "<think>\n</think>\n# Lyric\n";
    enum { BYTES = 9000 };
    char *text = calloc(1, sizeof heading + BYTES + 1);
    (void)strcpy(text, heading);
    char *lyrics = text + strlen(text);
    for (int i = 0; i < BYTES; i++) {
        lyrics[i] = "la xq 7#z\n"[(i * 7 + i / 13) % 10];
    }
    reader r;
    open_reader(&r, bench_device(1), ACE_F32);
    r.task.lyrics = lyrics;
    score(&r);
    char *codes = ace_codes_format(r.written.codes, CODES);
    rows w = read_plainly(&r, codes, text, INT64_MAX);
    assert_true(w.n > ACE_LM_SCORE_TOKENS + 500);
    free_rows(&w);
    double want = plain_log_probability(&r, codes, text, ACE_LM_SCORE_TOKENS) -
                  plain_log_probability(&r, NULL, text, ACE_LM_SCORE_TOKENS);
    assert_near(r.written.score[0].value[ACE_LM_SCORE_LYRICS], 1 / (1 + exp(-want / 0.5)), 1e-5);
    ace_free(codes);
    close_reader(&r);
    free(text);
}

typedef struct footprint {
    size_t most; /* bytes beyond the model's */
    double flops;
} footprint;

/* kind: 0 the request's words, 1 a caption of the model's, 2 all of it. */
static footprint run_kind(ace_device *device, int kind, const char *words)
{
    reader r;
    open_reader(&r, device, ACE_BF16);
    r.task.opening = kind == 2 ? ACE_LM_FORMAT : ACE_LM_GENERATE;
    r.task.metadata = r.task.use_caption = kind > 0;
    for (int i = 0; kind > 0 && i < ACE_LM_FIELDS; i++) {
        know(&r, (ace_lm_field)i, words);
    }
    r.written.lyrics = kind == 2 ? ace_strdup(words) : NULL;
    size_t model = r.b.arena.used;
    double flops = r.b.stream.counters.flops;
    r.b.arena.high_water = model;
    if (device->computes) {
        score(&r);
    } else {
        assert_int_equal(ace_lm_score_walk(&r.scorer, TEXTS), ACESTEP_OK);
    }
    footprint out = {r.b.arena.high_water - model, r.b.stream.counters.flops - flops};
    close_reader(&r);
    return out;
}

/* Whatever was written, up to what can have been. */
static void the_rehearsal_covers_it(void **state)
{
    (void)state;
    enum { BYTES = 5000 };
    char *words = calloc(1, BYTES + 1);
    for (int kind = 0; kind < 3; kind++) {
        ace_device *target = bench_device(1);
        ace_device *measure = NULL;
        assert_int_equal(ace_measure_device_open(target, &measure, NULL), ACESTEP_OK);
        footprint plan = run_kind(measure, kind, "");
        ace_device_close(target);
        for (int bytes = 5; bytes <= BYTES; bytes *= 1000) {
            memset(words, '\0', BYTES);
            memset(words, 'q', (size_t)bytes);
            footprint found = run_kind(bench_device(1), kind, words);
            assert_true(plan.most > 0 && found.flops > 0);
            assert_true(found.most <= plan.most);
            assert_true(kind == 0 || bytes == 5 || found.most == plan.most); /* and no more */
            assert_true(found.flops <= plan.flops);
        }
    }
    free(words);
}

/* Every allocation may fail: an error, no crash, and nothing that a later call would notice. */
static void short_memory_is_survived(void **state)
{
    (void)state;
    reader r;
    open_reader(&r, bench_device(1), ACE_F32);
    know(&r, ACE_LM_BPM, "92");
    know(&r, ACE_LM_GENRES, "pop");
    score(&r);
    ace_lm_score calm = r.written.score[TEXTS - 1];
    uint64_t n = 1;
    for (ace_status status = ACESTEP_MEMORY; status != ACESTEP_OK; n++) {
        ace_free(r.written.score);
        r.written.score = NULL;
        ace_memory_fail_at(n);
        status = ace_lm_score_texts(&r.scorer, TEXTS, &r.written);
        ace_memory_fail_at(0);
        assert_true(status == ACESTEP_OK || status == ACESTEP_MEMORY);
        r.b.stream.status = ACESTEP_OK; /* where the device ran short: for the next round */
    }
    assert_true(n > 50);
    assert_true(calm.global == r.written.score[TEXTS - 1].global);
    close_reader(&r);
}

/* How far it was at the last report, and when to stop. */
typedef struct listener {
    double last, most;
    int reports;
    bool falls;
} listener;

static bool hear(void *context, double fraction)
{
    listener *l = context;
    l->falls = l->falls || fraction < l->last;
    l->last = fraction;
    l->reports++;
    return fraction < l->most;
}

static void progress_rises_and_stops(void **state)
{
    (void)state;
    reader r;
    open_reader(&r, bench_device(1), ACE_F32);
    listener all = {.last = 0.9, .most = 2};
    listener half = {.last = 0.9, .most = 0.95};
    r.scorer.progress = 0.9;
    r.scorer.progress_share = 0.1;
    r.b.stream.progress = hear;
    r.b.stream.progress_context = &all;
    score(&r);
    assert_false(all.falls);
    assert_true(all.reports >= 20 && fabs(all.last - 1) < 1e-9);
    ace_free(r.written.score);
    r.written.score = NULL;
    r.b.stream.progress_context = &half;
    assert_int_equal(ace_lm_score_texts(&r.scorer, TEXTS, &r.written), ACESTEP_CANCELLED);
    assert_true(half.last >= 0.95 && half.reports < all.reports);
    close_reader(&r);
}

static void the_first_of_the_best_is_kept(void **state)
{
    (void)state;
    ace_lm_score scores[6] = {{.global = 0.2}, {.global = 0.7}, {.global = 0.7},
                              {.global = 0.9}, {.global = 0.1}, {.global = 0.8}};
    int32_t codes[12] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
    ace_lm_written w = {.codes = codes, .n_codes = 2, .score = scores};
    ace_lm_score_keep_best(&w, 2, 3);
    static const int32_t want[4] = {3, 4, 7, 8};
    assert_memory_equal(codes, want, sizeof want);
    assert_true(scores[0].global == 0.7 && scores[1].global == 0.9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scores_are_those_of_the_plain_way),
        cmocka_unit_test(long_lyrics_are_cut),
        cmocka_unit_test(the_rehearsal_covers_it),
        cmocka_unit_test(short_memory_is_survived),
        cmocka_unit_test(progress_rises_and_stops),
        cmocka_unit_test(the_first_of_the_best_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
