/* Opening checkpoints: what is there is found, and what is wrong is named in one line. */
#include "base/memory.h"
#include "support/golden.h"
#include "support/hostile.h"
#include "weights/demo_model.h"
#include "weights/weights.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- files in memory ------------------------------------------------------------------------- */

typedef struct image {
    unsigned char data[4096];
    size_t bytes;
} image;

static image make_image(const char *header, size_t data_bytes)
{
    image f = {.bytes = 0};
    size_t n = strlen(header);
    assert_true(8 + n + data_bytes <= sizeof f.data);
    for (int i = 0; i < 8; i++) {
        f.data[i] = (unsigned char)((uint64_t)n >> (8 * i));
    }
    memcpy(f.data + 8, header, n);
    for (size_t i = 0; i < data_bytes; i++) {
        f.data[8 + n + i] = (unsigned char)i;
    }
    f.bytes = 8 + n + data_bytes;
    return f;
}

static const char two_tensors[] =
    "{\"__metadata__\":{\"format\":\"pt\"},"
    "\"b\":{\"dtype\":\"BF16\",\"shape\":[2,3],\"data_offsets\":[4,16]},"
    "\"model.a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}";

static ace_status read_image(const unsigned char *data, size_t bytes, ace_error *err)
{
    ace_weights *w = NULL;
    ace_status status = ace_weights_open_memory(data, bytes, "image", &w, err);
    assert_true((status == ACESTEP_OK) == (w != NULL));
    ace_weights_close(w);
    return status;
}

static void assert_refused(const char *header, size_t data_bytes, const char *expected)
{
    image f = make_image(header, data_bytes);
    ace_error err = {.code = ACESTEP_OK};
    uint64_t live = ace_memory_live();
    if (read_image(f.data, f.bytes, &err) != ACESTEP_MODEL) {
        fail_msg("taken for a good file: %s", header);
    }
    if (strstr(err.message, expected) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", err.message, expected);
    }
    assert_non_null(strstr(err.message, "image"));
    assert_int_equal(ace_memory_live(), live);
}

static void test_tensors_and_metadata(void **state)
{
    (void)state;
    image f = make_image(two_tensors, 16);
    ace_weights *w = NULL;
    assert_int_equal(ace_weights_open_memory(f.data, f.bytes, "image", &w, NULL), ACESTEP_OK);
    assert_int_equal(ace_weights_count(w), 2);
    assert_string_equal(ace_weights_at(w, 0)->name, "b");
    assert_string_equal(ace_weights_at(w, 1)->name, "model.a");
    assert_null(ace_weights_at(w, 2));
    assert_string_equal(ace_weights_metadata(w, "format"), "pt");
    assert_null(ace_weights_metadata(w, "b"));
    assert_string_equal(ace_weights_path(w), "image");
    const ace_weight *b = ace_weights_find(w, "b");
    assert_int_equal(b->dtype, ACE_BF16);
    assert_int_equal(b->rank, 2);
    assert_int_equal(b->dim[0], 2);
    assert_int_equal(b->dim[1], 3);
    assert_int_equal(b->bytes, 12);
    assert_int_equal(*(const unsigned char *)b->data, 4);
    ace_weights_close(w);
}

static void test_names_with_and_without_model(void **state)
{
    (void)state;
    image f = make_image(two_tensors, 16);
    ace_weights *w = NULL;
    assert_int_equal(ace_weights_open_memory(f.data, f.bytes, "image", &w, NULL), ACESTEP_OK);
    const ace_weight *a = ace_weights_find(w, "model.a");
    assert_non_null(a);
    assert_ptr_equal(ace_weights_find(w, "a"), a);
    assert_non_null(ace_weights_find(w, "b"));
    assert_ptr_equal(ace_weights_find(w, "model.b"), ace_weights_find(w, "b"));
    assert_null(ace_weights_find(w, "c"));
    assert_null(ace_weights_find(w, "model."));
    assert_null(ace_weights_find(w, ""));
    ace_weights_close(w);
}

