/* The block of known fields; every expected text is what PyYAML's dump writes. */
#include "base/memory.h"
#include "lm/fields.h"
#include "lm/yaml_types.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void set(ace_lm_fields *f, ace_lm_field field, const char *text)
{
    assert_int_equal(ace_lm_fields_set(f, field, text, strlen(text), NULL), ACESTEP_OK);
}

/* One field alone; want: its lines. */
static void expect(ace_lm_field field, const char *text, const char *want)
{
    char whole[1024];
    char *got = NULL;
    ace_lm_fields f = {{0}};
    set(&f, field, text);
    assert_int_equal(ace_lm_fields_block(&f, &got, NULL), ACESTEP_OK);
    (void)snprintf(whole, sizeof whole, "<think>\n%s\n</think>", want);
    assert_string_equal(got, whole);
    ace_free(got);
    ace_lm_fields_free(&f);
}

static void fields_stand_in_alphabetical_order(void **state)
{
    (void)state;
    char *got = NULL;
    ace_lm_fields f = {{0}};
    assert_int_equal(ace_lm_fields_block(&f, &got, NULL), ACESTEP_OK);
    assert_string_equal(got, "<think>\n\n</think>");
    ace_free(got);
    set(&f, ACE_LM_GENRES, "jazz"); /* never written */
    assert_int_equal(ace_lm_fields_block(&f, &got, NULL), ACESTEP_OK);
    assert_string_equal(got, "<think>\n\n</think>");
    ace_free(got);
    set(&f, ACE_LM_TIMESIGNATURE, "4");
    set(&f, ACE_LM_LANGUAGE, "en");
    set(&f, ACE_LM_KEYSCALE, "F# minor");
    set(&f, ACE_LM_DURATION, "180");
    set(&f, ACE_LM_CAPTION, "calm piano");
    set(&f, ACE_LM_BPM, "92");
    assert_int_equal(ace_lm_fields_block(&f, &got, NULL), ACESTEP_OK);
    assert_string_equal(got, "<think>\nbpm: 92\ncaption: calm piano\nduration: 180\n"
                             "keyscale: F# minor\nlanguage: en\ntimesignature: 4\n</think>");
    ace_free(got);
    ace_lm_fields_free(&f);
    for (int i = 0; i < ACE_LM_FIELDS; i++) {
        assert_null(f.text[i]);
        assert_true(i == 0 || strcmp(ace_lm_field_name((ace_lm_field)(i - 1)),
                                     ace_lm_field_name((ace_lm_field)i)) < 0);
    }
}

static void numbers_and_signatures(void **state)
{
    (void)state;
    expect(ACE_LM_BPM, "0092", "bpm: 92");
    expect(ACE_LM_BPM, "000", "bpm: 0");
    expect(ACE_LM_BPM, "98765432109876543210", "bpm: 98765432109876543210");
    expect(ACE_LM_BPM, "92.5", "bpm: '92.5'");
    expect(ACE_LM_CAPTION, "123", "caption: 123");
    expect(ACE_LM_TIMESIGNATURE, "3/4", "timesignature: 3");
    expect(ACE_LM_TIMESIGNATURE, "6/8", "timesignature: 6/8");
    expect(ACE_LM_TIMESIGNATURE, "/4", "timesignature: ''");
    expect(ACE_LM_TIMESIGNATURE, "2/2/4", "timesignature: 2");
    expect(ACE_LM_LANGUAGE, "no", "language: 'no'");
    expect(ACE_LM_LANGUAGE, "yue", "language: yue");
}

static void plain_texts(void **state)
{
    (void)state;
    static const char *const plain[] = {
        "a:b",
        "mid#hash",
        "-dash",
        "a, b",
        "x ? y",
        ":b",
        "?b",
        "emoji \xf0\x9f\x8e\xb9 inside",
        "\xe6\x97\xa5\xe6\x9c\xac",
        "a\xc2\xa0!",
        "it's",
        "a \"b\"",
        "a  b",
        "--",
        "a -- b",
        "100%",
    };
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
        char want[128];
        (void)snprintf(want, sizeof want, "caption: %s", plain[i]);
        expect(ACE_LM_CAPTION, plain[i], want);
    }
}

