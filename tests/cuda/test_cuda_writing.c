/* Codes that the language model writes on the card, in the emulator: those that the card chooses
 * are those that the host chooses from its logits, alone and in any company. */
#include "emulated_card.h"
#include "lm/writer.h"
#include "support/bench_device.h"
#include "support/golden.h"

#include <math.h>

static const char folder[] = "acestep-5Hz-lm-0.6B";

enum { CODEBOOK = 1000, TARGET = 10, MOST = TARGET + 1, TEXTS = 4, PROMPT = 3 };

typedef struct studio {
    test_bench b;
    ace_device_ops host_chooses; /* the card's table without `choose` */
    const ace_device_ops *card_chooses;
    ace_tokenizer *tokenizer;
    ace_lm_vocabulary vocabulary;
    ace_lm_grammar grammar;
    ace_language_model model;
    ace_lm_session session;
    ace_arena_mark loaded;
    bool int8_cache; /* of the sessions to come */
} studio;

static studio *s;

static int open_studio(void **state)
{
    ace_qwen3_config c = bench_qwen3_config(folder);
    (void)state;
    s = calloc(1, sizeof *s);
    assert_non_null(s);
    bench_open(&s->b, open_card(SIZE_MAX, 0), folder, ACE_F32);
    ace_language_model_load(&s->b.loader, &c, &s->model);
    bench_loaded(&s->b);
    s->loaded = ace_mark(&s->b.stream);
    s->card_chooses = s->b.device->ops;
    s->host_chooses = *s->card_chooses;
    s->host_chooses.choose = NULL;
    assert_int_equal(ace_tokenizer_open(golden_path(folder), &s->tokenizer, &s->b.error),
                     ACESTEP_OK);
    assert_int_equal(
        ace_lm_vocabulary_open(s->tokenizer, c.vocabulary, CODEBOOK, &s->vocabulary, &s->b.error),
        ACESTEP_OK);
    static const ace_lm_grammar_options options = {.longest_seconds = 480};
    assert_int_equal(ace_lm_grammar_open(&s->vocabulary, &options, &s->grammar, &s->b.error),
                     ACESTEP_OK);
    return 0;
}

static int close_studio(void **state)
{
    (void)state;
    ace_lm_grammar_close(&s->grammar);
    ace_lm_vocabulary_close(&s->vocabulary);
    ace_tokenizer_free(s->tokenizer);
    bench_close(&s->b);
    free(s);
    return 0;
}

/* Four songs: guided and not, in both orders of the filters, with every filter and the penalty; the
 * last one ends where it likes. */
static ace_lm_how how_of(int song)
{
    static const ace_lm_how how[TEXTS] = {
        {{.temperature = 0.85, .top_p = 0.9}, .guidance = 2, .repetition_penalty = 1},
        {{.temperature = 1.3, .top_k = 40, .top_p = 0.95, .min_p = 0.01, .order = ACE_LM_ORDER_PT},
         .guidance = 1,
         .repetition_penalty = 1.2},
        {{.temperature = 0, .top_p = 1}, .guidance = 1.5, .repetition_penalty = 1.1},
        {{.temperature = 1, .top_p = 1}, .guidance = 1, .repetition_penalty = 1},
    };
    return how[song];
}

typedef struct written {
    int32_t ids[MOST];
    int64_t n;
} written;

static void read_prompt(int prompt)
{
    int64_t hidden = s->model.config.block.hidden;
    float *x = calloc((size_t)(PROMPT * hidden), sizeof *x);
    assert_non_null(x);
    for (int64_t i = 0; i < PROMPT * hidden; i++) {
        x[i] = value_at(i * (3 + prompt)) / 500;
    }
    ace_lm_read_prompt(&s->session, prompt, x, PROMPT, NULL);
    free(x);
}