static void test_empty_file_of_no_tensors(void **state)
{
    (void)state;
    image f = make_image("{}", 0);
    ace_weights *w = NULL;
    assert_int_equal(ace_weights_open_memory(f.data, f.bytes, "image", &w, NULL), ACESTEP_OK);
    assert_int_equal(ace_weights_count(w), 0);
    assert_null(ace_weights_find(w, "a"));
    ace_weights_close(w);
}

/* ---- damage ---------------------------------------------------------------------------------- */

static void test_every_cut_is_an_error(void **state)
{
    (void)state;
    image f = make_image(two_tensors, 16);
    hostile_cut(read_image, f.data, f.bytes);
}

static void test_every_changed_byte_is_survived(void **state)
{
    (void)state;
    image f = make_image(two_tensors, 16);
    hostile_change(read_image, f.data, f.bytes);
}

static void test_every_shortage_is_an_error(void **state)
{
    (void)state;
    image f = make_image(two_tensors, 16);
    hostile_shortage(read_image, f.data, f.bytes);
}

static void test_a_cut_file_says_how_much_is_missing(void **state)
{
    (void)state;
    char expected[128];
    (void)snprintf(expected, sizeof expected, "%zu bytes are expected, %zu are there; download",
                   8 + strlen(two_tensors) + 16, 8 + strlen(two_tensors) + 3);
    assert_refused(two_tensors, 3, expected);
}

static void test_hostile_headers(void **state)
{
    (void)state;
#define ENTRY(dtype, shape, offsets)                                                               \
    "{\"t\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}}"
    static const struct {
        const char *header, *expected;
    } cases[] = {
        {"[]", "not an object"},
        {"", "damaged"},
        {"{\"t\":1}", "entry for t is malformed"},
        {"{\"t\":{}}", "entry for t is malformed"},
        {ENTRY("F32", "4", "[0,4]"), "malformed"},
        {ENTRY("F32", "[1.0]", "[0,4]"), "malformed"},
        {ENTRY("F32", "[-1]", "[0,4]"), "malformed"},
        {ENTRY("F32", "[1,1,1,1,1]", "[0,4]"), "malformed"},
        {ENTRY("F32", "[1]", "[0]"), "malformed"},
        {ENTRY("F32", "[1]", "[4,0]"), "malformed"},
        {ENTRY("F32", "[1]", "[-4,0]"), "malformed"},
        {ENTRY("F32", "[1]", "[0,99999999999999999999]"), "damaged"},
        {ENTRY("F8_E4M3", "[1]", "[0,1]"), "t has the unknown type F8_E4M3"},
        {ENTRY("F32", "[2]", "[0,4]"), "t: shape and data size do not agree"},
        {ENTRY("F32", "[4294967296,4294967296]", "[0,0]"), "do not agree"},
        {ENTRY("F32", "[4611686018427387904]", "[0,0]"), "do not agree"},
        {ENTRY("F32", "[4611686018427387905,4]", "[0,16]"), "do not agree"},
        {ENTRY("F32", "[1]", "[9223372036854775803,9223372036854775807]"), "cut short"},
        {"{\"t\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
         "\"t\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}",
         "duplicate"},
        {"{\"a\\nb\\u001b[2J\":1}", "a?b?[2J is malformed"},
    };
#undef ENTRY
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_refused(cases[i].header, 16, cases[i].expected);
    }
}

static void test_deep_header(void **state)
{
    (void)state;
    char header[3000];
    memset(header, '[', sizeof header);
    header[sizeof header - 1] = '\0';
    assert_refused(header, 0, "damaged");
}

static void test_other_kinds_of_file(void **state)
{
    (void)state;
    ace_error err = {.code = ACESTEP_OK};
    static const unsigned char page[] = "<!DOCTYPE html><html><body>Not found</body></html>";
    assert_int_equal(read_image(page, sizeof page, &err), ACESTEP_MODEL);
    assert_non_null(strstr(err.message, "not a safetensors file"));
}

/* ---- files and folders on disk --------------------------------------------------------------- */

typedef struct folder {
    char path[64];
} folder;

static folder new_folder(void)
{
    folder f = {.path = "/tmp/ace_weights_XXXXXX"};
    assert_non_null(mkdtemp(f.path));
    return f;
}