static void single_quoted_texts(void **state)
{
    (void)state;
    static const char *const quoted[] = {
        "Key: dark and slow",
        "mid #hash",
        "ends with colon:",
        "[Instrumental] track",
        "{x}",
        "& a",
        "\"dreamy\" pads",
        " leading",
        "trailing ",
        "---x",
        "...",
        "- x",
        "-",
        "?",
        ": x",
        "#x",
        "%x",
        "@x",
        "`x",
        "!x",
        "*x",
        ">x",
        "|x",
        ",x",
        "~",
        "null",
        "Yes",
        "OFF",
        "0x1F",
        "0b101",
        "0_17",
        "1_000",
        "1:30",
        "1.5",
        ".5",
        "6.02e+23",
        "-.inf",
        ".NaN",
        "2001-12-14",
        "2001-12-14 21:59:43.1 -5",
        "=",
        "<<",
    };
    for (size_t i = 0; i < sizeof quoted / sizeof *quoted; i++) {
        char want[128];
        (void)snprintf(want, sizeof want, "caption: '%s'", quoted[i]);
        expect(ACE_LM_CAPTION, quoted[i], want);
    }
    expect(ACE_LM_CAPTION, "'quoted' start", "caption: '''quoted'' start'");
    expect(ACE_LM_CAPTION, "a\nb", "caption: 'a\n\n  b'");
    expect(ACE_LM_CAPTION, "\na\n\nb\n", "caption: '\n\n  a\n\n\n  b\n\n  '");
    expect(ACE_LM_CAPTION,
           "a\xe2\x80\xa8"
           "b",
           "caption: 'a\xe2\x80\xa8  b'");
}

static void double_quoted_texts(void **state)
{
    (void)state;
    expect(ACE_LM_CAPTION, "a\tb", "caption: \"a\\tb\"");
    expect(ACE_LM_CAPTION, "a \nb", "caption: \"a \\nb\"");
    expect(ACE_LM_CAPTION, "a\n b", "caption: \"a\\n b\"");
    expect(ACE_LM_CAPTION, "\x01\"\\\r", "caption: \"\\x01\\\"\\\\\\r\"");
    expect(ACE_LM_CAPTION, "\xef\xbb\xbfx\xf0\x9f\x8e\xb9", "caption: \"\\uFEFFx\\U0001F3B9\"");
    expect(ACE_LM_CAPTION, "\xff", "caption: \xef\xbf\xbd");
    expect(
        ACE_LM_CAPTION,
        "tab\there is a very long caption that goes well beyond the eighty columns of one line "
        "and then on",
        "caption: \"tab\\there is a very long caption that goes well beyond the eighty columns\\\n"
        "  \\ of one line and then on\"");
}

/* A word may end behind column 80; the space after it becomes the break. */
static void folding(void **state)
{
    (void)state;
    expect(
        ACE_LM_CAPTION,
        "A mellow lo-fi hip hop beat with dusty drums, warm Rhodes chords, vinyl crackle and a "
        "sleepy mood",
        "caption: A mellow lo-fi hip hop beat with dusty drums, warm Rhodes chords, vinyl crackle\n"
        "  and a sleepy mood");
#define S70 "1234567890123456789012345678901234567890123456789012345678901234567890"
    expect(ACE_LM_CAPTION, S70 "x b", "caption: " S70 "x b");      /* column 80: not beyond */
    expect(ACE_LM_CAPTION, S70 "xy b", "caption: " S70 "xy\n  b"); /* column 81 */
    expect(ACE_LM_CAPTION, S70 "xy  b", "caption: " S70 "xy  b");  /* two spaces stay */
    expect(ACE_LM_CAPTION, S70 S70 " b c", "caption: " S70 S70 "\n  b c");
    expect(ACE_LM_CAPTION, "'" S70 " b", "caption: '''" S70 "\n  b'"); /* "''" are two columns */
    expect(ACE_LM_CAPTION, S70 "\xc3\xa9 b", "caption: " S70 "\xc3\xa9 b"); /* columns, not bytes */
    expect(ACE_LM_CAPTION, S70 "xy ", "caption: '" S70 "xy '");
#undef S70
}