/* Songs first … first + n - 1 side by side; without rules where they are free. */
static ace_status write_songs(int first, int n, bool free_text, written *out)
{
    ace_lm_shape shape = {.prompts = 2,
                          .prompt_tokens = {PROMPT, PROMPT},
                          .sequences = 2 * TEXTS,
                          .prompt_of = {0, 1, 0, 1, 0, 1, 0, 1},
                          .own_tokens = MOST + 1,
                          .int8_cache = s->int8_cache};
    ace_lm_text texts[TEXTS];
    ace_lm_writer writer = {.session = &s->session,
                            .weights = s->b.weights,
                            .vocabulary = &s->vocabulary,
                            .error = &s->b.error};
    ace_reset(&s->b.stream, &s->loaded);
    ace_lm_begin(&s->b.stream, &s->model, &shape, &s->session);
    read_prompt(0);
    read_prompt(1);
    for (int i = 0; i < n; i++) {
        ace_lm_rules rules = {.codes = true, .target = first + i < TEXTS - 1 ? TARGET : -1};
        ace_lm_how how = how_of(first + i);
        texts[i] = (ace_lm_text){.sequence = 2 * i,
                                 .twin = how.guidance > 1 ? 2 * i + 1 : -1,
                                 .first = 5,
                                 .twin_first = 6,
                                 .how = how,
                                 .stop = -1,
                                 .seed = 40 + (uint64_t)(first + i),
                                 .most = MOST,
                                 .id = out[i].ids};
        assert_true(free_text || ace_lm_constraint_create(&s->grammar, &rules, &texts[i].constraint,
                                                          &s->b.error) == ACESTEP_OK);
    }
    ace_status status = ace_lm_write(&writer, texts, n);
    for (int i = 0; i < n; i++) {
        out[i].n = texts[i].n;
        ace_lm_constraint_free(texts[i].constraint);
    }
    return status;
}

static void assert_same(const written *a, const written *b)
{
    assert_int_equal(a->n, b->n);
    assert_memory_equal(a->ids, b->ids, (size_t)a->n * sizeof *a->ids);
}

static double downloaded(void)
{
    return s->b.stream.counters.downloaded;
}

/* By the card and by the host, with the bytes that come down. */
static void compare(bool free_text, written card[TEXTS])
{
    written host[TEXTS];
    double before = downloaded();
    assert_int_equal(write_songs(0, TEXTS, free_text, card), ACESTEP_OK);
    double by_card = downloaded() - before;
    s->b.device->ops = &s->host_chooses;
    before = downloaded();
    assert_int_equal(write_songs(0, TEXTS, free_text, host), ACESTEP_OK);
    double by_host = downloaded() - before;
    s->b.device->ops = s->card_chooses;
    double computed = 0;
    for (int i = 0; i < TEXTS; i++) {
        assert_same(&card[i], &host[i]);
        /* where the target is reached the end follows without a choice */
        computed += (double)card[i].n - (!free_text && i < TEXTS - 1);
    }
    /* a cache of 8 bits begins with the norms of queries and keys */
    const ace_qwen3_config *c = &s->model.config;
    double norms = s->int8_cache ? (double)(c->layers * 2 * c->block.head_dim) * sizeof(float) : 0;
    assert_true(by_card == norms + computed * sizeof(int32_t));
    assert_true(by_host > 500 * (by_card - norms));
}

static void card_writes_what_the_host_would(void **state)
{
    written together[TEXTS];
    written alone;
    (void)state;
    compare(false, together);
    for (int i = 0; i < TEXTS; i++) {
        assert_true(i == TEXTS - 1 || together[i].n == MOST);
        assert_int_equal(write_songs(i, 1, false, &alone), ACESTEP_OK);
        assert_same(&alone, &together[i]);
    }
    /* the penalty is felt: what the most likely token was, is not written again and again */
    assert_true(memcmp(together[0].ids, together[1].ids, sizeof together[0].ids) != 0);
}

