/* Timed lyrics: lines from tokens, and the text of both kinds of file. */
#include "base/memory.h"
#include "support/golden.h"
#include "text/lyric_times.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static ace_tokenizer *tokenizer;

static int open_tokenizer(void **state)
{
    (void)state;
    return ace_tokenizer_open(golden_path("acestep-5Hz-lm-0.6B"), &tokenizer, NULL) == ACESTEP_OK
               ? 0
               : -1;
}

static int close_tokenizer(void **state)
{
    (void)state;
    ace_tokenizer_free(tokenizer);
    return 0;
}

/* Token i from 1.0004·i to 1.0004·i + 0.5 s. */
static ace_status lines_of(const char *text, ace_lyric_lines *out)
{
    ace_tokens tokens;
    ace_status status = ace_tokenizer_encode(tokenizer, text, strlen(text), 0, &tokens, NULL);
    if (status != ACESTEP_OK) {
        return status;
    }
    double start[256];
    double end[256];
    assert_true(tokens.n <= 256);
    for (int64_t i = 0; i < tokens.n; i++) {
        start[i] = 1.0004 * (double)i;
        end[i] = start[i] + 0.5;
    }
    status = ace_lyric_lines_create(tokenizer, tokens.ids, tokens.n, start, end, out, NULL);
    ace_tokens_free(&tokens);
    return status;
}

static int64_t tokens_in(const char *text)
{
    ace_tokens tokens;
    assert_int_equal(ace_tokenizer_encode(tokenizer, text, strlen(text), 0, &tokens, NULL),
                     ACESTEP_OK);
    int64_t n = tokens.n;
    ace_tokens_free(&tokens);
    return n;
}

static void lines_end_with_their_line_feed(void **state)
{
    (void)state;
    ace_lyric_lines lines;
    assert_int_equal(lines_of("[Verse]\n  hello world \n\n\nlast", &lines), ACESTEP_OK);
    assert_int_equal(lines.n, 3);
    assert_string_equal(lines.line[0].text, "[Verse]");
    assert_string_equal(lines.line[1].text, "hello world");
    assert_string_equal(lines.line[2].text, "last");
    int64_t mark = tokens_in("[Verse]\n");
    assert_true(lines.line[0].start == 0);
    /* whole milliseconds */
    assert_true(fabs(lines.line[0].end -
                     nearbyint((1.0004 * (double)(mark - 1) + 0.5) * 1e3) / 1e3) < 1e-12);
    assert_true(fabs(lines.line[1].start - nearbyint(1.0004 * (double)mark * 1e3) / 1e3) < 1e-12);
    ace_lyric_lines_free(&lines);
}

/* Characters that take several tokens come out whole, spaces of any script go. */
static void other_scripts(void **state)
{
    (void)state;
    ace_lyric_lines lines;
    assert_int_equal(
        lines_of("\u3000\u541b\u306e\u540d\u306f\u3000\n\u05e9\u05dc\u05d5\u05dd\u00a0\n\U0001f3b5",
                 &lines),
        ACESTEP_OK);
    assert_int_equal(lines.n, 3);
    assert_string_equal(lines.line[0].text, "\u541b\u306e\u540d\u306f");
    assert_string_equal(lines.line[1].text, "\u05e9\u05dc\u05d5\u05dd");
    assert_string_equal(lines.line[2].text, "\U0001f3b5");
    ace_lyric_lines_free(&lines);
}

static void no_lyrics_no_lines(void **state)
{
    (void)state;
    static const char *const blank[] = {"", "\n\n", "  \n \u3000\n"};
    for (int i = 0; i < 3; i++) {
        ace_lyric_lines lines;
        char *text = NULL;
        assert_int_equal(lines_of(blank[i], &lines), ACESTEP_OK);
        assert_int_equal(lines.n, 0);
        assert_int_equal(ace_lrc_write(&lines, &text, NULL), ACESTEP_OK);
        assert_string_equal(text, "");
        ace_free(text);
        assert_int_equal(ace_webvtt_write(&lines, 10, &text, NULL), ACESTEP_OK);
        assert_string_equal(text, "WEBVTT\n");
        ace_free(text);
        ace_lyric_lines_free(&lines);
    }
}

static void one_token_is_a_line(void **state)
{
    (void)state;
    ace_lyric_lines lines;
    assert_int_equal(lines_of("a", &lines), ACESTEP_OK);
    assert_int_equal(lines.n, 1);
    assert_string_equal(lines.line[0].text, "a");
    assert_true(lines.line[0].start == 0 && lines.line[0].end == 0.5);
    ace_lyric_lines_free(&lines);
}

static void section_marks_are_not_sung(void **state)
{
    (void)state;
    static const char text[] = "[Verse 1]\nla la [x\ny] na]\nhey";
    ace_tokens tokens;
    bool sung[64];
    assert_int_equal(ace_tokenizer_encode(tokenizer, text, strlen(text), 0, &tokens, NULL),
                     ACESTEP_OK);
    assert_true(tokens.n <= 64);
    ace_lyrics_find_sung(tokenizer, tokens.ids, tokens.n, sung);
    char found[128] = "";
    for (int64_t i = 0; i < tokens.n; i++) {
        size_t bytes = 0;
        const char *piece = ace_tokenizer_token_bytes(tokenizer, tokens.ids[i], &bytes);
        if (sung[i]) {
            strncat(found, piece, bytes);
        }
    }
    /* a bracket takes the whole of its token along */
    assert_non_null(strstr(found, "la la"));
    assert_non_null(strstr(found, "hey"));
    assert_null(strchr(found, '['));
    assert_null(strchr(found, ']'));
    assert_null(strstr(found, "V"));
    assert_null(strstr(found, "x"));
    assert_non_null(strstr(found, "na"));
    ace_tokens_free(&tokens);
}

