/* The language model's score, in numbers: rows of logits against values by hand and by brute force,
 * weights of what is known, and the texts that are looked for. */
#include "base/memory.h"
#include "lm/score.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void assert_near(double got, double want, double tolerance)
{
    if (!(fabs(got - want) <= tolerance)) {
        fail_msg("%.17g is not %.17g", got, want);
    }
}

/* ---- rows ------------------------------------------------------------------------------------ */

static void recall_counts_places(void **state)
{
    (void)state;
    float logits[12];
    for (int i = 0; i < 12; i++) {
        logits[i] = (float)(20 - i);
    }
    static const double want[12] = {1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0, 0};
    for (int i = 0; i < 12; i++) {
        assert_near(ace_lm_score_recall(logits, 12, i), want[i], 1e-15);
    }
    static const float equal[4] = {1, 2, 2, 2};
    assert_near(ace_lm_score_recall(equal, 4, 1), 1, 0);
    assert_near(ace_lm_score_recall(equal, 4, 3), 0.8, 1e-15);
    assert_near(ace_lm_score_recall(equal, 4, 0), 0.7, 1e-15);
}

static void log_probability_of_known_rows(void **state)
{
    (void)state;
    static const float row[3] = {0, 0.693147180559945f, 1.386294361119891f}; /* 1 : 2 : 4 */
    assert_near(ace_lm_score_log_probability(row, 3, 0), log(1 / 7.0), 1e-7);
    assert_near(ace_lm_score_log_probability(row, 3, 2), log(4 / 7.0), 1e-7);
    static const float far[2] = {10000, 9990};
    assert_near(ace_lm_score_log_probability(far, 2, 0), -log1p(exp(-10)), 1e-12);
    assert_near(ace_lm_score_log_probability(far, 2, 1), -10 - log1p(exp(-10)), 1e-12);
    float flat[1000];
    for (int i = 0; i < 1000; i++) {
        flat[i] = -3;
    }
    assert_near(ace_lm_score_log_probability(flat, 1000, 77), -log(1000), 1e-12);
}

static int descending(const void *a, const void *b)
{
    float x = *(const float *)a;
    float y = *(const float *)b;
    return (x < y) - (x > y);
}

/* Against sorting, and against a plain sum. */
static void random_rows(void **state)
{
    (void)state;
    enum { N = 301 };
    uint32_t seed = 1;
    for (int round = 0; round < 200; round++) {
        float row[N];
        float sorted[N];
        double sum = 0;
        for (int i = 0; i < N; i++) {
            seed = seed * 1664525u + 1013904223u;
            row[i] = (float)(seed >> 8) / (float)(1 << 21) - 4;
            sum += exp((double)row[i]);
        }
        memcpy(sorted, row, sizeof row);
        qsort(sorted, N, sizeof *sorted, descending);
        double recalled = 0;
        double probability = 0;
        for (int id = 0; id < N; id++) {
            double recall = ace_lm_score_recall(row, N, id);
            double lp = ace_lm_score_log_probability(row, N, id);
            assert_near(lp, (double)row[id] - log(sum), 1e-12);
            int place = (int)lround((1 - recall) * 10);
            assert_true(place == 10 ? row[id] <= sorted[9] : row[id] == sorted[place]);
            recalled += recall;
            probability += exp(lp);
        }
        assert_near(recalled, 5.5, 1e-9); /* each place once */
        assert_near(probability, 1, 1e-12);
    }
}

static void rows_that_are_no_numbers(void **state)
{
    (void)state;
    static const float row[5] = {NAN, 1, -INFINITY, 1, NAN};
    assert_near(ace_lm_score_recall(row, 5, 1), 1, 0);
    assert_near(ace_lm_score_recall(row, 5, 3), 0.9, 1e-15);
    assert_near(ace_lm_score_recall(row, 5, 0), 0, 0);
    assert_near(ace_lm_score_recall(row, 5, 2), 0, 0);
    assert_near(ace_lm_score_log_probability(row, 5, 1), -log(2), 1e-12);
    assert_near(ace_lm_score_log_probability(row, 5, 2), -1000, 0);
    assert_near(ace_lm_score_log_probability(row, 5, 4), -1000, 0);
    static const float nothing[2] = {-INFINITY, NAN};
    assert_near(ace_lm_score_log_probability(nothing, 2, 0), -1000, 0);
    assert_near(ace_lm_score_log_probability(nothing, 2, 1), -1000, 0);
    static const float sure[2] = {INFINITY, 3};
    assert_near(ace_lm_score_log_probability(sure, 2, 0), 0, 0);
    assert_near(ace_lm_score_log_probability(sure, 2, 1), -1000, 0);
    static const float tiny[2] = {0, -5000};
    assert_near(ace_lm_score_log_probability(tiny, 2, 1), -1000, 0);
}

/* ---- a song ---------------------------------------------------------------------------------- */

static void information_becomes_a_score(void **state)
{
    (void)state;
    assert_near(ace_lm_score_of_pmi(0, 0.5), 0.5, 0);
    assert_near(ace_lm_score_of_pmi(0.5, 0.5), 0.73105857863000487, 1e-15);
    assert_near(ace_lm_score_of_pmi(-0.5, 0.5), 0.26894142136999513, 1e-15);
    assert_near(ace_lm_score_of_pmi(0.1, 0.1), ace_lm_score_of_pmi(1, 1), 1e-15);
    assert_near(ace_lm_score_of_pmi(1000, 0.01), 1, 0);
    assert_near(ace_lm_score_of_pmi(-1000, 0.01), 0, 0);
}

