/* Tokenizers against recorded ids, by every way of opening one; round trips, limits, long words,
 * failing memory. */
#include "base/memory.h"
#include "support/golden.h"
#include "text/normalize.h"
#include "text/tokenizer.h"
#include "text/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TEXT_ENCODER "Qwen3-Embedding-0.6B"
#define LANGUAGE_MODEL "acestep-5Hz-lm-0.6B"

enum { END_OF_TEXT = 470, FIRST_AUDIO_CODE = 496, TEXT_VOCABULARY = 496, LM_VOCABULARY = 1799 };

static ace_tokenizer *open_json(const char *model)
{
    ace_error err = {0};
    ace_tokenizer *t = NULL;
    if (ace_tokenizer_open(golden_path(model), &t, &err) != ACESTEP_OK) {
        fail_msg("%s", err.message);
    }
    return t;
}

static ace_tokenizer *open_vocabulary(const char *model)
{
    ace_error err = {0};
    ace_tokenizer *t = NULL;
    if (ace_tokenizer_open_vocabulary(golden_path(model), &t, &err) != ACESTEP_OK) {
        fail_msg("%s", err.message);
    }
    return t;
}

static ace_tokens encode(const ace_tokenizer *t, const char *text, size_t bytes, int64_t limit)
{
    ace_error err = {0};
    ace_tokens tokens;
    if (ace_tokenizer_encode(t, text, bytes, limit, &tokens, &err) != ACESTEP_OK) {
        fail_msg("%s", err.message);
    }
    return tokens;
}

static void check_ids(const ace_tokenizer *t, const char *text, size_t bytes, const json_t *wanted)
{
    ace_tokens tokens = encode(t, text, bytes, 0);
    assert_int_equal(tokens.n, json_array_size(wanted));
    for (int64_t i = 0; i < tokens.n; i++) {
        if (tokens.ids[i] != json_integer_value(json_array_get(wanted, (size_t)i))) {
            fail_msg("\"%s\": token %d is %d", text, (int)i, tokens.ids[i]);
        }
    }
    ace_tokens_free(&tokens);
}

static void check_recorded(const ace_tokenizer *t, const char *key)
{
    json_error_t problem;
    json_t *cases = json_load_file(golden_path("golden/tokenizer_cases.json"), 0, &problem);
    assert_non_null(cases);
    assert_int_equal(json_array_size(cases), 21);
    for (size_t i = 0; i < json_array_size(cases); i++) {
        const json_t *entry = json_array_get(cases, i);
        const json_t *text = json_object_get(entry, "text");
        check_ids(t, json_string_value(text), json_string_length(text),
                  json_object_get(entry, key));
    }
    json_decref(cases);
}

static void recorded_ids_from_tokenizer_json(void **state)
{
    (void)state;
    ace_tokenizer *text = open_json(TEXT_ENCODER);
    ace_tokenizer *lm = open_json(LANGUAGE_MODEL);
    assert_int_equal(ace_tokenizer_vocabulary_size(text), TEXT_VOCABULARY);
    assert_int_equal(ace_tokenizer_vocabulary_size(lm), LM_VOCABULARY);
    check_recorded(text, "text_encoder_ids");
    check_recorded(lm, "lm_ids");
    ace_tokenizer_free(text);
    ace_tokenizer_free(lm);
}

static void recorded_ids_from_vocabulary_and_merges(void **state)
{
    (void)state;
    ace_error err = {0};
    ace_tokenizer *text = open_vocabulary(TEXT_ENCODER);
    ace_tokenizer *lm = open_vocabulary(LANGUAGE_MODEL);
    assert_int_equal(ace_tokenizer_require_suffix(text, "<|endoftext|>", &err), ACESTEP_OK);
    check_recorded(text, "text_encoder_ids");
    check_recorded(lm, "lm_ids");
    ace_tokenizer_free(text);
    ace_tokenizer_free(lm);
}

