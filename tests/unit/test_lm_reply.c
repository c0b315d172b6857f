/* What the model wrote, well-formed and not; and that a block read back says what was put in. */
#include "base/memory.h"
#include "lm/reply.h"
#include "lm/user_text.h"
#include "lm/yaml_read.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static ace_lm_reply read(const char *text)
{
    ace_lm_reply reply;
    assert_int_equal(ace_lm_reply_read(text, strlen(text), &reply, NULL), ACESTEP_OK);
    return reply;
}

static void assert_text(const char *got, const char *want)
{
    if (want == NULL) {
        assert_null(got);
    } else {
        assert_non_null(got);
        assert_string_equal(got, want);
    }
}

static void expect_field(const char *text, ace_lm_field field, const char *want)
{
    ace_lm_reply r = read(text);
    assert_text(r.fields.text[field], want);
    ace_lm_reply_free(&r);
}

static void expect_lyrics(const char *text, const char *want)
{
    ace_lm_reply r = read(text);
    assert_text(r.lyrics, want);
    ace_lm_reply_free(&r);
}

static void a_whole_reply(void **state)
{
    (void)state;
    ace_lm_reply r =
        read("<think>\nbpm: 92\ncaption: A mellow beat with dusty drums\n  and a piano\n"
             "duration: 180\ngenres: jazz, lo-fi\nkeyscale: F# minor\nlanguage: en\n"
             "timesignature: 4\n</think>\n\n# Lyric\n[Verse]\nHello: you\n<|im_end|>");
    static const char *const want[ACE_LM_FIELDS] = {
        "92", "A mellow beat with dusty drums and a piano", "180", "jazz, lo-fi", "F# minor", "en",
        "4"};
    for (int i = 0; i < ACE_LM_FIELDS; i++) {
        assert_text(r.fields.text[i], want[i]);
    }
    assert_text(r.lyrics, "[Verse]\nHello: you");
    ace_lm_reply_free(&r);
    assert_null(r.lyrics);
    assert_null(r.fields.text[0]);
}

static void where_fields_are_sought(void **state)
{
    (void)state;
    /* the first phase leaves its closing tag out */
    expect_field("<think>\nbpm: 92\nlanguage: fr\n<|im_end|>", ACE_LM_LANGUAGE, "fr");
    expect_field("<think>\nbpm: 92<|im_end|>", ACE_LM_BPM, "92");
    expect_field("bpm: 92\n<|audio_code_1|>\nbpm: 93", ACE_LM_BPM, "92");
    expect_field("<reasoning>\nbpm: 92\n</reasoning>\nbpm: 93", ACE_LM_BPM, "92");
    expect_field("<think> </think>\nbpm: 93", ACE_LM_BPM, "93");
    expect_field("bpm: 92\n<think>\nbpm: 93\n</think>\n<think>\nbpm: 94\n</think>", ACE_LM_BPM,
                 "93");
    /* a closing tag alone still ends them */
    expect_field("bpm: 92\n</think>\n# Lyric\nlanguage: of love", ACE_LM_LANGUAGE, NULL);
    expect_field("", ACE_LM_BPM, NULL);
    expect_field("</think><think>", ACE_LM_BPM, NULL);
}

static void lines_and_values(void **state)
{
    (void)state;
    expect_field(" BPM : 92", ACE_LM_BPM, "92"); /* trimmed before its lines are looked at */
    expect_field("x: y\n BPM : 92", ACE_LM_BPM, NULL);
    expect_field("Bpm\t:  92 \r\nlanguage: en\r\n", ACE_LM_BPM, "92");
    expect_field("keyscale: N/A", ACE_LM_KEYSCALE, NULL);
    expect_field("keyscale:  \nbpm: 1", ACE_LM_KEYSCALE, NULL);
    expect_field("keyscale:\n  G major", ACE_LM_KEYSCALE, "G major");
    expect_field("caption: a: b:c", ACE_LM_CAPTION, "a: b:c");
    expect_field("caption: one\n\n  two\n\tthree  \nnoise\n four", ACE_LM_CAPTION,
                 "one two three four");
    expect_field("caption: one\n<b>x: y\n  <two>", ACE_LM_CAPTION, "one <two>");
    expect_field("caption: one\ncaption:\ncaption: three", ACE_LM_CAPTION, "three");
    expect_field("caption: one\ncaption: N/A", ACE_LM_CAPTION, "one");
    expect_field("caption: one\nmood: dark\n  two", ACE_LM_CAPTION, "one");
    expect_field("no colon here\n: 5\nbpm", ACE_LM_BPM, NULL);
    expect_field("bpm: fast", ACE_LM_BPM, "fast");
    expect_field("timesignature: 6/8", ACE_LM_TIMESIGNATURE, "6/8");
    expect_field("caption: \xff\xc3", ACE_LM_CAPTION, "\xef\xbf\xbd\xef\xbf\xbd");
}