/* ---- files ----------------------------------------------------------------------------------- */

static ace_lyric_line example[] = {
    {"[Verse]", 0, 1.2},  {"Hello & <goodbye>", 1.996, 4},
    {"second", 2.004, 6}, {"third line", 59.996, 61},
    {"end", 61.996, 70},
};

static void lrc_text(void **state)
{
    (void)state;
    char *text = NULL;
    ace_lyric_lines lines = {example, 5};
    assert_int_equal(ace_lrc_write(&lines, &text, NULL), ACESTEP_OK);
    assert_string_equal(text, "[00:00.00][Verse]\n"
                              "[00:02.00]Hello & <goodbye>\n"
                              "[00:02.00]second\n"
                              "[01:00.00]third line\n"
                              "[01:02.00]end\n");
    ace_free(text);
}

static void webvtt_text(void **state)
{
    (void)state;
    char *text = NULL;
    ace_lyric_lines lines = {example, 5};
    assert_int_equal(ace_webvtt_write(&lines, 65.5, &text, NULL), ACESTEP_OK);
    assert_string_equal(text,
                        "WEBVTT\n"
                        "\n00:00:00.000 --> 00:00:02.000\n[Verse]\n"
                        "\n00:00:02.000 --> 00:01:00.000\nHello &amp; &lt;goodbye&gt;\nsecond\n"
                        "\n00:01:00.000 --> 00:01:02.000\nthird line\n"
                        "\n00:01:02.000 --> 00:01:05.500\nend\n");
    ace_free(text);
}

/* Less than two seconds after the start of the cue, not after the line before. */
static void short_lines_share_a_cue(void **state)
{
    (void)state;
    static ace_lyric_line close[] = {
        {"a", 0.5, 1}, {"b", 1.5, 2}, {"c", 2.49, 3}, {"d", 2.5, 3}, {"e", 3700, 3701}};
    char *text = NULL;
    ace_lyric_lines lines = {close, 5};
    assert_int_equal(ace_webvtt_write(&lines, 3, &text, NULL), ACESTEP_OK);
    assert_string_equal(text, "WEBVTT\n"
                              "\n00:00:00.500 --> 00:00:02.500\na\nb\nc\n"
                              "\n00:00:02.500 --> 01:01:40.000\nd\n"
                              "\n01:01:40.000 --> 01:01:45.000\ne\n");
    ace_free(text);
}

static void strange_times_are_survived(void **state)
{
    (void)state;
    static ace_lyric_line odd[] = {{"a", NAN, NAN}, {"b", -5, 1e300}, {"c", 1e300, INFINITY}};
    char *text = NULL;
    ace_lyric_lines lines = {odd, 3};
    assert_int_equal(ace_lrc_write(&lines, &text, NULL), ACESTEP_OK);
    assert_int_equal(strncmp(text, "[00:00.00]a\n[00:00.00]b\n[", 25), 0);
    ace_free(text);
    assert_int_equal(ace_webvtt_write(&lines, NAN, &text, NULL), ACESTEP_OK);
    ace_free(text);
}

static ace_status whole_way(void)
{
    ace_lyric_lines lines;
    char *text = NULL;
    ace_status status = lines_of("one\ntwo\nthree", &lines);
    if (status == ACESTEP_OK) {
        status = ace_lrc_write(&lines, &text, NULL);
        ace_free(text);
        text = NULL;
        if (status == ACESTEP_OK) {
            status = ace_webvtt_write(&lines, 9, &text, NULL);
            ace_free(text);
        }
        ace_lyric_lines_free(&lines);
    }
    return status;
}

static void failed_allocations_leave_nothing(void **state)
{
    (void)state;
    assert_int_equal(whole_way(), ACESTEP_OK);
    uint64_t live = ace_memory_live();
    uint64_t before = ace_memory_count();
    assert_int_equal(whole_way(), ACESTEP_OK);
    uint64_t n = ace_memory_count() - before;
    for (uint64_t i = 1; i <= n; i++) {
        ace_memory_fail_at(i);
        assert_int_equal(whole_way(), ACESTEP_MEMORY);
        assert_int_equal(ace_memory_live(), live);
    }
    ace_memory_fail_at(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_end_with_their_line_feed),
        cmocka_unit_test(other_scripts),
        cmocka_unit_test(no_lyrics_no_lines),
        cmocka_unit_test(one_token_is_a_line),
        cmocka_unit_test(section_marks_are_not_sung),
        cmocka_unit_test(lrc_text),
        cmocka_unit_test(webvtt_text),
        cmocka_unit_test(short_lines_share_a_cue),
        cmocka_unit_test(strange_times_are_survived),
        cmocka_unit_test(failed_allocations_leave_nothing),
    };
    return cmocka_run_group_tests(tests, open_tokenizer, close_tokenizer);
}