/* The golden vocabulary as a GGUF file would hold it. */
static void recorded_ids_from_arrays(void **state)
{
    (void)state;
    char path[4096];
    json_error_t problem;
    (void)snprintf(path, sizeof path, "%s/tokenizer.json", golden_path(LANGUAGE_MODEL));
    json_t *file = json_load_file(path, 0, &problem);
    const json_t *model = json_object_get(file, "model");
    json_t *vocab = json_object_get(model, "vocab");
    const json_t *merges = json_object_get(model, "merges");
    size_t n_tokens = json_object_size(vocab);
    size_t n_merges = json_array_size(merges);
    ace_text_span *spans = calloc(n_tokens + n_merges, sizeof *spans);
    const char *token;
    json_t *id;
    json_object_foreach (vocab, token, id) {
        spans[json_integer_value(id)] = (ace_text_span){token, strlen(token)};
    }
    for (size_t i = 0; i < n_merges; i++) {
        const json_t *line = json_array_get(merges, i);
        spans[n_tokens + i] = (ace_text_span){json_string_value(line), json_string_length(line)};
    }
    ace_tokenizer_arrays arrays = {spans, (int64_t)n_tokens, spans + n_tokens, (int64_t)n_merges,
                                   LM_VOCABULARY};
    ace_error err = {0};
    ace_tokenizer *t = NULL;
    assert_int_equal(ace_tokenizer_from_arrays(&arrays, "arrays", &t, &err), ACESTEP_OK);
    assert_int_equal(ace_tokenizer_vocabulary_size(t), LM_VOCABULARY);
    check_recorded(t, "lm_ids");
    ace_tokenizer_free(t);
    free(spans);
    json_decref(file);
}

static void a_required_suffix_is_not_doubled(void **state)
{
    (void)state;
    ace_error err = {0};
    ace_tokenizer *t = open_json(TEXT_ENCODER);
    assert_int_equal(ace_tokenizer_require_suffix(t, "<|endoftext|>", &err), ACESTEP_OK);
    ace_tokens tokens = encode(t, "", 0, 0);
    assert_int_equal(tokens.n, 1);
    assert_int_equal(tokens.ids[0], END_OF_TEXT);
    ace_tokens_free(&tokens);
    ace_tokenizer_free(t);
    t = open_json(LANGUAGE_MODEL);
    assert_int_equal(ace_tokenizer_require_suffix(t, "<|nothing|>", &err), ACESTEP_MODEL);
    ace_tokenizer_free(t);
}

static void tokens_by_name_and_id(void **state)
{
    (void)state;
    ace_tokenizer *t = open_json(LANGUAGE_MODEL);
    assert_int_equal(ace_tokenizer_token_id(t, "<|audio_code_0|>"), FIRST_AUDIO_CODE);
    assert_int_equal(ace_tokenizer_token_id(t, "<|audio_code_1302|>"), LM_VOCABULARY - 1);
    assert_int_equal(ace_tokenizer_token_id(t, "<|audio_code_1303|>"), -1);
    assert_int_equal(ace_tokenizer_token_id(t, "<|audio_code_"), -1);
    assert_int_equal(ace_tokenizer_token_id(t, "\n"), 198);
    assert_int_equal(ace_tokenizer_token_id(t, ""), -1);
    size_t bytes = 0;
    const char *token = ace_tokenizer_token_bytes(t, 220, &bytes);
    assert_int_equal(bytes, 1);
    assert_int_equal(token[0], ' ');
    assert_null(ace_tokenizer_token_bytes(t, LM_VOCABULARY, &bytes));
    assert_null(ace_tokenizer_token_bytes(t, -1, &bytes));
    ace_tokenizer_free(t);
}

static void truncation_keeps_the_suffix(void **state)
{
    (void)state;
    const char text[] = "Walking through the city lights tonight";
    ace_tokenizer *t = open_json(TEXT_ENCODER);
    ace_tokens whole = encode(t, text, strlen(text), 0);
    for (int64_t limit = 1; limit <= whole.n + 1; limit++) {
        ace_tokens cut = encode(t, text, strlen(text), limit);
        assert_int_equal(cut.n, limit < whole.n ? limit : whole.n);
        assert_memory_equal(cut.ids, whole.ids, (size_t)(cut.n - 1) * sizeof *cut.ids);
        assert_int_equal(cut.ids[cut.n - 1], END_OF_TEXT);
        ace_tokens_free(&cut);
    }
    ace_tokens_free(&whole);
    ace_tokens none;
    ace_error err = {0};
    assert_int_equal(ace_tokenizer_encode(t, "a", 1, -1, &none, &err), ACESTEP_ARGUMENT);
    ace_tokenizer_free(t);
}