static const char *in_folder(const folder *f, const char *name)
{
    static char path[4][256];
    static int next;
    next = (next + 1) % 4;
    (void)snprintf(path[next], sizeof path[next], "%s/%s", f->path, name);
    return path[next];
}

static void put(const folder *f, const char *name, const void *data, size_t bytes)
{
    FILE *file = fopen(in_folder(f, name), "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, bytes, file), bytes);
    assert_int_equal(fclose(file), 0);
}

static void put_tensor(const folder *f, const char *name, const char *tensor)
{
    char header[256];
    (void)snprintf(header, sizeof header,
                   "{\"%s\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", tensor);
    image i = make_image(header, 1);
    put(f, name, i.data, i.bytes);
}

static void put_text(const folder *f, const char *name, const char *text)
{
    put(f, name, text, strlen(text));
}

static void remove_folder(const folder *f)
{
    static const char *const names[] = {"model.safetensors", "diffusion_pytorch_model.safetensors",
                                        "model.safetensors.index.json", "one.safetensors",
                                        "two.safetensors"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        (void)unlink(in_folder(f, names[i]));
    }
    assert_int_equal(rmdir(f->path), 0);
}

static void assert_folder_refused(const folder *f, const char *expected)
{
    ace_weights *w = NULL;
    ace_error err = {.code = ACESTEP_OK};
    assert_int_equal(ace_weights_open(f->path, &w, &err), ACESTEP_MODEL);
    assert_null(w);
    if (strstr(err.message, expected) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", err.message, expected);
    }
}

static void test_folders_of_one_file(void **state)
{
    (void)state;
    static const char *const names[] = {"model.safetensors", "diffusion_pytorch_model.safetensors"};
    for (size_t i = 0; i < 2; i++) {
        folder f = new_folder();
        put_tensor(&f, names[i], "t");
        ace_weights *w = NULL;
        assert_int_equal(ace_weights_open(f.path, &w, NULL), ACESTEP_OK);
        const ace_weight *t = ace_weights_find(w, "t");
        assert_non_null(t);
        ace_weights_release_pages(w, t);
        assert_int_equal(*(const unsigned char *)t->data, 0);
        ace_weights_close(w);
        remove_folder(&f);
    }
}

static const char shard_index[] =
    "{\"metadata\":{\"total_size\":2},\"weight_map\":{\"a\":\"one.safetensors\","
    "\"b\":\"two.safetensors\",\"c\":\"one.safetensors\"}}";

static void test_shards(void **state)
{
    (void)state;
    folder f = new_folder();
    put_text(&f, "model.safetensors.index.json", shard_index);
    put_tensor(&f, "one.safetensors", "a");
    assert_folder_refused(&f, "two.safetensors: missing");
    put_tensor(&f, "two.safetensors", "b");
    ace_weights *w = NULL;
    uint64_t live = ace_memory_live();
    uint64_t before = ace_memory_count();
    assert_int_equal(ace_weights_open(f.path, &w, NULL), ACESTEP_OK);
    uint64_t allocations = ace_memory_count() - before;
    assert_int_equal(ace_weights_count(w), 2);
    assert_non_null(ace_weights_find(w, "a"));
    assert_non_null(ace_weights_find(w, "b"));
    ace_weights_close(w);
    for (uint64_t n = 1; n <= allocations; n++) {
        ace_memory_fail_at(n);
        ace_status status = ace_weights_open(f.path, &w, NULL);
        ace_memory_fail_at(0);
        assert_int_equal(status, ACESTEP_MEMORY);
        assert_int_equal(ace_memory_live(), live);
    }
    put_tensor(&f, "two.safetensors", "a");
    assert_folder_refused(&f, "a stands there twice");
    remove_folder(&f);
}

static void test_hostile_indexes(void **state)
{
    (void)state;
    static const struct {
        const char *text, *expected;
    } cases[] = {
        {"", "index.json: damaged"},
        {"{}", "index.json: no weight_map"},
        {"{\"weight_map\":{}}", "no weight_map"},
        {"{\"weight_map\":{\"a\":1}}", "names no file for a"},
        {"{\"weight_map\":{\"a\":\"\"}}", "names no file for a"},
        {"{\"weight_map\":{\"a\":\"../x.safetensors\"}}", "names no file for a"},
        {"{\"weight_map\":{\"a\":\"/etc/passwd\"}}", "names no file for a"},
    };
    folder f = new_folder();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put_text(&f, "model.safetensors.index.json", cases[i].text);
        assert_folder_refused(&f, cases[i].expected);
    }
    remove_folder(&f);
}

