/* The parts of the tokenizer against independent ways of doing the same: normalisation against the
 * library's own, merging against the textbook loop, JSON against its grammar. */
#include "base/memory.h"
#include "text/added_tokens.h"
#include "text/bpe.h"
#include "text/byte_alphabet.h"
#include "text/json_reader.h"
#include "text/normalize.h"
#include "text/pre_tokenizer.h"
#include "text/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include <cmocka.h>

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525U + 1013904223U;
    return *state >> 8;
}

/* ---- UTF-8 and NFC
 * ------------------------------------------------------------------------------- */

static void every_code_point_survives_encoding(void **state)
{
    (void)state;
    for (int32_t c = 0; c <= 0x10FFFF; c++) {
        char bytes[4];
        size_t length = 0;
        size_t n = ace_utf8_encode(c, bytes);
        bool surrogate = c >= 0xD800 && c <= 0xDFFF;
        assert_int_equal(ace_utf8_decode(bytes, n, &length), surrogate ? ACE_UTF8_INVALID : c);
        assert_true(surrogate || length == n);
    }
}

/* Expectations as in the Unicode standard, section 3.9, "U+FFFD substitution of maximal subparts".
 */
static void malformed_sequences_are_replaced_by_maximal_subparts(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        int replacements;
    } cases[] = {{"\xC0\xAF", 2},         {"\xE0\x80\xBF", 3}, {"\xED\xA0\x80", 3},
                 {"\xF4\x91\x92\x93", 4}, {"\xE1\x80", 1},     {"\xF1\x91\x92", 1},
                 {"\xF0\x80", 2},         {"\xFF", 1},         {"\x80", 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ace_text_buffer out = {0};
        ace_utf8_append_repaired(&out, cases[i].in, strlen(cases[i].in));
        assert_int_equal(out.bytes, 3 * cases[i].replacements);
        assert_true(ace_utf8_valid(out.data, out.bytes));
        ace_text_free(&out);
    }
}

/* Letters with decompositions, marks of many classes, Hangul, singletons, exclusions. */
static int32_t random_character(uint32_t *random)
{
    static const int32_t ranges[][2] = {
        {0x41, 0x7A},     {0xC0, 0x24F},    {0x300, 0x36F},   {0x300, 0x36F},    {0x5B0, 0x5C2},
        {0x610, 0x65F},   {0x915, 0x95F},   {0x1100, 0x1112}, {0x1161, 0x1175},  {0x11A8, 0x11C2},
        {0x1E00, 0x1FFF}, {0x2126, 0x212B}, {0xAC00, 0xD7A3}, {0x1D15E, 0x1D164}};
    const int32_t *range = ranges[next_random(random) % (sizeof ranges / sizeof *ranges)];
    return range[0] + (int32_t)(next_random(random) % (uint32_t)(range[1] - range[0] + 1));
}