static void quotes_of_yaml_go(void **state)
{
    (void)state;
    expect_field("language: 'no'", ACE_LM_LANGUAGE, "no");
    expect_field("bpm: \"92\"", ACE_LM_BPM, "92");
    expect_field("caption: 'Key: dark\n  and slow'", ACE_LM_CAPTION, "Key: dark and slow");
    expect_field("caption: '''quoted'' start'", ACE_LM_CAPTION, "'quoted' start");
    expect_field("caption: 'a\n\n  b'", ACE_LM_CAPTION, "a\nb");
    expect_field("caption: \"a\\tb\\\n  \\ c\\u00e9\\U0001F3B9\\x5A\"", ACE_LM_CAPTION,
                 "a\tb c\xc3\xa9\xf0\x9f\x8e\xb9Z");
    expect_field("caption: \"a\n  b\n\n  c\"", ACE_LM_CAPTION, "a b\nc");
    expect_field("caption: ' '", ACE_LM_CAPTION, NULL);
    expect_field("caption: 'N/A'", ACE_LM_CAPTION, NULL);
}

static void quotes_of_the_text_stay(void **state)
{
    (void)state;
    static const char *const own[] = {
        "\"dreamy\" and \"dark\"",
        "'tis the season",
        "'a' and 'b'",
        "'''",
        "\"a\\\"",
        "\"a\\q\"",
        "\"\\ud800\"",
        "\"\\U00110000\"",
        "\"\\x4\"",
        "\"\\0\"",
        "\"",
        "'",
        "\"mixed'",
        "\"\\x00\"",
        "a 'b'",
    };
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
        char text[128];
        (void)snprintf(text, sizeof text, "caption: %s", own[i]);
        expect_field(text, ACE_LM_CAPTION, own[i]);
    }
}

static void lyrics_without_their_heading(void **state)
{
    (void)state;
    expect_lyrics("no thoughts", NULL);
    expect_lyrics("<think>\n</think>", NULL);
    expect_lyrics("</think>\n\n<|im_end|>", NULL);
    expect_lyrics("</think>\n\n# Lyric\n<|im_end|>", NULL);
    expect_lyrics("</think># lyric \n\nla\n\nla \n<|endoftext|>", "la\n\nla");
    expect_lyrics("</think>\n#LYRI|\nla", "la");
    expect_lyrics("</think>\n# Lyris\nla", "la");
    expect_lyrics("</think>\n# Lyri\nla", "la");
    expect_lyrics("</think>\n# Lyrics\nla", "# Lyrics\nla"); /* as in the original */
    expect_lyrics("</think>\n# Lyric x\nla", "# Lyric x\nla");
    expect_lyrics("</think>\n# Lyric\n# Lyric\nla", "# Lyric\nla");
    expect_lyrics("</think>\nla\n# Lyric\nla", "la\n# Lyric\nla");
    expect_lyrics("</think>\nla </think> lo", "la </think> lo");
    expect_lyrics("</think>\n# Languages\nen, fr\n\n# Lyric\nla", "la");
    expect_lyrics("</think>\n# Languages\nla", "# Languages\nla");
    expect_lyrics("</think>\n\n<|audio_code_1|><|audio_code_2|>", NULL);
    expect_lyrics("</think>\n#", "#");
}

/* ---- round trip
 * -------------------------------------------------------------------------------------------- */