static void check_round_trip(const ace_tokenizer *t, const char *text, size_t bytes)
{
    ace_error err = {0};
    ace_text_buffer repaired = {0};
    ace_text_buffer wanted = {0};
    ace_utf8_append_repaired(&repaired, text, bytes);
    assert_int_equal(
        ace_nfc_append(&wanted, repaired.bytes > 0 ? repaired.data : "", repaired.bytes, &err),
        ACESTEP_OK);
    ace_tokens tokens = encode(t, text, bytes, 0);
    char *back = NULL;
    size_t back_bytes = 0;
    assert_int_equal(ace_tokenizer_decode(t, tokens.ids, tokens.n, &back, &back_bytes, &err),
                     ACESTEP_OK);
    assert_int_equal(back_bytes, wanted.bytes);
    assert_memory_equal(back, wanted.bytes > 0 ? wanted.data : "", back_bytes);
    ace_free(back);
    ace_tokens_free(&tokens);
    ace_text_free(&wanted);
    ace_text_free(&repaired);
}

static void decoding_gives_the_text_back(void **state)
{
    (void)state;
    ace_tokenizer *t = open_json(LANGUAGE_MODEL);
    uint32_t random = 1;
    for (int round = 0; round < 2000; round++) {
        char text[96];
        size_t bytes = (size_t)round % sizeof text;
        for (size_t i = 0; i < bytes; i++) {
            random = random * 1664525U + 1013904223U;
            /* half of the rounds mostly ASCII, so that merges happen */
            text[i] = (char)(random >> 24 & (round % 2 == 0 ? 0xFFU : 0x7FU));
        }
        check_round_trip(t, text, bytes);
    }
    check_round_trip(t, "e\xCC\x81<|im_end|>\xF0\x9F\x8E\xB5\xF0\x9F", 18);
    ace_tokenizer_free(t);
}

static void malformed_parts_become_replacement_characters(void **state)
{
    (void)state;
    ace_tokenizer *t = open_json(LANGUAGE_MODEL);
    ace_tokens bad = encode(t, "a\xE2\x99z\xFF", 5, 0);
    ace_tokens good = encode(t, "a\xEF\xBF\xBDz\xEF\xBF\xBD", 8, 0);
    assert_int_equal(bad.n, good.n);
    assert_memory_equal(bad.ids, good.ids, (size_t)bad.n * sizeof *bad.ids);
    ace_tokens_free(&bad);
    ace_tokens_free(&good);
    ace_tokenizer_free(t);
}

/* Inputs on which naive merging, sorting of marks or backtracking take minutes. */
static void long_words_take_no_longer_than_they_should(void **state)
{
    (void)state;
    static const struct {
        const char *unit;
        size_t repeats;
    } words[] = {{"on", 100000}, {" ", 400000},   {"\xCC\x81\xCC\xA3", 50000},
                 {"<", 200000},  {"\n ", 100000}, {"<|audio_code_", 20000}};
    ace_tokenizer *t = open_json(LANGUAGE_MODEL);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        ace_text_buffer text = {0};
        for (size_t k = 0; k < words[i].repeats; k++) {
            ace_text_append_string(&text, words[i].unit);
        }
        check_round_trip(t, text.data, text.bytes);
        ace_text_free(&text);
    }
    ace_tokenizer_free(t);
}

static ace_status parse(const char *json, ace_error *err)
{
    ace_tokenizer *t = NULL;
    err->code = ACESTEP_OK;
    ace_status status = ace_tokenizer_parse(json, strlen(json), "tokenizer.json", &t, err);
    ace_tokenizer_free(t);
    return status;
}

