/* Rules and settings of texts as choices among columns: what is permitted there is what the rules
 * permit, state by state. */
#include "lm/choice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { CODEBOOK = 1296, VOCABULARY = 1799, LONGEST = 480 };

static ace_tokenizer *tokenizer;
static ace_lm_vocabulary vocabulary;
static ace_lm_grammar grammar;
static ace_lm_choices choices;
static uint8_t mark[VOCABULARY];
static int32_t ids[4] = {7, 9, 9, 11};

static int open_all(void **state)
{
    ace_error err;
    ace_lm_grammar_options options = {.longest_seconds = LONGEST};
    (void)state;
    return ace_tokenizer_open(ACESTEP_SOURCE_DIR "/tests/golden/acestep-5Hz-lm-0.6B", &tokenizer,
                              &err) != ACESTEP_OK ||
           ace_lm_vocabulary_open(tokenizer, VOCABULARY, CODEBOOK, &vocabulary, &err) !=
               ACESTEP_OK ||
           ace_lm_grammar_open(&vocabulary, &options, &grammar, &err) != ACESTEP_OK ||
           !ace_lm_choices_create(&choices);
}

static int close_all(void **state)
{
    (void)state;
    ace_lm_choices_free(&choices);
    ace_lm_grammar_close(&grammar);
    ace_lm_vocabulary_close(&vocabulary);
    ace_tokenizer_free(tokenizer);
    return 0;
}

static ace_lm_constraint *rules_for(bool codes, int64_t target, ace_lm_field only)
{
    ace_lm_constraint *c = NULL;
    ace_lm_rules rules = {.codes = codes, .target = target};
    for (int f = 0; f < ACE_LM_FIELDS; f++) {
        rules.skip[f] = f != (int)only;
    }
    assert_int_equal(ace_lm_constraint_create(&grammar, &rules, &c, NULL), ACESTEP_OK);
    return c;
}

static ace_lm_text text_of(ace_lm_constraint *c)
{
    return (ace_lm_text){.twin = -1,
                         .how = {{.temperature = 0.5, .top_k = 3, .top_p = 0.7, .min_p = 0.1},
                                 .guidance = 2,
                                 .repetition_penalty = 1},
                         .constraint = c,
                         .id = ids};
}

static bool add(const ace_lm_text *t, int64_t first, int64_t count)
{
    return ace_lm_choices_add(&choices, t, &vocabulary, first, count, mark);
}

/* Tokens that leave a choice follow those that do not. */
static void write_forced(ace_lm_constraint *c)
{
    ace_lm_allowed a;
    for (ace_lm_constraint_allow(c, &a); a.choice == ACE_LM_LISTED && a.n == 1;
         ace_lm_constraint_allow(c, &a)) {
        ace_lm_constraint_accept(c, a.id[0]);
    }
}

static bool is_permitted(const ace_choice *c, int64_t i)
{
    bool inside = (i >= c->first && i < c->first + c->count) || i == c->also;
    return inside && (c->mask == NULL || (c->mask[i / 32] >> (i % 32) & 1) != 0);
}

/* A text alone, among the columns of tokens first … first + count - 1. */
static void check_rules(ace_lm_constraint *c, int64_t first, int64_t count)
{
    ace_lm_allowed a;
    ace_lm_text t = text_of(c);
    int64_t permitted = 0;
    ace_lm_constraint_allow(c, &a);
    ace_lm_choices_clear(&choices);
    assert_true(add(&t, first, count));
    for (int64_t i = 0; i < count; i++) {
        bool expected = ace_lm_constraint_permits(c, &a, (int32_t)(first + i));
        assert_int_equal(is_permitted(&choices.of[0], i), expected);
        permitted += expected;
    }
    assert_true(permitted > 1);
}

static void codes_and_the_end(void **state)
{
    int64_t first = 0;
    int64_t count = 0;
    (void)state;
    ace_lm_code_range(&vocabulary, &first, &count);
    for (int open = 0; open < 2; open++) {
        ace_lm_constraint *c = rules_for(true, open == 1 ? -1 : 5, ACE_LM_FIELDS);
        check_rules(c, first, count);
        check_rules(c, 0, VOCABULARY);
        ace_lm_constraint_free(c);
    }
}

/* The first token of a caption is no line feed, later ones may be: each state its own mask. */
static void masks_follow_the_rules(void **state)
{
    ace_lm_constraint *caption = rules_for(false, -1, ACE_LM_CAPTION);
    ace_lm_constraint *lyrics = rules_for(false, -1, ACE_LM_FIELDS);
    int32_t word = 0;
    (void)state;
    write_forced(caption);
    write_forced(lyrics);
    check_rules(caption, 0, VOCABULARY);
    check_rules(lyrics, 0, vocabulary.pad);
    check_rules(lyrics, 0, VOCABULARY);
    check_rules(caption, 0, vocabulary.pad / 2);
    check_rules(caption, vocabulary.pad / 2, vocabulary.pad / 2);
    check_rules(caption, 3, vocabulary.pad - 3);
    while (vocabulary.kind[word] != ACE_LM_TOKEN_TEXT) {
        word++;
    }
    ace_lm_constraint_accept(caption, word);
    check_rules(caption, 3, vocabulary.pad - 3);
    ace_lm_constraint_free(caption);
    ace_lm_constraint_free(lyrics);
}