static void check_nfc(const ace_text_buffer *text)
{
    ace_error err = {0};
    ace_text_buffer got = {0};
    utf8proc_uint8_t *wanted = NULL;
    utf8proc_ssize_t bytes =
        utf8proc_map((const utf8proc_uint8_t *)text->data, (utf8proc_ssize_t)text->bytes, &wanted,
                     UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    assert_int_equal(ace_nfc_append(&got, text->data, text->bytes, &err), ACESTEP_OK);
    assert_int_equal(got.bytes, bytes);
    assert_memory_equal(got.data, wanted, got.bytes);
    free(wanted);
    ace_text_free(&got);
}

static void normal_form_equals_the_library(void **state)
{
    (void)state;
    uint32_t random = 7;
    for (int round = 0; round < 3000; round++) {
        ace_text_buffer text = {0};
        int n = 1 + round % 60;
        bool only_marks = round % 3 == 0; /* runs that are sorted by counting */
        for (int i = 0; i < n; i++) {
            char bytes[4];
            int32_t c = only_marks ? 0x300 + (int32_t)(next_random(&random) % 0x70)
                                   : random_character(&random);
            ace_text_append(&text, bytes, ace_utf8_encode(c, bytes));
        }
        check_nfc(&text);
        ace_text_free(&text);
    }
}

static void every_trivial_character_is_its_own_normal_form(void **state)
{
    (void)state;
    for (int32_t c = 1; c <= 0x10FFFF; c++) {
        char bytes[4];
        size_t n = ace_utf8_encode(c, bytes);
        assert_int_equal(ace_nfc_is_trivial(bytes, n), c < 0x300);
        if (c < 0x300) {
            ace_text_buffer text = {bytes, n, sizeof bytes, false};
            ace_text_buffer got = {0};
            assert_int_equal(ace_nfc_append(&got, text.data, text.bytes, NULL), ACESTEP_OK);
            assert_int_equal(got.bytes, n);
            assert_memory_equal(got.data, bytes, n);
            ace_text_free(&got);
        }
    }
}

/* ---- the byte alphabet
 * --------------------------------------------------------------------------- */

/* Written down from the definition: printable bytes keep their number, the others are counted up
 * from U+0100. */
static void the_byte_alphabet_covers_every_byte(void **state)
{
    (void)state;
    int moved = 0;
    for (int byte = 0; byte < 256; byte++) {
        bool printable = (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) ||
                         (byte >= 0xAE && byte <= 0xFF);
        char spelling[4];
        char out[4];
        size_t n = ace_utf8_encode(printable ? byte : 0x100 + moved++, spelling);
        assert_int_equal(ace_byte_alphabet_decode(spelling, n, out), 1);
        assert_int_equal((unsigned char)out[0], byte);
    }
    assert_int_equal(moved, 68);
    char out[8];
    assert_int_equal(ace_byte_alphabet_decode("\xEF\xBD\x9C", 3, out), 3); /* U+FF5C: itself */
    assert_memory_equal(out, "\xEF\xBD\x9C", 3);
}

/* ---- merging
 * -------------------------------------------------------------------------------------- */

enum { N_LETTERS = 4, N_MERGES = 40 };

/* The textbook loop: find the best pair, leftmost on ties, merge it, start again. */
static size_t merge_naively(const ace_bpe *bpe, int32_t *ids, size_t n)
{
    for (;;) {
        size_t best_rank = bpe->n_merges;
        size_t best = 0;
        for (size_t i = 0; i + 1 < n; i++) {
            for (size_t rank = 0; rank < best_rank; rank++) {
                if (bpe->merges[rank].left == ids[i] && bpe->merges[rank].right == ids[i + 1]) {
                    best_rank = rank;
                    best = i;
                }
            }
        }
        if (best_rank == bpe->n_merges) {
            return n;
        }
        ids[best] = bpe->merges[best_rank].merged;
        memmove(ids + best + 1, ids + best + 2, (n - best - 2) * sizeof *ids);
        n--;
    }
}

static ace_bpe random_merges(uint32_t *random)
{
    ace_error err = {0};
    ace_bpe bpe = {.merges = NULL};
    for (int i = 0; i < 256; i++) {
        bpe.byte_ids[i] = i % N_LETTERS;
    }
    for (int i = 0; i < N_MERGES; i++) {
        uint32_t known = (uint32_t)(N_LETTERS + i);
        ace_bpe_merge merge = {(int32_t)(next_random(random) % known),
                               (int32_t)(next_random(random) % known), N_LETTERS + i};
        assert_int_equal(ace_bpe_add(&bpe, merge, &err), ACESTEP_OK);
        for (int k = 0; k < i; k++) { /* a pair has one rank */
            if (bpe.merges[k].left == merge.left && bpe.merges[k].right == merge.right) {
                bpe.n_merges--;
                i--;
                break;
            }
        }
    }
    assert_int_equal(ace_bpe_index(&bpe, &err), ACESTEP_OK);
    return bpe;
}

static void merging_equals_the_textbook_loop(void **state)
{
    (void)state;
    uint32_t random = 3;
    ace_bpe_scratch scratch = {.symbols = NULL};
    for (int round = 0; round < 300; round++) {
        ace_bpe bpe = random_merges(&random);
        for (int word = 0; word < 10; word++) {
            char text[64];
            int32_t wanted[64];
            int32_t got[64];
            size_t n = next_random(&random) % sizeof text;
            size_t n_got = 0;
            for (size_t i = 0; i < n; i++) {
                text[i] = (char)(next_random(&random) % N_LETTERS);
                wanted[i] = text[i];
            }
            size_t n_wanted = merge_naively(&bpe, wanted, n);
            assert_int_equal(ace_bpe_encode(&bpe, &scratch, text, n, got, &n_got, NULL),
                             ACESTEP_OK);
            assert_int_equal(n_got, n_wanted);
            assert_memory_equal(got, wanted, n_got * sizeof *got);
        }
        ace_bpe_free(&bpe);
    }
    ace_bpe_scratch_free(&scratch);
}

/* ---- added tokens
 * ------------------------------------------------------------------------------------ */

static void the_longest_added_token_wins(void **state)
{
    (void)state;
    ace_error err = {0};
    ace_vocabulary vocabulary = {.size = 0};
    ace_added_tokens added = {.tokens = NULL};
    static const char *const texts[] = {"<a>", "<a>b", "<a>bcd", "<", "zz"};
    for (int i = 0; i < 5; i++) {
        assert_int_equal(
            ace_added_tokens_add(&added, &vocabulary, i, texts[i], strlen(texts[i]), &err),
            ACESTEP_OK);
    }
    ace_added_tokens_index(&added, &vocabulary);
    static const struct {
        const char *text;
        int id;
        size_t start;
    } cases[] = {{"x<a>bcd", 2, 1}, {"<a>bce", 1, 0}, {"<a>", 0, 0},
                 {"z<a", 3, 1},     {"xzzz", 4, 1},   {"nothing", -1, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t start = 0;
        const ace_added_token *token =
            ace_added_tokens_find(&added, cases[i].text, strlen(cases[i].text), &start);
        assert_int_equal(token != NULL ? token->id : -1, cases[i].id);
        assert_int_equal(start, cases[i].start);
    }
    assert_int_equal(ace_added_tokens_id(&added, "<a>b", 4), 1);
    assert_int_equal(ace_added_tokens_id(&added, "<a>bc", 5), ACE_NO_TOKEN);
    assert_int_equal(ace_added_tokens_add(&added, &vocabulary, 9, "", 0, &err), ACESTEP_MODEL);
    ace_added_tokens_free(&added);
    ace_vocabulary_free(&vocabulary);
}

/* ---- words
 * ---------------------------------------------------------------------------------------------- */

static ace_status append_word(void *context, const char *word, size_t bytes, ace_error *err)
{
    (void)err;
    ace_text_append(context, word, bytes);
    ace_text_append_string(context, "|");
    return ACESTEP_OK;
}

static void words_are_cut_as_published(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"'sup I'VE", "'s|up| I|'VE|"},
        {"a  b\t\tc", "a| | b|\t|\tc|"},
        {"x.\n\ny  \n z ", "x|.\n\n|y|  \n| z| |"},
        {"abc123 45", "abc|1|2|3| |4|5|"},
        {"\xE1\xA0\xA0\xE1\xA0\x8E\xE1\xA0\xA1", /* a Mongolian separator is no white space */
         "\xE1\xA0\xA0|\xE1\xA0\x8E\xE1\xA0\xA1|"},
        {"a\xC2\xA0\xC2\xA0"
         "b",
         "a|\xC2\xA0|\xC2\xA0"
         "b|"},
    };
    ace_error err = {0};
    ace_pre_tokenizer *p = NULL;
    assert_int_equal(
        ace_pre_tokenizer_create(ace_qwen2_pattern, strlen(ace_qwen2_pattern), &p, &err),
        ACESTEP_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ace_text_buffer words = {0};
        assert_int_equal(
            ace_pre_tokenizer_split(p, cases[i][0], strlen(cases[i][0]), append_word, &words, &err),
            ACESTEP_OK);
        char *got = ace_text_take(&words);
        assert_string_equal(got, cases[i][1]);
        ace_free(got);
    }
    ace_pre_tokenizer_free(p);
}