static void damaged_and_foreign_files_are_refused(void **state)
{
    (void)state;
    ace_error err = {0};
    assert_int_equal(parse("", &err), ACESTEP_MODEL);
    assert_int_equal(parse("{\"model\":{\"vocab\":{\"a\":0}", &err), ACESTEP_MODEL);
    assert_int_equal(parse("{\"model\":{\"vocab\":{\"a\":0},\"merges\":[]}}", &err), ACESTEP_MODEL);
    assert_non_null(
        strstr(err.message, "tokenizer.json: the vocabulary has no token for the byte"));
    assert_int_equal(parse("{\"model\":{\"vocab\":{\"a\":7,\"b\":7},\"merges\":[]}}", &err),
                     ACESTEP_MODEL);
    assert_non_null(strstr(err.message, "id 7 is given to two tokens"));
    assert_int_equal(parse("{\"model\":{\"vocab\":{\"a\":4000000000},\"merges\":[]}}", &err),
                     ACESTEP_MODEL);
    assert_int_equal(parse("{\"model\":{\"type\":\"Unigram\",\"vocab\":[]}}", &err),
                     ACESTEP_UNSUPPORTED);
    assert_int_equal(parse("{\"model\":{\"byte_fallback\":true}}", &err), ACESTEP_UNSUPPORTED);
    ace_tokenizer *t = NULL;
    err.code = ACESTEP_OK;
    assert_int_equal(ace_tokenizer_open("/nonexistent", &t, &err), ACESTEP_IO);
    assert_non_null(strstr(err.message, "/nonexistent"));
}

typedef ace_status open_tokenizer(const char *folder, ace_tokenizer **out, ace_error *err);

/* One run with the n-th allocation failing; true when there was no n-th. */
static bool run_with_failure(open_tokenizer *open, const char *folder, uint64_t n)
{
    const char text[] = "Hello \xE5\xA4\x9C\xE7\xA9\xBA e\xCC\x81 <|im_end|> \xFF";
    ace_error err = {0};
    ace_tokenizer *t = NULL;
    ace_tokens tokens = {0};
    char *back = NULL;
    uint64_t before = ace_memory_count();
    ace_memory_fail_at(n);
    ace_status status = open(folder, &t, &err);
    if (status == ACESTEP_OK) {
        status = ace_tokenizer_encode(t, text, sizeof text - 1, 0, &tokens, &err);
    }
    if (status == ACESTEP_OK) {
        status = ace_tokenizer_decode(t, tokens.ids, tokens.n, &back, NULL, &err);
    }
    bool completed = ace_memory_count() - before < n;
    ace_memory_fail_at(0);
    /* Only generating machine code for the pattern may fail without consequence. */
    assert_true(status == ACESTEP_OK || (status == ACESTEP_MEMORY && err.message[0] != '\0'));
    assert_true(!completed || status == ACESTEP_OK);
    ace_free(back);
    ace_tokens_free(&tokens);
    ace_tokenizer_free(t);
    return completed;
}

static void every_failing_allocation_is_survived(void **state)
{
    (void)state;
    open_tokenizer *const ways[] = {ace_tokenizer_open, ace_tokenizer_open_vocabulary};
    char folder[4096];
    (void)snprintf(folder, sizeof folder, "%s", golden_path(TEXT_ENCODER));
    for (int way = 0; way < 2; way++) {
        uint64_t live = ace_memory_live();
        uint64_t n = 1;
        while (!run_with_failure(ways[way], folder, n)) {
            assert_int_equal(ace_memory_live(), live);
            n++;
        }
        assert_true(n > 10);
        assert_int_equal(ace_memory_live(), live);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recorded_ids_from_tokenizer_json),
        cmocka_unit_test(recorded_ids_from_vocabulary_and_merges),
        cmocka_unit_test(recorded_ids_from_arrays),
        cmocka_unit_test(a_required_suffix_is_not_doubled),
        cmocka_unit_test(tokens_by_name_and_id),
        cmocka_unit_test(truncation_keeps_the_suffix),
        cmocka_unit_test(decoding_gives_the_text_back),
        cmocka_unit_test(malformed_parts_become_replacement_characters),
        cmocka_unit_test(long_words_take_no_longer_than_they_should),
        cmocka_unit_test(damaged_and_foreign_files_are_refused),
        cmocka_unit_test(every_failing_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
