/* The state machine of constrained decoding: what it forces, what it lets through, and that random
 * choices can never break it. */
#include "lm/constraint.h"
#include "lm/reply.h"
#include "text/metadata.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { CODEBOOK = 1296, VOCABULARY = 1799, LONGEST = 480, MOST = 4096 };

static ace_tokenizer *tokenizer;
static ace_lm_vocabulary vocabulary;
static ace_lm_grammar grammar;

static int open_all(void **state)
{
    ace_error err;
    ace_lm_grammar_options options = {.longest_seconds = LONGEST};
    (void)state;
    return ace_tokenizer_open(ACESTEP_SOURCE_DIR "/tests/golden/acestep-5Hz-lm-0.6B", &tokenizer,
                              &err) != ACESTEP_OK ||
           ace_lm_vocabulary_open(tokenizer, VOCABULARY, CODEBOOK, &vocabulary, &err) !=
               ACESTEP_OK ||
           ace_lm_grammar_open(&vocabulary, &options, &grammar, &err) != ACESTEP_OK;
}

static int close_all(void **state)
{
    (void)state;
    ace_lm_grammar_close(&grammar);
    ace_lm_vocabulary_close(&vocabulary);
    ace_tokenizer_free(tokenizer);
    return 0;
}

/* ---- runs ------------------------------------------------------------------------------------ */

typedef struct run {
    uint64_t random;
    float logits[VOCABULARY];
    int32_t ids[MOST];
    int64_t n;
} run;

static uint32_t draw(run *r)
{
    r->random = r->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(r->random >> 33);
}

/* A token among the allowed ones: the best of random logits. */
static int32_t choose(run *r, const ace_lm_constraint *c, const ace_lm_allowed *a)
{
    int32_t best = -1;
    for (int32_t id = 0; id < VOCABULARY; id++) {
        if (ace_lm_constraint_permits(c, a, id) && (best < 0 || r->logits[id] > r->logits[best])) {
            best = id;
        }
    }
    return best;
}

/* Runs to the end; fails the test if the rules leave nothing, or go on for too long. */
static void finish(run *r, ace_lm_constraint *c, double end_bias)
{
    for (r->n = 0; !ace_lm_constraint_ended(c); r->n++) {
        ace_lm_allowed allowed;
        assert_true(r->n < MOST);
        for (int i = 0; i < VOCABULARY; i++) {
            r->logits[i] = (float)draw(r);
        }
        if (draw(r) % 1000 < end_bias * 1000) { /* ends and line feeds come up at times */
            r->logits[draw(r) % 2 == 0 ? vocabulary.end : vocabulary.line_feed] = INFINITY;
        }
        if (ace_lm_constraint_looks(c)) {
            ace_lm_constraint_look(c, r->logits);
        }
        ace_lm_constraint_allow(c, &allowed);
        r->ids[r->n] = choose(r, c, &allowed);
        assert_true(r->ids[r->n] >= 0);
        ace_lm_constraint_accept(c, r->ids[r->n]);
    }
}

static ace_lm_constraint *make(const ace_lm_rules *rules)
{
    ace_lm_constraint *c = NULL;
    ace_error err;
    assert_int_equal(ace_lm_constraint_create(&grammar, rules, &c, &err), ACESTEP_OK);
    return c;
}

static void read_back(const run *r, ace_lm_reply *reply)
{
    char *text = NULL;
    size_t n = 0;
    ace_error err;
    assert_int_equal(ace_tokenizer_decode(tokenizer, r->ids, r->n, &text, &n, &err), ACESTEP_OK);
    assert_int_equal(ace_lm_reply_read(text, n, reply, &err), ACESTEP_OK);
    free(text);
}

/* ---- what every run must give ---------------------------------------------------------------- */

static void check_fields(const ace_lm_fields *f, const ace_lm_rules *rules)
{
    char key[ACE_KEYSCALE_BYTES];
    int signature = 0;
    const char *language = NULL;
    long bpm = ace_lm_fields_number(f, ACE_LM_BPM);
    long seconds = ace_lm_fields_number(f, ACE_LM_DURATION);
    assert_in_range(bpm, ACE_BPM_MIN, ACE_BPM_MAX);
    assert_in_range(seconds, 10, LONGEST);
    assert_non_null(f->text[ACE_LM_KEYSCALE]);
    assert_int_equal(ace_keyscale_parse(f->text[ACE_LM_KEYSCALE], key, NULL), ACESTEP_OK);
    assert_string_not_equal(key, "");
    assert_non_null(f->text[ACE_LM_TIMESIGNATURE]);
    assert_int_equal(ace_timesignature_parse(f->text[ACE_LM_TIMESIGNATURE], &signature, NULL),
                     ACESTEP_OK);
    assert_int_not_equal(signature, 0);
    assert_int_equal(f->text[ACE_LM_LANGUAGE] == NULL, rules->skip[ACE_LM_LANGUAGE]);
    if (f->text[ACE_LM_LANGUAGE] != NULL) {
        assert_int_equal(ace_language_parse(f->text[ACE_LM_LANGUAGE], &language, NULL), ACESTEP_OK);
    }
    assert_int_equal(f->text[ACE_LM_CAPTION] == NULL, rules->skip[ACE_LM_CAPTION]);
}