static void hostile_patterns_stop_soon(void **state)
{
    (void)state;
    static const char pattern[] = "(a+)+$";
    static const char text[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab";
    ace_error err = {0};
    ace_pre_tokenizer *p = NULL;
    ace_text_buffer words = {0};
    assert_int_equal(ace_pre_tokenizer_create(pattern, strlen(pattern), &p, &err), ACESTEP_OK);
    assert_int_equal(ace_pre_tokenizer_split(p, text, strlen(text), append_word, &words, &err),
                     ACESTEP_MODEL);
    ace_text_free(&words);
    ace_pre_tokenizer_free(p);
    assert_int_equal(ace_pre_tokenizer_create("(", 1, &p, &err), ACESTEP_MODEL);
    assert_int_equal(ace_pre_tokenizer_create("\\C", 2, &p, &err), ACESTEP_MODEL);
    assert_null(p);
}

/* ---- JSON
 * ------------------------------------------------------------------------------------------------
 */

static bool skips(const char *json)
{
    ace_json_reader reader;
    ace_json_init(&reader, json, strlen(json));
    return ace_json_skip(&reader) && ace_json_at_end(&reader);
}

static void json_is_read_by_its_grammar(void **state)
{
    (void)state;
    static const char *const good[] = {"{}", "[]", " [ 1 , -2.5e3,\"\\u00e9\\n\" ] ", "null",
                                       "{\"a\":{\"b\":[true,false,{}]},\"c\":[]}"};
    static const char *const bad[] = {"",         "{",   "[1,]",      "[1 2]",         "{\"a\"}",
                                      "{\"a\":}", "{,}", "[\"\\x\"]", "[\"\\u12g4\"]", "\"a",
                                      "tru",      "[]]", "{1:2}",     "\"\n\""};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_true(skips(good[i]));
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(skips(bad[i]));
    }
    char deep[200];
    memset(deep, '[', 100);
    memset(deep + 100, ']', 100);
    ace_json_reader reader;
    ace_json_init(&reader, deep + 50, 100);
    assert_true(ace_json_skip(&reader));
    ace_json_init(&reader, deep, sizeof deep);
    assert_false(ace_json_skip(&reader));
}

