/* GGUF files: dimensions turned round, typed metadata, string arrays, and damage. */
#include "base/block_formats.h"
#include "base/memory.h"
#include "support/gguf_file.h"
#include "support/hostile.h"
#include "weights/weights.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const char *const tokens[] = {"a", "", "\xc4\xa0the"};

/* Two tensors: f32 [3, 2], and q8_0 [1, 32] whose numbers are 0.5 · (0 … 31). */
static gguf_file *small_file(unsigned version)
{
    static gguf_file f;
    static const float numbers[] = {1, 2, 3, 4, 5, 6};
    gguf_begin(&f, version, 2, 9);
    gguf_pair_text(&f, "general.architecture", "acestep-dit");
    gguf_pair(&f, "u32", GGUF_VALUE_U32, 4000000000u);
    gguf_pair(&f, "i32", GGUF_VALUE_I32, (uint32_t)-7);
    gguf_pair(&f, "f32", GGUF_VALUE_F32, 0x3f000000u);
    gguf_pair(&f, "f64", GGUF_VALUE_F64, 0xbff8000000000000u);
    gguf_pair(&f, "yes", GGUF_VALUE_BOOL, 1);
    gguf_pair_texts(&f, "tokenizer.ggml.tokens", tokens, 3);
    gguf_text(&f, "levels");
    gguf_int(&f, GGUF_VALUE_ARRAY, 4);
    gguf_int(&f, GGUF_VALUE_I32, 4);
    gguf_int(&f, 2, 8);
    gguf_int(&f, 0x0000000500000008, 8);
    gguf_pair_text(&f, "empty", "");
    gguf_tensor(&f, "plain", 2, (const uint64_t[]){2, 3}, GGUF_TENSOR_F32, 0);
    gguf_tensor(&f, "blocks", 2, (const uint64_t[]){32, 1}, GGUF_TENSOR_Q8_0, 32);
    gguf_align(&f, 32);
    gguf_bytes(&f, numbers, sizeof numbers);
    gguf_align(&f, 32);
    gguf_int(&f, 0x3800, 2); /* 0.5 in f16 */
    for (unsigned i = 0; i < 32; i++) {
        gguf_int(&f, i, 1);
    }
    return &f;
}

static ace_weights *open_file(const gguf_file *f)
{
    ace_weights *w = NULL;
    ace_error err = {.code = ACESTEP_OK};
    if (ace_weights_open_memory(f->data, f->bytes, "image", &w, &err) != ACESTEP_OK) {
        fail_msg("%s", err.message);
    }
    return w;
}

/* Reads the string array, too. */
static ace_status read_file(const unsigned char *data, size_t bytes, ace_error *err)
{
    ace_weights *w = NULL;
    ace_weights_text *texts = NULL;
    size_t n = 0;
    ace_status status = ace_weights_open_memory(data, bytes, "image", &w, err);
    if (status == ACESTEP_OK) {
        status = ace_weights_texts(w, "tokenizer.ggml.tokens", &texts, &n, err);
    }
    ace_free(texts);
    ace_weights_close(w);
    return status;
}

static void test_tensors(void **state)
{
    (void)state;
    for (unsigned version = 2; version <= 3; version++) {
        ace_weights *w = open_file(small_file(version));
        float numbers[32];
        assert_int_equal(ace_weights_count(w), 2);
        const ace_weight *plain = ace_weights_find(w, "plain");
        assert_int_equal(plain->dtype, ACE_F32);
        assert_int_equal(plain->rank, 2);
        assert_int_equal(plain->dim[0], 3);
        assert_int_equal(plain->dim[1], 2);
        assert_int_equal(plain->bytes, 24);
        ace_decode_row(plain->dtype, plain->data, 6, numbers);
        assert_true(numbers[0] == 1.0f && numbers[5] == 6.0f);
        const ace_weight *blocks = ace_weights_find(w, "blocks");
        assert_int_equal(blocks->dtype, ACE_Q8_0);
        assert_int_equal(blocks->bytes, 34);
        ace_decode_row(blocks->dtype, blocks->data, 32, numbers);
        assert_true(numbers[0] == 0.0f && numbers[31] == 15.5f);
        ace_weights_close(w);
    }
}