/* Metadata with random logits, then as many codes as its duration says. */
static void one_song(run *r, bool plan_only)
{
    ace_lm_rules rules = {.target = -1, .plan_only = plan_only};
    ace_lm_reply reply = {0};
    rules.skip[ACE_LM_CAPTION] = draw(r) % 2 == 0;
    rules.skip[ACE_LM_LANGUAGE] = draw(r) % 2 == 0;
    ace_lm_constraint *c = make(&rules);
    finish(r, c, 0.05);
    ace_lm_constraint_free(c);
    assert_int_equal(r->ids[r->n - 1], vocabulary.end);
    for (int64_t i = 0; i < r->n; i++) {
        assert_true(ace_lm_code_of(&vocabulary, r->ids[i]) < 0);
    }
    read_back(r, &reply);
    check_fields(&reply.fields, &rules);
    assert_true(!plan_only || reply.lyrics == NULL);
    long seconds = ace_lm_fields_number(&reply.fields, ACE_LM_DURATION) % 12;
    ace_lm_reply_free(&reply);

    ace_lm_rules codes = {.codes = true, .target = seconds * 5};
    c = make(&codes);
    finish(r, c, 0.2);
    ace_lm_constraint_free(c);
    assert_int_equal(r->n, seconds * 5 + 1);
    for (int64_t i = 0; i + 1 < r->n; i++) {
        assert_in_range(ace_lm_code_of(&vocabulary, r->ids[i]), 0, CODEBOOK - 1);
    }
}

static void test_random_logits_never_break_it(void **state)
{
    enum { RUNS = 10000 };
    run *r = calloc(1, sizeof *r);
    (void)state;
    assert_non_null(r);
    r->random = 42;
    for (int i = 0; i < RUNS; i++) {
        one_song(r, i % 4 != 0);
    }
    free(r);
}

/* ---- single rules ---------------------------------------------------------------------------- */

static void expect_written(const ace_lm_rules *rules, const char *text)
{
    run *r = calloc(1, sizeof *r);
    char *found = NULL;
    ace_error err;
    ace_lm_constraint *c = make(rules);
    finish(r, c, 0);
    ace_lm_constraint_free(c);
    assert_int_equal(ace_tokenizer_decode(tokenizer, r->ids, r->n, &found, NULL, &err), ACESTEP_OK);
    assert_string_equal(found, text);
    free(found);
    free(r);
}

static void set(ace_lm_fields *f, ace_lm_field field, const char *text)
{
    assert_int_equal(ace_lm_fields_set(f, field, text, strlen(text), NULL), ACESTEP_OK);
}

static void test_what_the_user_gave_is_written_as_it_is(void **state)
{
    ace_lm_fields fixed = {0};
    (void)state;
    set(&fixed, ACE_LM_BPM, "93");
    set(&fixed, ACE_LM_CAPTION, "Slow: a\nwaltz");
    set(&fixed, ACE_LM_DURATION, "999"); /* not the rules' business */
    set(&fixed, ACE_LM_KEYSCALE, "H dorian");
    set(&fixed, ACE_LM_LANGUAGE, "de");
    set(&fixed, ACE_LM_TIMESIGNATURE, "6/8");
    ace_lm_rules rules = {.target = -1, .plan_only = true, .fixed = &fixed};
    expect_written(&rules, "<think>\nbpm: 93\ncaption: Slow: a waltz\nduration: 999\n"
                           "keyscale: H dorian\nlanguage: de\ntimesignature: 6/8\n<|im_end|>");
    rules.skip[ACE_LM_BPM] = rules.skip[ACE_LM_CAPTION] = rules.skip[ACE_LM_TIMESIGNATURE] = true;
    expect_written(&rules, "<think>\nduration: 999\nkeyscale: H dorian\nlanguage: de\n<|im_end|>");
    ace_lm_fields_free(&fixed);
}