static uint64_t next(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

static void random_text(uint64_t *chance, char *out, size_t room)
{
    static const char *const atoms[] = {"a",
                                        "lo-fi",
                                        "beat,",
                                        "crackle",
                                        "warm",
                                        " ",
                                        " ",
                                        " ",
                                        " ",
                                        "  ",
                                        "'",
                                        "\"",
                                        ":",
                                        ": ",
                                        " #",
                                        "#",
                                        "-",
                                        "\n",
                                        "\n\n",
                                        " \n",
                                        "\n ",
                                        "\t",
                                        "\r",
                                        "\\",
                                        "\xc3\xa9",
                                        "\xe6\x97\xa5",
                                        "\xf0\x9f\x8e\xb9",
                                        "\xc2\xa0",
                                        "\xe2\x80\xa8",
                                        "\xe2\x80\xa9",
                                        "\xc2\x85",
                                        "\xef\xbb\xbf",
                                        "\x07",
                                        "\x7f",
                                        "---",
                                        "{",
                                        "}",
                                        "<",
                                        ">",
                                        "</think>",
                                        "<|im_end|>",
                                        "<|audio_code_1|>",
                                        "5",
                                        "\xf4\x8f\xbf\xbf",
                                        "\x0b",
                                        "N/A",
                                        "bpm: 3",
                                        "\xff"};
    size_t n = 0;
    uint64_t count = next(chance) % 60;
    /* few kinds at a time: styles other than the double-quoted one need luck otherwise */
    uint64_t kinds = 1 + next(chance) % (sizeof atoms / sizeof *atoms);
    out[0] = '\0';
    for (uint64_t i = 0; i < count; i++) {
        const char *atom = atoms[next(chance) % kinds];
        if (n + strlen(atom) + 1 < room) {
            memcpy(out + n, atom, strlen(atom) + 1);
            n += strlen(atom);
        }
    }
}

static bool is_made_of(const char *text, const char *set)
{
    return text[strspn(text, set)] == '\0';
}

/* All that changes: broken UTF-8, added tokens, blank texts and N/A, zeros before an integer. */
static char *what_comes_back(const char *text)
{
    ace_text_buffer clean = {0};
    ace_lm_append_user_text(&clean, text);
    char *out = ace_text_take(&clean);
    assert_non_null(out);
    size_t n = strlen(out);
    size_t from = strspn(out, " \t\n\v\f\r");
    while (n > from && strchr(" \t\n\v\f\r", out[n - 1]) != NULL) {
        n--;
    }
    if (from == n || (n - from == 3 && memcmp(out + from, "N/A", 3) == 0)) {
        ace_free(out);
        return NULL;
    }
    return out;
}

static void round_trip(void **state)
{
    (void)state;
    uint64_t chance = 3;
    for (int round = 0; round < 20000; round++) {
        char text[512];
        char *block = NULL;
        ace_lm_reply r;
        ace_lm_fields f = {{0}};
        ace_lm_field field = round % 2 == 0 ? ACE_LM_CAPTION : ACE_LM_KEYSCALE;
        random_text(&chance, text, sizeof text);
        assert_int_equal(ace_lm_fields_set(&f, field, text, strlen(text), NULL), ACESTEP_OK);
        assert_int_equal(ace_lm_fields_set(&f, ACE_LM_LANGUAGE, "no", 2, NULL), ACESTEP_OK);
        assert_int_equal(ace_lm_fields_block(&f, &block, NULL), ACESTEP_OK);
        r = read(block);
        if (!is_made_of(text, "0123456789")) {
            char *want = what_comes_back(text);
            assert_text(r.fields.text[field], want);
            ace_free(want);
        }
        assert_text(r.fields.text[ACE_LM_LANGUAGE], "no");
        assert_null(r.fields.text[ACE_LM_BPM]);
        assert_null(r.lyrics);
        ace_free(block);
        ace_lm_reply_free(&r);
        ace_lm_fields_free(&f);
    }
}

/* Any bytes are read without a word, and pieces of replies cut anywhere. */
static void malformed_text(void **state)
{
    (void)state;
    const char *whole =
        "<think>\nbpm: 92\ncaption: 'a\n\n  b'\nlanguage: \"x\\\n  \\ y\"\n</think>\n\n"
        "# Languages\nen\n# Lyric\nla\n<|im_end|>";
    uint64_t live = ace_memory_live();
    size_t n = strlen(whole);
    for (size_t from = 0; from <= n; from++) {
        for (size_t to = from; to <= n; to++) {
            ace_lm_reply r;
            char *piece = malloc(to - from + 1); /* exact, for address sanitizers */
            assert_non_null(piece);
            memcpy(piece, whole + from, to - from);
            assert_int_equal(ace_lm_reply_read(piece, to - from, &r, NULL), ACESTEP_OK);
            ace_lm_reply_free(&r);
            free(piece);
        }
    }
    ace_lm_reply r;
    assert_int_equal(ace_lm_reply_read("bpm: 9\0002\n\0", 10, &r, NULL), ACESTEP_OK);
    assert_text(r.fields.text[ACE_LM_BPM], "9 2");
    ace_lm_reply_free(&r);
    assert_int_equal(ace_lm_reply_read(NULL, 0, &r, NULL), ACESTEP_OK);
    ace_lm_reply_free(&r);
    assert_int_equal(ace_memory_live(), live);
}

static void memory_failures(void **state)
{
    (void)state;
    const char *text =
        "<think>\nbpm: 92\ncaption: 'a\n\n  b'\nlanguage: x\n  y\n</think>\n# Lyric\nla";
    uint64_t live = ace_memory_live();
    ace_status status = ACESTEP_MEMORY;
    for (uint64_t n = 1; status == ACESTEP_MEMORY; n++) {
        ace_lm_reply r;
        ace_error err = {0};
        ace_memory_fail_at(n);
        status = ace_lm_reply_read(text, strlen(text), &r, &err);
        ace_memory_fail_at(0);
        assert_true((status == ACESTEP_OK) == (err.message[0] == '\0'));
        if (status == ACESTEP_OK) {
            assert_text(r.fields.text[ACE_LM_CAPTION], "a\nb");
            ace_lm_reply_free(&r);
        }
        assert_int_equal(ace_memory_live(), live);
        assert_true(n < 100);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_reply),
        cmocka_unit_test(where_fields_are_sought),
        cmocka_unit_test(lines_and_values),
        cmocka_unit_test(quotes_of_yaml_go),
        cmocka_unit_test(quotes_of_the_text_stay),
        cmocka_unit_test(lyrics_without_their_heading),
        cmocka_unit_test(round_trip),
        cmocka_unit_test(malformed_text),
        cmocka_unit_test(memory_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