static void test_paths_that_lead_nowhere(void **state)
{
    (void)state;
    ace_weights *w = NULL;
    ace_error err = {.code = ACESTEP_OK};
    folder f = new_folder();
    assert_folder_refused(&f, "holds neither model.safetensors nor its index");
    remove_folder(&f);
    assert_folder_refused(&f, f.path); /* no longer there */
    char path[6000];
    memset(path, 'a', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    assert_int_equal(ace_weights_open(path, &w, &err), ACESTEP_ARGUMENT);
}

/* ---- real ones ------------------------------------------------------------------------------- */

static void test_recorded_checkpoints(void **state)
{
    (void)state;
    static const char *const folders[] = {"acestep-v15-turbo", "acestep-v15-base", "vae",
                                          "Qwen3-Embedding-0.6B", "acestep-5Hz-lm-0.6B"};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        ace_weights *w = NULL;
        ace_error err = {.code = ACESTEP_OK};
        if (ace_weights_open(golden_path(folders[i]), &w, &err) != ACESTEP_OK) {
            fail_msg("%s", err.message);
        }
        assert_true(ace_weights_count(w) > 10);
        assert_false(ace_weights_is_synthetic(w));
        for (size_t t = 1; t < ace_weights_count(w); t++) {
            assert_true(strcmp(ace_weights_at(w, t - 1)->name, ace_weights_at(w, t)->name) < 0);
        }
        ace_weights_close(w);
    }
}

static void test_embedded_model_equals_its_files(void **state)
{
    (void)state;
    const ace_embedded_file *table = ace_demo_model_files();
    size_t n = 0;
    for (; table[n].path != NULL; n++) {
        char path[512];
        ace_file file;
        assert_true(n == 0 || strcmp(table[n - 1].path, table[n].path) < 0);
        (void)snprintf(path, sizeof path, "%s/models/%s", ACESTEP_SOURCE_DIR, table[n].path);
        assert_int_equal(ace_file_open(path, &file, NULL), ACESTEP_OK);
        assert_int_equal(file.bytes, table[n].bytes);
        assert_memory_equal(file.data, table[n].data, file.bytes);
        ace_file_close(&file);
    }
    assert_true(n >= 8);
    ace_embedded_files_set(table);
    ace_weights *w = NULL;
    assert_int_equal(ace_weights_open("embedded:demo/vae", &w, NULL), ACESTEP_OK);
    assert_true(ace_weights_count(w) > 10);
    ace_weights_close(w);
}

static void test_synthetic(void **state)
{
    (void)state;
    ace_weights *w = NULL;
    assert_int_equal(ace_weights_open_synthetic(&w, NULL), ACESTEP_OK);
    assert_true(ace_weights_is_synthetic(w));
    assert_null(ace_weights_find(w, "decoder.norm_out.weight"));
    ace_weights_close(w);
    ace_weights_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tensors_and_metadata),
        cmocka_unit_test(test_names_with_and_without_model),
        cmocka_unit_test(test_empty_file_of_no_tensors),
        cmocka_unit_test(test_every_cut_is_an_error),
        cmocka_unit_test(test_every_changed_byte_is_survived),
        cmocka_unit_test(test_every_shortage_is_an_error),
        cmocka_unit_test(test_a_cut_file_says_how_much_is_missing),
        cmocka_unit_test(test_hostile_headers),
        cmocka_unit_test(test_deep_header),
        cmocka_unit_test(test_other_kinds_of_file),
        cmocka_unit_test(test_folders_of_one_file),
        cmocka_unit_test(test_shards),
        cmocka_unit_test(test_hostile_indexes),
        cmocka_unit_test(test_paths_that_lead_nowhere),
        cmocka_unit_test(test_recorded_checkpoints),
        cmocka_unit_test(test_embedded_model_equals_its_files),
        cmocka_unit_test(test_synthetic),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