static void assert_number(const ace_weights *w, const char *key, double expected)
{
    double value = 0;
    assert_true(ace_weights_metadata_number(w, key, &value));
    assert_true(value == expected);
}

static void test_metadata(void **state)
{
    (void)state;
    ace_weights *w = open_file(small_file(3));
    double value = 0;
    assert_string_equal(ace_weights_metadata(w, "general.architecture"), "acestep-dit");
    assert_string_equal(ace_weights_metadata(w, "empty"), "");
    assert_number(w, "u32", 4000000000.0);
    assert_number(w, "i32", -7);
    assert_number(w, "f32", 0.5);
    assert_number(w, "f64", -1.5);
    assert_number(w, "yes", 1);
    assert_false(ace_weights_metadata_number(w, "general.architecture", &value));
    assert_false(ace_weights_metadata_number(w, "empty", &value));
    assert_false(ace_weights_metadata_number(w, "absent", &value));
    assert_null(ace_weights_metadata(w, "levels"));
    ace_weights_close(w);
}

static void test_string_arrays(void **state)
{
    (void)state;
    ace_weights *w = open_file(small_file(3));
    ace_weights_text *texts = NULL;
    size_t n = 0;
    assert_int_equal(ace_weights_texts(w, "tokenizer.ggml.tokens", &texts, &n, NULL), ACESTEP_OK);
    assert_int_equal(n, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(texts[i].bytes, strlen(tokens[i]));
        assert_memory_equal(texts[i].data, tokens[i], texts[i].bytes);
    }
    ace_free(texts);
    ace_error err = {.code = ACESTEP_OK};
    assert_int_equal(ace_weights_texts(w, "tokenizer.ggml.merges", &texts, &n, &err),
                     ACESTEP_MODEL);
    assert_non_null(strstr(err.message, "tokenizer.ggml.merges"));
    assert_null(texts);
    ace_weights_close(w);
}

static void test_alignment(void **state)
{
    (void)state;
    static gguf_file f;
    gguf_begin(&f, 3, 1, 1);
    gguf_pair(&f, "general.alignment", GGUF_VALUE_U32, 256);
    gguf_tensor(&f, "t", 1, (const uint64_t[]){1}, GGUF_TENSOR_BF16, 0);
    gguf_align(&f, 256);
    gguf_int(&f, 0x3f80, 2);
    ace_weights *w = open_file(&f);
    float one = 0;
    ace_decode_row(ACE_BF16, ace_weights_find(w, "t")->data, 1, &one);
    assert_true(one == 1.0f);
    ace_weights_close(w);
}

static void test_every_cut_is_an_error(void **state)
{
    (void)state;
    gguf_file *f = small_file(3);
    hostile_cut(read_file, f->data, f->bytes);
}

static void test_every_changed_byte_is_survived(void **state)
{
    (void)state;
    gguf_file *f = small_file(3);
    hostile_change(read_file, f->data, f->bytes);
}

static void test_every_shortage_is_an_error(void **state)
{
    (void)state;
    gguf_file *f = small_file(3);
    hostile_shortage(read_file, f->data, f->bytes);
}

static void assert_refused(const gguf_file *f, const char *expected)
{
    ace_weights *w = NULL;
    ace_error err = {.code = ACESTEP_OK};
    assert_int_equal(ace_weights_open_memory(f->data, f->bytes, "image", &w, &err), ACESTEP_MODEL);
    if (strstr(err.message, expected) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", err.message, expected);
    }
}

static void refuse_tensor(int rank, const uint64_t dims[], unsigned type, uint64_t offset,
                          const char *expected)
{
    static gguf_file f;
    gguf_begin(&f, 3, 1, 0);
    gguf_tensor(&f, "t", rank, dims, type, offset);
    gguf_align(&f, 32);
    gguf_bytes(&f, "0123456789abcdef", 16);
    assert_refused(&f, expected);
}

