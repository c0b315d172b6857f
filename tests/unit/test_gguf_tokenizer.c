/* The tokenizer inside a GGUF file gives the ids that the folder's files give. */
#include "base/memory.h"
#include "run/gguf_tokenizer.h"
#include "support/gguf_file.h"
#include "support/golden.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char folder[] = "Qwen3-Embedding-0.6B";

enum { VOCABULARY = 496, MOST_TEXTS = 600 };

/* ---- the recorded text encoder's tokenizer as a GGUF file ------------------------------------ */

static size_t read_tokens(json_t *vocabulary, const char *tokens[MOST_TEXTS])
{
    const char *token = NULL;
    json_t *id = NULL;
    json_object_foreach (vocabulary, token, id) {
        assert_in_range(json_integer_value(id), 0, MOST_TEXTS - 1);
        tokens[json_integer_value(id)] = token;
    }
    return json_object_size(vocabulary);
}

/* Lines of merges.txt below its heading; text is cut into them. */
static size_t read_merges(char *text, const char *merges[MOST_TEXTS])
{
    size_t n = 0;
    char *rest = NULL;
    for (char *line = strtok_r(text, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        if (strncmp(line, "#version", 8) != 0) {
            assert_true(n < MOST_TEXTS);
            merges[n++] = line;
        }
    }
    return n;
}

static const char *below(const char *name)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    return golden_path(path);
}

static gguf_file *recorded_file(const char *kind)
{
    static gguf_file f;
    static char text[1 << 14];
    const char *tokens[MOST_TEXTS] = {NULL};
    const char *merges[MOST_TEXTS] = {NULL};
    json_t *vocabulary = json_load_file(below("vocab.json"), 0, NULL);
    assert_non_null(vocabulary);
    FILE *file = fopen(below("merges.txt"), "rb");
    assert_non_null(file);
    size_t bytes = fread(text, 1, sizeof text - 1, file);
    text[bytes] = '\0';
    assert_int_equal(fclose(file), 0);
    size_t n_tokens = read_tokens(vocabulary, tokens);
    size_t n_merges = read_merges(text, merges);
    gguf_begin(&f, 3, 0, 3);
    gguf_pair_text(&f, "tokenizer.ggml.model", kind);
    gguf_pair_texts(&f, "tokenizer.ggml.tokens", tokens, n_tokens);
    gguf_pair_texts(&f, "tokenizer.ggml.merges", merges, n_merges);
    json_decref(vocabulary);
    return &f;
}

static ace_status read_tokenizer(const unsigned char *data, size_t bytes, ace_error *err)
{
    ace_weights *w = NULL;
    ace_tokenizer *t = NULL;
    ace_status status = ace_weights_open_memory(data, bytes, "image.gguf", &w, err);
    if (status == ACESTEP_OK) {
        status = ace_gguf_tokenizer_open(w, VOCABULARY, &t, err);
    }
    ace_tokenizer_free(t);
    ace_weights_close(w);
    return status;
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void test_same_ids(void **state)
{
    (void)state;
    static const char *const texts[] = {"",
                                        "hello world",
                                        "an upbeat pop song, 125 bpm",
                                        "na\xc3\xafve \xe6\xad\x8c",
                                        "<|im_start|>user\nLyrics:<|im_end|>",
                                        "  spaces\n\nand 12345"};
    gguf_file *f = recorded_file("gpt2");
    ace_weights *w = NULL;
    ace_tokenizer *inside = NULL;
    ace_tokenizer *beside = NULL;
    ace_error err = {.code = ACESTEP_OK};
    assert_int_equal(ace_weights_open_memory(f->data, f->bytes, "image.gguf", &w, NULL),
                     ACESTEP_OK);
    if (ace_gguf_tokenizer_open(w, VOCABULARY, &inside, &err) != ACESTEP_OK ||
        ace_tokenizer_open_vocabulary(golden_path(folder), &beside, &err) != ACESTEP_OK) {
        fail_msg("%s", err.message);
    }
    ace_weights_close(w); /* the tokenizer does not need it */
    assert_int_equal(ace_tokenizer_vocabulary_size(inside), VOCABULARY);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        ace_tokens a = {NULL, 0};
        ace_tokens b = {NULL, 0};
        assert_int_equal(ace_tokenizer_encode(inside, texts[i], strlen(texts[i]), 0, &a, NULL),
                         ACESTEP_OK);
        assert_int_equal(ace_tokenizer_encode(beside, texts[i], strlen(texts[i]), 0, &b, NULL),
                         ACESTEP_OK);
        assert_int_equal(a.n, b.n);
        for (int64_t k = 0; k < a.n; k++) {
            assert_int_equal(a.ids[k], b.ids[k]);
        }
        ace_tokens_free(&a);
        ace_tokens_free(&b);
    }
    ace_tokenizer_free(inside);
    ace_tokenizer_free(beside);
}

static void test_other_kinds(void **state)
{
    (void)state;
    ace_error err = {.code = ACESTEP_OK};
    gguf_file *f = recorded_file("llama");
    assert_int_equal(read_tokenizer(f->data, f->bytes, &err), ACESTEP_MODEL);
    assert_non_null(strstr(err.message, "image.gguf: its tokenizer is of kind llama"));
    gguf_begin(f, 3, 0, 0);
    err.code = ACESTEP_OK;
    assert_int_equal(read_tokenizer(f->data, f->bytes, &err), ACESTEP_MODEL);
    assert_non_null(strstr(err.message, "none"));
}

static void test_missing_lists(void **state)
{
    (void)state;
    static gguf_file f;
    ace_error err = {.code = ACESTEP_OK};
    gguf_begin(&f, 3, 0, 1);
    gguf_pair_text(&f, "tokenizer.ggml.model", "gpt2");
    assert_int_equal(read_tokenizer(f.data, f.bytes, &err), ACESTEP_MODEL);
    assert_non_null(strstr(err.message, "tokenizer.ggml.tokens is missing"));
}

/* The last ones are for the pattern's machine code, without which matching is only slower: they and
 * no others may fail unnoticed. */
static void test_every_shortage_is_survived(void **state)
{
    (void)state;
    gguf_file *f = recorded_file("gpt2");
    uint64_t live = ace_memory_live();
    uint64_t before = ace_memory_count();
    assert_int_equal(read_tokenizer(f->data, f->bytes, NULL), ACESTEP_OK);
    uint64_t allocations = ace_memory_count() - before;
    bool passed = false;
    for (uint64_t n = 1; n <= allocations; n++) {
        ace_memory_fail_at(n);
        ace_status status = read_tokenizer(f->data, f->bytes, NULL);
        ace_memory_fail_at(0);
        passed = passed || status == ACESTEP_OK;
        assert_int_equal(status, passed ? ACESTEP_OK : ACESTEP_MEMORY);
        assert_true(!passed || n > allocations / 2);
        assert_int_equal(ace_memory_live(), live);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_ids),
        cmocka_unit_test(test_other_kinds),
        cmocka_unit_test(test_missing_lists),
        cmocka_unit_test(test_every_shortage_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
