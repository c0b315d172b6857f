/* What a host, a manifest or an address says, and what is believed of it. */
#include "store/address.h"
#include "store/catalogue.h"
#include "store/choice.h"
#include "store/file_list.h"
#include "store/sha256.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define SHA256 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define SHA1 "0123456789abcdef0123456789abcdef01234567"

static ace_store_files list;

static ace_status huggingface(const char *inside, const char *text, ace_error *err)
{
    *err = (ace_error){.code = ACESTEP_OK};
    return ace_store_parse_huggingface(text, strlen(text), inside, "list", &list, err);
}

/* One weights file with these members, among others. */
static ace_status with_entry(const char *entry)
{
    char text[2048];
    ace_error err;
    (void)snprintf(text, sizeof text,
                   "{\"sha\": \"" SHA1 "\", \"siblings\": [{\"rfilename\": \"model.safetensors\", "
                   "\"size\": 4}, %s]}",
                   entry);
    return huggingface("", text, &err);
}

static void hugging_face_lists(void **state)
{
    ace_error err;
    (void)state;
    assert_int_equal(
        huggingface("vae",
                    "{\"sha\": \"" SHA1 "\", \"siblings\": ["
                    "{\"rfilename\": \"README.md\", \"size\": 3, \"blobId\": \"" SHA1 "\"},"
                    "{\"rfilename\": \"config.json\", \"size\": 3, \"blobId\": \"" SHA1 "\"},"
                    "{\"rfilename\": \"vae/config.json\", \"size\": 425, \"blobId\": \"" SHA1 "\"},"
                    "{\"rfilename\": \"vae/deep/config.json\", \"size\": 425},"
                    "{\"rfilename\": \"vae/model.py\", \"size\": 425},"
                    "{\"rfilename\": \"vae/w.safetensors\", \"size\": 134, \"blobId\": \"" SHA1
                    "\", "
                    "\"lfs\": {\"sha256\": \"" SHA256 "\", \"size\": 5000000000}}]}",
                    &err),
        ACESTEP_OK);
    assert_int_equal(list.n, 2);
    assert_string_equal(list.revision, SHA1);
    assert_string_equal(list.file[0].name, "config.json");
    assert_string_equal(list.file[0].git_sha1, SHA1);
    assert_string_equal(list.file[0].sha256, "");
    assert_true(list.file[1].bytes == 5000000000u); /* of the file, not of what points to it */
    assert_string_equal(list.file[1].sha256, SHA256);
    assert_string_equal(list.file[1].git_sha1, "");
}

static void modelscope_lists(void **state)
{
    static const char text[] =
        "{\"Code\": 200, \"Data\": {\"Files\": [{\"Path\": \"vae\", \"Type\": \"tree\", \"Size\": "
        "0},"
        "{\"Path\": \"vae/w.safetensors\", \"Type\": \"blob\", \"Size\": 9, \"Sha256\": "
        "\"0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef\"}]}}";
    ace_error err = {.code = ACESTEP_OK};
    (void)state;
    assert_int_equal(ace_store_parse_modelscope(text, sizeof text - 1, "vae", "list", &list, &err),
                     ACESTEP_OK);
    assert_int_equal(list.n, 1);
    assert_string_equal(list.file[0].sha256, SHA256);
}

static void names_that_are_refused_or_passed_over(void **state)
{
    static const char *const refused[] = {"../x.json", "/x.json",  "a/../x.json",    "a\\\\x.json",
                                          "",          "./x.json", "a//x.json",      "x y.json",
                                          "-x.json",   ".x.json",  "caf\\u00e9.json"};
    static const char *const passed_over[] = {"x.py",  "a/x.json",       "acestep-manifest.json",
                                              "x.bin", ".gitattributes", "silence_latent.pt.exe"};
    char entry[128];
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        (void)snprintf(entry, sizeof entry, "{\"rfilename\": \"%s\", \"size\": 1}", refused[i]);
        assert_int_equal(with_entry(entry), ACESTEP_NETWORK);
    }
    for (size_t i = 0; i < sizeof passed_over / sizeof passed_over[0]; i++) {
        (void)snprintf(entry, sizeof entry, "{\"rfilename\": \"%s\", \"size\": 1}", passed_over[i]);
        assert_int_equal(with_entry(entry), ACESTEP_OK);
        assert_int_equal(list.n, 1);
    }
    assert_int_equal(with_entry("{\"rfilename\": \"silence_latent.pt\", \"size\": 1}"), ACESTEP_OK);
    assert_int_equal(list.n, 2);
}