static void test_hostile_tensors(void **state)
{
    (void)state;
    static const uint64_t huge[] = {UINT64_C(1) << 32, UINT64_C(1) << 32, 1, 1, 1};
    static const uint64_t negative[] = {UINT64_MAX};
    static const uint64_t quarter[] = {UINT64_C(1) << 62};
    static const uint64_t five[] = {5};
    static const uint64_t four[] = {4};
    static const uint64_t many_rows[] = {8, 4};
    refuse_tensor(2, huge, GGUF_TENSOR_F32, 0, "damaged tensor table at t");
    refuse_tensor(5, huge, GGUF_TENSOR_F32, 0, "damaged tensor table at t");
    refuse_tensor(1, negative, GGUF_TENSOR_F32, 0, "damaged tensor table at t");
    refuse_tensor(1, quarter, GGUF_TENSOR_F32, 0, "t");
    refuse_tensor(1, five, GGUF_TENSOR_F32, 0, "cut short");
    refuse_tensor(1, four, GGUF_TENSOR_F32, 1, "cut short");
    refuse_tensor(1, four, GGUF_TENSOR_F32, UINT64_MAX - 8, "damaged tensor table at t");
    refuse_tensor(1, four, GGUF_TENSOR_F32, UINT64_MAX - 70, "t");
    refuse_tensor(1, four, GGUF_TENSOR_Q4_0, 0, "t has type 2; F32, F16");
    refuse_tensor(2, many_rows, GGUF_TENSOR_Q8_0, 0, "rows are no whole blocks");
    refuse_tensor(0, NULL, GGUF_TENSOR_Q8_0, 0, "rows are no whole blocks");
}

static void test_hostile_tables(void **state)
{
    (void)state;
    static gguf_file f;
    static char long_name[300];
    gguf_begin(&f, 1, 0, 0);
    assert_refused(&f, "not a GGUF file of version 2 or 3");
    gguf_begin(&f, 3, UINT64_MAX, 0);
    assert_refused(&f, "too many");
    gguf_begin(&f, 3, 0, UINT64_MAX);
    assert_refused(&f, "too many");
    gguf_begin(&f, 3, 0, 1);
    gguf_pair(&f, "general.alignment", GGUF_VALUE_U32, 0);
    assert_refused(&f, "impossible alignment");
    gguf_begin(&f, 3, 0, 1);
    gguf_pair(&f, "key", 99, 0);
    assert_refused(&f, "damaged or cut metadata");
    gguf_begin(&f, 3, 0, 1); /* an array of arrays */
    gguf_text(&f, "key");
    gguf_int(&f, GGUF_VALUE_ARRAY, 4);
    gguf_int(&f, GGUF_VALUE_ARRAY, 4);
    gguf_int(&f, 1, 8);
    assert_refused(&f, "damaged or cut metadata");
    gguf_begin(&f, 3, 0, 1); /* more strings than the file has bytes */
    gguf_text(&f, "key");
    gguf_int(&f, GGUF_VALUE_ARRAY, 4);
    gguf_int(&f, GGUF_VALUE_STRING, 4);
    gguf_int(&f, 1 << 23, 8);
    assert_refused(&f, "damaged or cut metadata");
    memset(long_name, 'n', sizeof long_name - 1);
    gguf_begin(&f, 3, 1, 0);
    gguf_tensor(&f, long_name, 1, (const uint64_t[]){1}, GGUF_TENSOR_F32, 0);
    assert_refused(&f, "damaged tensor table");
    gguf_begin(&f, 3, 2, 0); /* two of one name */
    gguf_tensor(&f, "t", 1, (const uint64_t[]){1}, GGUF_TENSOR_F32, 0);
    gguf_tensor(&f, "t", 1, (const uint64_t[]){1}, GGUF_TENSOR_F32, 0);
    gguf_align(&f, 32);
    gguf_int(&f, 0, 4);
    assert_refused(&f, "t stands there twice");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tensors),
        cmocka_unit_test(test_metadata),
        cmocka_unit_test(test_string_arrays),
        cmocka_unit_test(test_alignment),
        cmocka_unit_test(test_every_cut_is_an_error),
        cmocka_unit_test(test_every_changed_byte_is_survived),
        cmocka_unit_test(test_every_shortage_is_an_error),
        cmocka_unit_test(test_hostile_tensors),
        cmocka_unit_test(test_hostile_tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