static void words_of_other_types(void **state)
{
    (void)state;
    static const char *const other[] = {
        "",
        "0",
        "-0",
        "+1",
        "1_",
        "0_7",
        "0b_",
        "0x_",
        "190:20:3",
        "190:20:3.5",
        "1.",
        "1_0.5_e+1",
        "+.inf",
        "2001-1-2T3:04:05Z",
        "False",
        "1.e-5",
        "1:0",
        "2001-1-2 \t3:04:05.",
        "2001-01-02t03:04:05 +1:30",
    };
    static const char *const texts[] = {
        "y",
        "n",
        "nO",
        "0b2",
        "0x",
        "08",
        "1:60x",
        "1:75",
        "1e5",
        "1.0e5",
        "+.nan",
        "+.5",
        "._5",
        ".",
        "-",
        "+",
        "0b",
        "1:",
        "12:30:",
        "_1",
        "1:0.e+1",
        "2001-1-2",
        "2001-01-02x",
        "2001-01-02 ",
        "2001-01-02T03:04",
        "2001-01-02 03:04:05 ",
        "2001-01-02 03:04:05+1:2",
        "01:30",
        "20010-01-01",
        "inf",
        "<<<",
        "==",
        "tRUE",
    };
    for (size_t i = 0; i < sizeof other / sizeof *other; i++) {
        assert_true(ace_yaml_is_no_text(other[i]));
    }
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        assert_false(ace_yaml_is_no_text(texts[i]));
    }
}

static void added_tokens_are_taken_apart(void **state)
{
    (void)state;
    expect(ACE_LM_CAPTION, "a </think> b <|im_end|>", "caption: a < /think> b < |im_end|>");
}

static void numbers_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        long value;
    } cases[] = {
        {"92", 92},
        {" 92\n", 92},
        {"092", 92},
        {"180.7", 180},
        {"180.", 180},
        {"0", 0},
        {"-3", 0},
        {"92 bpm", 0},
        {"1.5.2", 0},
        {".5", 0},
        {"N/A", 0},
        {"1e3", 0},
        {"", 0},
        {"99999999999999999999", 0},
        {"9223372036854775807", 9223372036854775807L},
        {"9223372036854775808", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ace_lm_fields f = {{0}};
        set(&f, ACE_LM_BPM, cases[i].text);
        assert_true(ace_lm_fields_number(&f, ACE_LM_BPM) == cases[i].value);
        assert_int_equal(ace_lm_fields_number(&f, ACE_LM_DURATION), 0);
        ace_lm_fields_free(&f);
    }
}

static void setting_replaces_and_forgets(void **state)
{
    (void)state;
    uint64_t live = ace_memory_live();
    ace_lm_fields f = {{0}};
    set(&f, ACE_LM_CAPTION, "one");
    set(&f, ACE_LM_CAPTION, "two");
    assert_string_equal(f.text[ACE_LM_CAPTION], "two");
    assert_int_equal(ace_lm_fields_set(&f, ACE_LM_CAPTION, "three", 2, NULL), ACESTEP_OK);
    assert_string_equal(f.text[ACE_LM_CAPTION], "th");
    ace_memory_fail_at(1);
    assert_int_equal(ace_lm_fields_set(&f, ACE_LM_CAPTION, "four", 4, NULL), ACESTEP_MEMORY);
    ace_memory_fail_at(0);
    assert_string_equal(f.text[ACE_LM_CAPTION], "th"); /* a failure changes nothing */
    assert_int_equal(ace_lm_fields_set(&f, ACE_LM_CAPTION, NULL, 0, NULL), ACESTEP_OK);
    assert_null(f.text[ACE_LM_CAPTION]);
    assert_int_equal(ace_memory_live(), live);
}

static void memory_failures(void **state)
{
    (void)state;
    ace_lm_fields f = {{0}};
    set(&f, ACE_LM_CAPTION, "Key: a\nb");
    set(&f, ACE_LM_LANGUAGE, "no");
    set(&f, ACE_LM_BPM, "92");
    uint64_t live = ace_memory_live();
    ace_status status = ACESTEP_MEMORY;
    for (uint64_t n = 1; status == ACESTEP_MEMORY; n++) {
        char *got = NULL;
        ace_error err = {0};
        ace_memory_fail_at(n);
        status = ace_lm_fields_block(&f, &got, &err);
        ace_memory_fail_at(0);
        assert_true((status == ACESTEP_OK) == (got != NULL));
        assert_true((status == ACESTEP_OK) == (err.message[0] == '\0'));
        ace_free(got);
        assert_int_equal(ace_memory_live(), live);
        assert_true(n < 100);
    }
    ace_lm_fields_free(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_stand_in_alphabetical_order),
        cmocka_unit_test(numbers_and_signatures),
        cmocka_unit_test(plain_texts),
        cmocka_unit_test(single_quoted_texts),
        cmocka_unit_test(double_quoted_texts),
        cmocka_unit_test(folding),
        cmocka_unit_test(words_of_other_types),
        cmocka_unit_test(added_tokens_are_taken_apart),
        cmocka_unit_test(numbers_are_read),
        cmocka_unit_test(setting_replaces_and_forgets),
        cmocka_unit_test(memory_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