static void values_that_cannot_be_right(void **state)
{
    static const char *const entries[] = {
        "{\"rfilename\": \"x.json\"}",
        "{\"rfilename\": \"x.json\", \"size\": -1}",
        "{\"rfilename\": \"x.json\", \"size\": 1.5}",
        "{\"rfilename\": \"x.json\", \"size\": \"1\"}",
        "{\"rfilename\": \"x.json\", \"size\": 9000000000000000}",
        "{\"rfilename\": \"x.json\", \"size\": 1, \"blobId\": \"zz\"}",
        "{\"rfilename\": \"x.json\", \"size\": 1, \"lfs\": {\"size\": 1, \"sha256\": \"12\"}}",
        "{\"rfilename\": \"x.json\", \"size\": 1, \"blobId\": 7}",
        "{\"rfilename\": \"model.safetensors\", \"size\": 4}",
        "{\"size\": 4}",
        "7",
    };
    (void)state;
    for (size_t i = 0; i < sizeof entries / sizeof entries[0]; i++) {
        assert_int_equal(with_entry(entries[i]), ACESTEP_NETWORK);
    }
}

static void texts_that_are_no_list(void **state)
{
    static const char *const texts[] = {
        "",
        "{",
        "[]",
        "{}",
        "{\"siblings\": 1}",
        "{\"siblings\": []}",
        "<html>",
        "{\"siblings\": [{\"rfilename\": \"config.json\", \"size\": 1}]}", /* no weights */
        "{\"sha\": \"../..\", \"siblings\": [{\"rfilename\": \"x.safetensors\", \"size\": 1}]}"};
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        ace_error err;
        assert_int_equal(huggingface("", texts[i], &err), ACESTEP_NETWORK);
        assert_true(err.message[0] != '\0');
    }
}

static void more_files_than_a_set_has(void **state)
{
    char text[16384] = "{\"siblings\": [";
    ace_error err;
    (void)state;
    for (int i = 0; i <= ACE_STORE_FILES; i++) {
        size_t n = strlen(text);
        (void)snprintf(text + n, sizeof text - n,
                       "%s{\"rfilename\": \"%d.safetensors\", \"size\": 1}", i > 0 ? "," : "", i);
    }
    strcat(text, "]}");
    assert_int_equal(huggingface("", text, &err), ACESTEP_NETWORK);
}

static void digests(void **state)
{
    char sha256[ACE_STORE_SHA256_BYTES];
    char git_sha1[ACE_STORE_SHA1_BYTES];
    ace_store_sha sha;
    (void)state;
    ace_store_sha_begin(&sha, 6, true);
    ace_store_sha_add(&sha, "hel", 3);
    ace_store_sha_add(&sha, "lo\n", 3);
    ace_store_sha_end(&sha, sha256, git_sha1);
    assert_string_equal(sha256, "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03");
    assert_string_equal(git_sha1, "ce013625030ba8dba906f756967f9e9ca394464a"); /* git hash-object */
}

static void addresses(void **state)
{
    char base[ACE_STORE_ADDRESS_BYTES];
    (void)state;
    assert_int_equal(ace_store_address_base("https://host/models//", base, NULL), ACESTEP_OK);
    assert_string_equal(base, "https://host/models");
    assert_int_equal(ace_store_address_base("host", base, NULL), ACESTEP_ARGUMENT);
    assert_int_equal(ace_store_address_base("ftp://host", base, NULL), ACESTEP_ARGUMENT);
    assert_int_equal(ace_store_address_base("https://u@host", base, NULL), ACESTEP_ARGUMENT);
    assert_int_equal(ace_store_address_base("https://host?x", base, NULL), ACESTEP_ARGUMENT);

    assert_true(ace_store_address_allowed("https://a", "https://b/x?y"));
    assert_false(ace_store_address_allowed("https://a", "http://a/x"));
    assert_false(ace_store_address_allowed("https://a", "http://127.0.0.1/x"));
    assert_true(ace_store_address_allowed("http://127.0.0.1:1", "http://localhost:2/x"));
    assert_true(ace_store_address_allowed("http://mirror", "http://mirror/x"));
    assert_false(ace_store_address_allowed("http://mirror", "http://other/x"));
    assert_false(ace_store_address_allowed("http://mirror", "http://127.0.0.1/x"));
    assert_false(ace_store_address_allowed("https://a", "https://u:p@b/x"));
    assert_false(ace_store_address_allowed("https://a", "file:///etc/passwd"));

    assert_true(ace_store_address_trusted("https://a", "https://a:443/x"));
    assert_true(ace_store_address_trusted("http://127.0.0.1:1", "http://127.0.0.1:1/x"));
    assert_false(ace_store_address_trusted("http://127.0.0.1:1", "http://127.0.0.1:2/x"));
    assert_false(ace_store_address_trusted("https://a", "https://a:444/x"));
    assert_false(ace_store_address_trusted("https://a", "https://b/x"));
    assert_false(ace_store_address_trusted("https://a", "https://a.b/x"));
    assert_false(ace_store_address_trusted("http://mirror", "http://mirror/x"));
}