/* Other codes, the same in any company. */
static void with_a_cache_of_8_bits(void **state)
{
    written together[TEXTS];
    written alone;
    (void)state;
    s->int8_cache = true;
    compare(false, together);
    for (int i = 0; i < TEXTS; i++) {
        assert_int_equal(write_songs(i, 1, false, &alone), ACESTEP_OK);
        assert_same(&alone, &together[i]);
    }
    s->int8_cache = false;
}

static void without_rules_too(void **state)
{
    written together[TEXTS];
    (void)state;
    compare(true, together);
}

/* ---- words
 * ------------------------------------------------------------------------------------- */

enum { WORDS = 40, WORD_TEXTS = 2 };

typedef struct words {
    int32_t ids[WORDS];
    int64_t n;
} words;

/* A caption, and lyrics: every other field is left out, in both when there is no caption. */
static void write_words(bool caption, int n, words *out)
{
    ace_lm_shape shape = {
        .prompts = 1, .prompt_tokens = {PROMPT}, .sequences = WORD_TEXTS, .own_tokens = WORDS + 1};
    ace_lm_text texts[WORD_TEXTS];
    ace_lm_writer writer = {.session = &s->session,
                            .weights = s->b.weights,
                            .vocabulary = &s->vocabulary,
                            .error = &s->b.error};
    ace_reset(&s->b.stream, &s->loaded);
    ace_lm_begin(&s->b.stream, &s->model, &shape, &s->session);
    read_prompt(0);
    for (int i = 0; i < n; i++) {
        ace_lm_rules rules = {.target = -1};
        for (int f = 0; f < ACE_LM_FIELDS; f++) {
            rules.skip[f] = f != ACE_LM_CAPTION || !caption;
        }
        texts[i] = (ace_lm_text){.sequence = i,
                                 .twin = -1,
                                 .first = 5,
                                 .how = how_of(1),
                                 .stop = -1,
                                 .seed = 9 + (uint64_t)i,
                                 .most = WORDS,
                                 .id = out[i].ids};
        assert_int_equal(
            ace_lm_constraint_create(&s->grammar, &rules, &texts[i].constraint, &s->b.error),
            ACESTEP_OK);
    }
    assert_int_equal(ace_lm_write(&writer, texts, n), ACESTEP_OK);
    for (int i = 0; i < n; i++) {
        out[i].n = texts[i].n;
        ace_lm_constraint_free(texts[i].constraint);
    }
}

static void words_are_chosen_too(void **state)
{
    (void)state;
    for (int caption = 0; caption < 2; caption++) {
        words card[WORD_TEXTS];
        words host[WORD_TEXTS];
        words alone;
        double before = downloaded();
        write_words(caption == 1, WORD_TEXTS, card);
        double by_card = downloaded() - before;
        s->b.device->ops = &s->host_chooses;
        before = downloaded();
        write_words(caption == 1, WORD_TEXTS, host);
        double by_host = downloaded() - before;
        s->b.device->ops = s->card_chooses;
        for (int i = 0; i < WORD_TEXTS; i++) {
            assert_int_equal(card[i].n, host[i].n);
            assert_memory_equal(card[i].ids, host[i].ids, (size_t)card[i].n * sizeof(int32_t));
        }
        write_words(caption == 1, 1, &alone);
        assert_int_equal(alone.n, card[0].n);
        assert_memory_equal(alone.ids, card[0].ids, (size_t)alone.n * sizeof(int32_t));
        assert_true(card[0].n > 20 && by_host > 4 * by_card);
    }
}

static void logits_that_are_no_numbers(void **state)
{
    written out[TEXTS];
    ace_tensor norm = s->model.norm;
    float *weights = calloc((size_t)norm.cols, sizeof *weights);
    (void)state;
    assert_non_null(weights);
    ace_download(&s->b.stream, weights, norm);
    ace_fill(&s->b.stream, norm, NAN);
    for (int host = 0; host < 2; host++) {
        s->b.device->ops = host == 1 ? &s->host_chooses : s->card_chooses;
        s->b.error = (ace_error){.code = ACESTEP_OK};
        assert_int_equal(write_songs(0, TEXTS, false, out), ACESTEP_MODEL);
        assert_string_equal(s->b.error.message, "language model: its logits are no numbers");
    }
    s->b.device->ops = s->card_chooses;
    ace_upload(&s->b.stream, norm, weights);
    free(weights);
}