static void test_bare_rules_end_at_once(void **state)
{
    ace_lm_rules nothing = {.target = -1, .plan_only = true};
    ace_lm_rules no_codes = {.codes = true, .target = 0};
    (void)state;
    for (int i = 0; i < ACE_LM_FIELDS; i++) {
        nothing.skip[i] = true;
    }
    expect_written(&nothing, "<think>\n<|im_end|>");
    expect_written(&no_codes, "<|im_end|>");
}

/* bpm: is spelled by longest prefixes, unless canonically. */
static void test_fixed_strings(void **state)
{
    ace_lm_grammar canonical;
    ace_lm_grammar_options options = {.longest_seconds = 60, .canonical = true};
    ace_tokens tokens;
    (void)state;
    assert_int_equal(ace_lm_grammar_open(&vocabulary, &options, &canonical, NULL), ACESTEP_OK);
    for (int f = 0; f < ACE_LM_FIELDS; f++) {
        char name[32];
        (void)snprintf(name, sizeof name, "%s:", ace_lm_field_name((ace_lm_field)f));
        assert_int_equal(ace_tokenizer_encode(tokenizer, name, strlen(name), 0, &tokens, NULL),
                         ACESTEP_OK);
        assert_int_equal(canonical.name[f].n, tokens.n);
        assert_memory_equal(canonical.name[f].id, tokens.ids, (size_t)tokens.n * sizeof(int32_t));
        ace_tokens_free(&tokens);
    }
    ace_lm_grammar_close(&canonical);
}

/* The duration's tree ends at the tier's limit: 480 can be written, 481 cannot. */
static void test_the_limit_caps_the_duration(void **state)
{
    const ace_token_tree *tree = &grammar.value[ACE_LM_DURATION];
    int complete = 0;
    (void)state;
    for (int32_t i = 0; i < tree->n; i++) {
        complete += tree->node[i].complete;
    }
    assert_int_equal(complete, LONGEST - 10 + 1);
}

/* A caption ends with a line feed only when the next line would not begin with a space, and after
 * 512 tokens in any case. */
static void test_captions(void **state)
{
    ace_lm_rules rules = {.target = -1, .plan_only = true};
    ace_lm_allowed allowed;
    float *logits = calloc(VOCABULARY, sizeof *logits);
    int32_t a = ace_tokenizer_token_id(tokenizer, "a");
    int32_t space = ace_tokenizer_token_id(tokenizer, " ");
    (void)state;
    rules.skip[ACE_LM_BPM] = true;
    ace_lm_constraint *c = make(&rules);
    while (strcmp(ace_lm_constraint_phase(c), "caption") != 0 ||
           (ace_lm_constraint_allow(c, &allowed), allowed.choice == ACE_LM_LISTED)) {
        ace_lm_constraint_allow(c, &allowed);
        ace_lm_constraint_accept(c, allowed.id[0]);
    }
    ace_lm_constraint_allow(c, &allowed);
    assert_false(ace_lm_constraint_permits(c, &allowed, vocabulary.line_feed)); /* still empty */
    assert_false(ace_lm_constraint_permits(c, &allowed, vocabulary.end));
    assert_false(ace_lm_constraint_permits(c, &allowed, vocabulary.first_code));
    assert_false(ace_lm_constraint_permits(c, &allowed, ace_tokenizer_token_id(tokenizer, "`")));
    ace_lm_constraint_accept(c, a);
    ace_lm_constraint_allow(c, &allowed);
    assert_true(ace_lm_constraint_permits(c, &allowed, vocabulary.line_feed));
    ace_lm_constraint_accept(c, vocabulary.line_feed);
    assert_true(ace_lm_constraint_looks(c));
    logits[space] = 1; /* the line goes on */
    ace_lm_constraint_look(c, logits);
    ace_lm_constraint_allow(c, &allowed);
    assert_true(ace_lm_constraint_permits(c, &allowed, space));
    assert_false(ace_lm_constraint_permits(c, &allowed, a));
    ace_lm_constraint_accept(c, space);
    for (int i = 3; i < 512; i++) {
        ace_lm_constraint_allow(c, &allowed);
        assert_true(ace_lm_constraint_permits(c, &allowed, a));
        ace_lm_constraint_accept(c, a);
    }
    ace_lm_constraint_allow(c, &allowed);
    assert_int_equal(allowed.choice, ACE_LM_LISTED);
    assert_int_equal(allowed.id[0], vocabulary.line_feed);
    ace_lm_constraint_accept(c, vocabulary.line_feed);
    ace_lm_constraint_look(c, logits); /* would go on, but it is long enough */
    assert_string_equal(ace_lm_constraint_phase(c), "duration");
    ace_lm_constraint_free(c);
    free(logits);
}