/* One file of many, which is the whole set. */
static void sets_of_one_file(void **state)
{
    static const char text[] =
        "{\"sha\": \"" SHA1 "\", \"siblings\": ["
        "{\"rfilename\": \"config.json\", \"size\": 3},"
        "{\"rfilename\": \"a-BF16.gguf\", \"size\": 8},"
        "{\"rfilename\": \"a-Q8_0.gguf\", \"size\": 134, \"lfs\": {\"sha256\": "
        "\"" SHA256 "\", \"size\": 5000}},"
        "{\"rfilename\": \"deep/a-Q8_0.gguf\", \"size\": 3}]}";
    ace_error err;
    (void)state;
    assert_int_equal(huggingface("a-Q8_0.gguf", text, &err), ACESTEP_OK);
    assert_int_equal(list.n, 1);
    assert_string_equal(list.file[0].name, "a-Q8_0.gguf");
    assert_int_equal(list.file[0].bytes, 5000);
    assert_string_equal(list.file[0].sha256, SHA256);
    assert_int_equal(huggingface("b-Q8_0.gguf", text, &err), ACESTEP_NETWORK);
    assert_non_null(strstr(err.message, "b-Q8_0.gguf"));
}

static void the_catalogue_holds_together(void **state)
{
    (void)state;
    for (size_t i = 0; i < ace_store_set_count(); i++) {
        const ace_store_set *set = ace_store_set_at(i);
        uint64_t known = 0;
        assert_ptr_equal(ace_store_set_find(set->name), set);
        assert_true(strlen(set->revision) == 40 || strcmp(set->revision, "main") == 0);
        for (const ace_store_fact *f = set->facts; f != NULL && f->name != NULL; f++) {
            assert_true(ace_store_is_wanted(f->name));
            assert_int_equal(strspn(f->sha256, "0123456789abcdef"), 64);
            assert_int_equal(strlen(f->sha256), 64);
            known += f->bytes;
        }
        assert_true(known <= set->bytes);
        assert_true(known == 0 || known > set->bytes / 10 * 9);
    }
}

static void assert_chosen(const char *name, const char *lm, bool alone, const char *expected)
{
    ace_store_choice choice = {.n = 0};
    char text[512] = "";
    assert_int_equal(ace_store_choose_all(&choice, &name, name != NULL ? 1 : 0, lm, alone, NULL),
                     ACESTEP_OK);
    for (size_t i = 0; i < choice.n; i++) {
        strcat(text, choice.set[i]->name);
        strcat(text, " ");
    }
    assert_string_equal(text, expected);
}

static void choices(void **state)
{
    ace_store_choice choice = {.n = 0};
    ace_error err = {.code = ACESTEP_OK};
    (void)state;
    assert_chosen(NULL, NULL, false, "vae Qwen3-Embedding-0.6B acestep-v15-turbo ");
    assert_chosen(NULL, "acestep-5Hz-lm-0.6B", false,
                  "vae Qwen3-Embedding-0.6B acestep-v15-turbo acestep-5Hz-lm-0.6B ");
    assert_chosen("base", NULL, false, "vae Qwen3-Embedding-0.6B acestep-v15-base ");
    assert_chosen("XL-Turbo", NULL, true, "acestep-v15-xl-turbo ");
    assert_chosen("1.7B", NULL, false, "acestep-5Hz-lm-1.7B ");
    assert_chosen("lm-4B", NULL, false, "acestep-5Hz-lm-4B ");
    assert_chosen("turbo-q8_0", NULL, false, "vae Qwen3-Embedding-0.6B acestep-v15-turbo-Q8_0 ");
    assert_chosen("1.7B-Q8_0", NULL, false, "acestep-5Hz-lm-1.7B-Q8_0 ");
    assert_chosen("main", NULL, false,
                  "vae Qwen3-Embedding-0.6B acestep-v15-turbo acestep-5Hz-lm-1.7B ");
    for (int twice = 0; twice < 2; twice++) {
        assert_int_equal(ace_store_choose(&choice, "all", &err), ACESTEP_OK);
        assert_int_equal(choice.n, 14); /* nothing twice, as GGUF once more */
    }
    assert_int_equal(ace_store_choose(&choice, "turbo-shift9", &err), ACESTEP_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hugging_face_lists),
        cmocka_unit_test(sets_of_one_file),
        cmocka_unit_test(modelscope_lists),
        cmocka_unit_test(names_that_are_refused_or_passed_over),
        cmocka_unit_test(values_that_cannot_be_right),
        cmocka_unit_test(texts_that_are_no_list),
        cmocka_unit_test(more_files_than_a_set_has),
        cmocka_unit_test(digests),
        cmocka_unit_test(addresses),
        cmocka_unit_test(the_catalogue_holds_together),
        cmocka_unit_test(choices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