/* Choices that do not fit the logits end in an error, and nothing is launched. */
static void choices_that_do_not_fit(void **state)
{
    static const int32_t column[] = {8};
    static const ace_choice right = {.row = 0,
                                     .twin = ACE_CHOICE_NONE,
                                     .count = 8,
                                     .also = ACE_CHOICE_NONE,
                                     .penalty = 1,
                                     .top_p = 1,
                                     .temperature = 1};
    ace_choice wrong[9];
    (void)state;
    for (int i = 0; i < 9; i++) {
        wrong[i] = right;
    }
    wrong[0].row = 2;
    wrong[1].twin = 0;
    wrong[2].twin = 2;
    wrong[3].first = 1;
    wrong[4].count = 0;
    wrong[5].also = 8;
    wrong[6].uniform = 1;
    wrong[7].penalised = column;
    wrong[7].n_penalised = 1;
    wrong[8].n_penalised = ACE_CHOICE_PENALISED + 1;
    for (int i = -1; i < 9; i++) {
        ace_error err = {.code = ACESTEP_OK};
        ace_stream stream;
        int32_t chosen = -7;
        ace_stream_init(&stream, s->b.device, &s->b.arena, ACE_F32, &err);
        ace_reset(&stream, &s->loaded);
        ace_tensor logits = ace_new(&stream, ACE_F32, 2, 8);
        ace_fill(&stream, logits, 1);
        ace_choose(&stream, logits, i < 0 ? &right : &wrong[i], 1, &chosen);
        assert_int_equal(stream.status, i < 0 ? ACESTEP_OK : ACESTEP_FAILED);
        assert_int_equal(chosen, i < 0 ? 0 : -7);
        assert_true(i < 0 || strstr(err.message, "do not fit 2 rows of 8 logits") != NULL);
    }
}

static void choices_that_disturb_each_other(void **state)
{
    static const uint32_t masks[2] = {1, 1};
    (void)state;
    for (int i = 0; i < 4; i++) {
        ace_error err = {.code = ACESTEP_OK};
        ace_stream stream;
        int32_t chosen[2] = {-7, -7};
        ace_choice pair[2];
        for (int k = 0; k < 2; k++) {
            pair[k] = (ace_choice){.row = k,
                                   .twin = ACE_CHOICE_NONE,
                                   .count = 8,
                                   .also = ACE_CHOICE_NONE,
                                   .mask = &masks[0],
                                   .top_p = 1};
        }
        pair[1].row = i == 1 ? 0 : 1;
        pair[1].twin = i == 2 ? 0 : ACE_CHOICE_NONE;
        pair[1].mask = &masks[i == 3];
        ace_stream_init(&stream, s->b.device, &s->b.arena, ACE_F32, &err);
        ace_reset(&stream, &s->loaded);
        ace_tensor logits = ace_new(&stream, ACE_F32, 2, 8);
        ace_fill(&stream, logits, 1);
        ace_choose(&stream, logits, pair, 2, chosen);
        assert_int_equal(stream.status, i == 0 ? ACESTEP_OK : ACESTEP_FAILED);
        assert_int_equal(chosen[1], i == 0 ? 0 : -7);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(card_writes_what_the_host_would),
        cmocka_unit_test(with_a_cache_of_8_bits),
        cmocka_unit_test(without_rules_too),
        cmocka_unit_test(words_are_chosen_too),
        cmocka_unit_test(logits_that_are_no_numbers),
        cmocka_unit_test(choices_that_do_not_fit),
        cmocka_unit_test(choices_that_disturb_each_other),
    };
    return cmocka_run_group_tests(tests, open_studio, close_studio);
}