/* What may follow depends on the letters before: the mask of one token is none for the next. */
static void genres_have_a_mask_for_every_token(void **state)
{
    static const char list[] = "ambient\nacid jazz\nbossa nova\n";
    ace_lm_genres genres;
    (void)state;
    assert_int_equal(ace_lm_genres_parse(list, strlen(list), "list", &genres, NULL), ACESTEP_OK);
    grammar.genres = &genres;
    ace_lm_constraint *c = rules_for(false, -1, ACE_LM_GENRES);
    ace_lm_text t = text_of(c);
    write_forced(c);
    check_rules(c, 0, VOCABULARY);
    assert_false(add(&t, 0, VOCABULARY));
    for (int32_t i = 0; i < VOCABULARY; i++) {
        if (is_permitted(&choices.of[0], i)) {
            ace_lm_constraint_accept(c, i);
            break;
        }
    }
    check_rules(c, 0, VOCABULARY);
    ace_lm_constraint_free(c);
    ace_lm_genres_close(&genres);
    grammar.genres = NULL;
}

static void one_mask_for_all(void **state)
{
    ace_lm_constraint *caption = rules_for(false, -1, ACE_LM_CAPTION);
    ace_lm_constraint *lyrics = rules_for(false, -1, ACE_LM_FIELDS);
    ace_lm_constraint *codes = rules_for(true, 5, ACE_LM_FIELDS);
    ace_lm_text a = text_of(caption);
    ace_lm_text b = text_of(lyrics);
    ace_lm_text d = text_of(codes);
    (void)state;
    write_forced(caption);
    write_forced(lyrics);
    ace_lm_choices_clear(&choices);
    assert_true(add(&a, 0, VOCABULARY) && add(&a, 0, VOCABULARY) && add(&d, 0, VOCABULARY));
    assert_false(add(&b, 0, VOCABULARY));
    ace_lm_choices_clear(&choices);
    assert_true(add(&b, 0, VOCABULARY));
    ace_lm_constraint_free(caption);
    ace_lm_constraint_free(lyrics);
    ace_lm_constraint_free(codes);
}

static void what_the_host_keeps(void **state)
{
    ace_lm_constraint *key = rules_for(false, -1, ACE_LM_KEYSCALE);
    ace_lm_constraint *caption = rules_for(false, -1, ACE_LM_CAPTION);
    ace_lm_text t = text_of(key);
    (void)state;
    write_forced(key);
    write_forced(caption);
    ace_lm_choices_clear(&choices);
    assert_false(add(&t, 0, VOCABULARY)); /* few tokens */
    t = text_of(caption);
    int32_t line_end = -1;
    for (int32_t i = 0; i < vocabulary.pad; i++) {
        line_end = (vocabulary.kind[i] & ACE_LM_TOKEN_LINE_FEED) != 0 ? i : line_end;
    }
    ace_lm_constraint_accept(caption, line_end);
    assert_true(ace_lm_constraint_looks(caption));
    assert_false(add(&t, 0, VOCABULARY));
    t = text_of(NULL);
    assert_false(add(&t, 0, (int64_t)ACE_CHOICE_COLUMNS + 1));
    ace_lm_constraint_free(key);
    ace_lm_constraint_free(caption);
}

static void settings_and_rows(void **state)
{
    ace_lm_text t = text_of(NULL);
    (void)state;
    t.n = 2;
    t.before = 0;
    ace_lm_choices_clear(&choices);
    assert_true(add(&t, 0, VOCABULARY));
    t.twin = 1;
    t.how.sampling.order = ACE_LM_ORDER_PT;
    t.how.repetition_penalty = 1.2;
    t.id = ids + 1;
    t.n = 3;
    t.before = 1;
    assert_true(add(&t, 8, VOCABULARY - 8));
    ace_lm_choices_place_twins(&choices);
    const ace_choice *a = &choices.of[0];
    const ace_choice *b = &choices.of[1];
    assert_true(a->row == 0 && a->twin == ACE_CHOICE_NONE && b->row == 1 && b->twin == 2);
    assert_true(!a->temper_last && b->temper_last);
    assert_true(a->top_k == 3 && a->top_p == 0.7 && a->temperature == 0.5f && a->min_p == 0.1f);
    assert_true(a->n_penalised == 0 && a->uniform >= 0 && a->uniform < 1);
    assert_true(b->guidance == 2.0f && b->penalty == 1.2f);
    assert_int_equal(b->n_penalised, 2); /* 7 has no column, 9 counts once */
    assert_true(b->penalised[0] == 9 - 8 && b->penalised[1] == 11 - 8);
    for (int i = 0; i < VOCABULARY; i++) {
        assert_int_equal(mark[i], 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codes_and_the_end),
        cmocka_unit_test(masks_follow_the_rules),
        cmocka_unit_test(genres_have_a_mask_for_every_token),
        cmocka_unit_test(one_mask_for_all),
        cmocka_unit_test(what_the_host_keeps),
        cmocka_unit_test(settings_and_rows),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