static ace_lm_score with(int condition, double value, ace_lm_score s)
{
    s.has[condition] = true;
    s.value[condition] = value;
    ace_lm_score_weigh(&s);
    return s;
}

static void what_is_missing_does_not_weigh(void **state)
{
    (void)state;
    ace_lm_score s = {0};
    ace_lm_score_weigh(&s);
    assert_false(s.scored);
    assert_near(s.global, 0, 0);
    s = with(ACE_LM_BPM, 0.4, s);
    assert_true(s.scored);
    assert_near(s.global, 0.4, 1e-15);
    s = with(ACE_LM_DURATION, 0.8, s);
    assert_near(s.global, 0.6, 1e-15);
    s = with(ACE_LM_CAPTION, 0.25, s); /* (0.5·0.25 + 0.2·0.6) / 0.7 */
    assert_near(s.global, 0.35, 1e-15);
    s = with(ACE_LM_SCORE_LYRICS, 0.5, s); /* 0.125 + 0.15 + 0.12 */
    assert_near(s.global, 0.395, 1e-15);
    ace_lm_score words = with(ACE_LM_SCORE_LYRICS, 0.5, (ace_lm_score){0});
    words = with(ACE_LM_CAPTION, 0.25, words); /* (0.125 + 0.15) / 0.8 */
    assert_near(words.global, 0.34375, 1e-15);
}

static void reports(void **state)
{
    (void)state;
    char text[ACE_LM_SCORE_REPORT_BYTES];
    ace_lm_score s = {0};
    ace_lm_score_report(&s, text, sizeof text);
    assert_string_equal(text, "");
    s = with(ACE_LM_TIMESIGNATURE, 0.75, s);
    ace_lm_score_report(&s, text, sizeof text);
    assert_string_equal(text, "0.75: timesignature 0.75");
    s = with(ACE_LM_CAPTION, 0.5, s);
    s = with(ACE_LM_SCORE_LYRICS, 0.25, s);
    ace_lm_score_report(&s, text, sizeof text);
    assert_string_equal(text, "0.48: caption 0.50, lyrics 0.25, timesignature 0.75");
    for (int i = 0; i < ACE_LM_CONDITIONS; i++) {
        s = with(i, 1, s);
    }
    ace_lm_score_report(&s, text, sizeof text);
    assert_non_null(strstr(text, "timesignature 1.00"));
    for (size_t n = 1; n < 40; n++) { /* short of room: cut */
        char cut[40];
        memset(cut, '#', sizeof cut);
        ace_lm_score_report(&s, cut, n);
        assert_int_equal(strlen(cut), n - 1);
        assert_memory_equal(cut, text, n - 1);
    }
}

/* ---- texts ----------------------------------------------------------------------------------- */

static void check_field(ace_lm_field field, const char *value, const char *want)
{
    char *text = NULL;
    assert_int_equal(ace_lm_score_field_text(field, value, &text, NULL), ACESTEP_OK);
    assert_string_equal(text, want);
    ace_free(text);
}

static void texts_of_fields(void **state)
{
    (void)state;
    check_field(ACE_LM_BPM, "92", "<think>\nbpm: 92\n</think>\n");
    check_field(ACE_LM_CAPTION, "calm: piano", "<think>\ncaption: 'calm: piano'\n</think>\n");
    check_field(ACE_LM_GENRES, "pop", "<think>\ngenres: pop\n</think>\n");
    check_field(ACE_LM_GENRES, "</think>", "<think>\ngenres: < /think>\n</think>\n");
    check_field(ACE_LM_KEYSCALE, "C major", "<think>\nkeyscale: C major\n</think>\n");
    check_field(ACE_LM_TIMESIGNATURE, "3/4", "<think>\ntimesignature: 3\n</think>\n");
}

static void texts_of_lyrics(void **state)
{
    (void)state;
    char *text = NULL;
    assert_int_equal(ace_lm_score_lyrics_text("[Verse]\nla <|im_end|>", &text, NULL), ACESTEP_OK);
    assert_string_equal(text, "<think>\n</think>\n# Lyric\n[Verse]\nla < |im_end|>\n");
    ace_free(text);
    assert_true(ace_lm_score_sings("[Verse]\nla"));
    assert_true(ace_lm_score_sings("la"));
    assert_false(ace_lm_score_sings(""));
    assert_false(ace_lm_score_sings(" \n\t"));
    assert_false(ace_lm_score_sings("[Instrumental]\n"));
    assert_false(ace_lm_score_sings("[Intro]\n[Outro"));
}

static void names(void **state)
{
    (void)state;
    assert_string_equal(ace_lm_condition_name(ACE_LM_BPM), "bpm");
    assert_string_equal(ace_lm_condition_name(ACE_LM_SCORE_LYRICS), "lyrics");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recall_counts_places),
        cmocka_unit_test(log_probability_of_known_rows),
        cmocka_unit_test(random_rows),
        cmocka_unit_test(rows_that_are_no_numbers),
        cmocka_unit_test(information_becomes_a_score),
        cmocka_unit_test(what_is_missing_does_not_weigh),
        cmocka_unit_test(reports),
        cmocka_unit_test(texts_of_fields),
        cmocka_unit_test(texts_of_lyrics),
        cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