static void json_strings_are_resolved(void **state)
{
    (void)state;
    static const char json[] =
        "\"a\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00e9\\u6f22\\ud83c\\udfb5\\ud83c\\u0041\\udfb5\"";
    static const char wanted[] = "a\"\\/\b\f\n\r\tA\xC3\xA9\xE6\xBC\xA2\xF0\x9F\x8E\xB5"
                                 "\xEF\xBF\xBD"
                                 "A\xEF\xBF\xBD";
    ace_json_reader reader;
    ace_json_string text;
    char out[sizeof json];
    ace_json_init(&reader, json, sizeof json - 1);
    assert_true(ace_json_read_string(&reader, &text));
    assert_int_equal(ace_json_unescape(text, out), sizeof wanted - 1);
    assert_memory_equal(out, wanted, sizeof wanted - 1);
    int64_t number = 0;
    ace_json_init(&reader, "9223372036854775807", 19);
    assert_true(ace_json_read_integer(&reader, &number));
    assert_true(number == INT64_MAX);
    ace_json_init(&reader, "9223372036854775808", 19);
    assert_false(ace_json_read_integer(&reader, &number));
    ace_json_init(&reader, "1.5", 3);
    assert_false(ace_json_read_integer(&reader, &number));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_point_survives_encoding),
        cmocka_unit_test(malformed_sequences_are_replaced_by_maximal_subparts),
        cmocka_unit_test(normal_form_equals_the_library),
        cmocka_unit_test(every_trivial_character_is_its_own_normal_form),
        cmocka_unit_test(the_byte_alphabet_covers_every_byte),
        cmocka_unit_test(merging_equals_the_textbook_loop),
        cmocka_unit_test(the_longest_added_token_wins),
        cmocka_unit_test(words_are_cut_as_published),
        cmocka_unit_test(hostile_patterns_stop_soon),
        cmocka_unit_test(json_is_read_by_its_grammar),
        cmocka_unit_test(json_strings_are_resolved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