static void test_genres_come_from_the_list(void **state)
{
    static const char list[] = "# styles\nPop\nhip hop\n\nacid  \r\npop rock\n";
    ace_lm_genres genres;
    ace_lm_grammar with;
    bool whole = false;
    (void)state;
    assert_int_equal(ace_lm_genres_parse(list, strlen(list), "list", &genres, NULL), ACESTEP_OK);
    assert_int_equal(genres.n, 4);
    assert_true(ace_lm_genres_begins(&genres, "pop", 3, &whole));
    assert_true(whole);
    assert_true(ace_lm_genres_begins(&genres, "hip ", 4, &whole));
    assert_false(whole);
    assert_false(ace_lm_genres_begins(&genres, "styles", 6, &whole));
    ace_lm_grammar_options options = {.longest_seconds = 60, .genres = &genres};
    assert_int_equal(ace_lm_grammar_open(&vocabulary, &options, &with, NULL), ACESTEP_OK);
    run *r = calloc(1, sizeof *r);
    for (int i = 0; i < 200; i++) {
        ace_lm_rules rules = {.target = -1};
        ace_lm_reply reply = {0};
        ace_lm_constraint *text = NULL;
        rules.skip[ACE_LM_CAPTION] = true;
        assert_int_equal(ace_lm_constraint_create(&with, &rules, &text, NULL), ACESTEP_OK);
        finish(r, text, 0.3);
        ace_lm_constraint_free(text);
        read_back(r, &reply);
        char *genre = reply.fields.text[ACE_LM_GENRES];
        assert_non_null(genre);
        for (char *c = genre; *c != '\0'; c++) {
            *c = *c >= 'A' && *c <= 'Z' ? (char)(*c - 'A' + 'a') : *c;
        }
        if (!ace_lm_genres_begins(&genres, genre, strlen(genre), &whole) || !whole) {
            fail_msg("\"%s\" is not in the list", genre);
        }
        ace_lm_reply_free(&reply);
    }
    free(r);
    ace_lm_grammar_close(&with);
    ace_lm_genres_close(&genres);
}

static void test_damaged_lists_are_refused(void **state)
{
    ace_lm_genres genres;
    ace_error err = {.code = ACESTEP_OK};
    (void)state;
    assert_int_equal(ace_lm_genres_parse("# only\n \n", 9, "list", &genres, &err), ACESTEP_MODEL);
    assert_int_equal(ace_lm_genres_parse("a\0b", 3, "list", &genres, &err), ACESTEP_MODEL);
    assert_int_equal(ace_lm_genres_open("/nowhere/genres", &genres, &err), ACESTEP_IO);
    assert_int_equal(ace_lm_genres_parse("A\nb", 3, "list", &genres, &err), ACESTEP_OK);
    ace_lm_genres_close(&genres);
}

static void test_a_vocabulary_must_have_the_codes(void **state)
{
    ace_lm_vocabulary v;
    ace_error err = {.code = ACESTEP_OK};
    (void)state;
    /* more in the codebook than it can write, and fewer rows of the head than tokens */
    assert_int_equal(ace_lm_vocabulary_open(tokenizer, VOCABULARY, 64000, &v, &err), ACESTEP_OK);
    assert_int_equal(v.codes, 1303);
    ace_lm_vocabulary_close(&v);
    assert_int_equal(ace_lm_vocabulary_open(tokenizer, VOCABULARY - 3, 64000, &v, &err),
                     ACESTEP_OK);
    assert_int_equal(v.codes, 1300);
    ace_lm_vocabulary_close(&v);
    assert_int_equal(ace_lm_vocabulary_open(tokenizer, 400, CODEBOOK, &v, &err), ACESTEP_MODEL);
    assert_non_null(strstr(err.message, "token"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_logits_never_break_it),
        cmocka_unit_test(test_what_the_user_gave_is_written_as_it_is),
        cmocka_unit_test(test_bare_rules_end_at_once),
        cmocka_unit_test(test_fixed_strings),
        cmocka_unit_test(test_the_limit_caps_the_duration),
        cmocka_unit_test(test_captions),
        cmocka_unit_test(test_genres_come_from_the_list),
        cmocka_unit_test(test_damaged_lists_are_refused),
        cmocka_unit_test(test_a_vocabulary_must_have_the_codes),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
