/* Which checkpoints a folder holds, how they are called, and the card that says what they can do.
 */
#include "base/memory.h"
#include "model/model_set.h"
#include "support/gguf_file.h"
#include "support/golden.h"
#include "support/hostile.h"
#include "weights/demo_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- a models folder ------------------------------------------------------------------------- */

enum { MOST_ENTRIES = 16 };

typedef struct models {
    char path[64];
    char entry[MOST_ENTRIES][256]; /* to be removed again */
    int n;
} models;

static models new_models(void)
{
    models m = {.path = "/tmp/ace_models_XXXXXX"};
    assert_non_null(mkdtemp(m.path));
    return m;
}

static const char *new_entry(models *m, const char *name)
{
    char path[256];
    assert_true(m->n < MOST_ENTRIES);
    (void)snprintf(path, sizeof path, "%s/%s", m->path, name);
    memcpy(m->entry[m->n], path, sizeof path);
    return m->entry[m->n++];
}

static void add_folder(models *m, const char *name)
{
    assert_int_equal(mkdir(new_entry(m, name), 0700), 0);
}

static void add_file(models *m, const char *name, const void *data, size_t bytes)
{
    FILE *file = fopen(new_entry(m, name), "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, bytes, file), bytes);
    assert_int_equal(fclose(file), 0);
}

static void add_gguf(models *m, const char *name, const char *architecture)
{
    static gguf_file f;
    gguf_begin(&f, 3, 0, 1);
    gguf_pair_text(&f, "general.architecture", architecture);
    add_file(m, name, f.data, f.bytes);
}

static void remove_models(models *m)
{
    for (int i = 0; i < m->n; i++) {
        assert_int_equal(remove(m->entry[i]), 0);
    }
    assert_int_equal(rmdir(m->path), 0);
}

static void assert_found(const models *m, const char *wanted, const char *dit)
{
    ace_model_set set;
    ace_error err = {.code = ACESTEP_OK};
    if (ace_model_set_find(m->path, wanted, &set, &err) != ACESTEP_OK) {
        fail_msg("%s: %s", wanted, err.message);
    }
    assert_string_equal(set.dit + strlen(m->path) + 1, dit);
}

static void assert_not_found(const models *m, const char *wanted, const char *expected)
{
    ace_model_set set;
    ace_error err = {.code = ACESTEP_OK};
    assert_int_equal(ace_model_set_find(m->path, wanted, &set, &err), ACESTEP_MODEL);
    if (strstr(err.message, expected) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", err.message, expected);
    }
}

static void test_published_folders(void **state)
{
    (void)state;
    models m = new_models();
    add_folder(&m, "acestep-v15-turbo");
    assert_not_found(&m, "", "the folder vae is missing; there is: acestep-v15-turbo");
    add_folder(&m, "vae");
    assert_not_found(&m, "", "Qwen3-Embedding-0.6B is missing");
    add_folder(&m, "Qwen3-Embedding-0.6B");
    ace_model_set set;
    assert_int_equal(ace_model_set_find(m.path, "", &set, NULL), ACESTEP_OK);
    assert_string_equal(set.dit_name, "acestep-v15-turbo");
    assert_string_equal(set.lm, "");
    assert_string_equal(set.vae + strlen(m.path), "/vae");
    assert_string_equal(set.text_encoder + strlen(m.path), "/Qwen3-Embedding-0.6B");
    assert_true(set.card.lm && set.card.audio_input && set.card.max_duration == 0);
    add_folder(&m, "acestep-v15-base");
    add_folder(&m, "acestep-v15-turbo-shift3");
    add_folder(&m, "acestep-v15-xl-turbo");
    add_folder(&m, "acestep-5Hz-lm-1.7B");
    assert_int_equal(ace_model_set_find(m.path, "", &set, NULL), ACESTEP_OK);
    assert_string_equal(set.lm + strlen(m.path), "/acestep-5Hz-lm-1.7B");
    assert_found(&m, "", "acestep-v15-turbo");
    assert_found(&m, "turbo", "acestep-v15-turbo");
    assert_found(&m, "base", "acestep-v15-base");
    assert_found(&m, "xl-turbo", "acestep-v15-xl-turbo");
    assert_found(&m, "acestep-v15-turbo-shift3", "acestep-v15-turbo-shift3");
    assert_not_found(&m, "sft", "no \"sft\"");
    assert_not_found(&m, "sft", "acestep-v15-base");
    assert_not_found(&m, "tur", "no \"tur\"");
    assert_not_found(&m, "acestep-v15-", "no \"acestep-v15-\"");
    assert_not_found(&m, "acestep-5Hz-lm-1.7B", "no \"acestep-5Hz-lm-1.7B\"");
    assert_not_found(&m, "../turbo", "no \"../turbo\"");
    remove_models(&m);
}

static void test_only_one_or_none_to_choose(void **state)
{
    (void)state;
    models m = new_models();
    add_folder(&m, "vae");
    add_folder(&m, "Qwen3-Embedding-0.6B");
    assert_not_found(&m, "", "no diffusion model to choose");
    add_folder(&m, "acestep-v15-sft");
    assert_found(&m, "", "acestep-v15-sft");
    add_folder(&m, "acestep-v15-base");
    assert_not_found(&m, "", "--model");
    remove_models(&m);
}

static void test_gguf_files(void **state)
{
    (void)state;
    models m = new_models();
    add_gguf(&m, "vae-BF16.gguf", "acestep-vae");
    add_gguf(&m, "Qwen3-Embedding-0.6B-Q8_0.gguf", "acestep-text-enc");
    add_gguf(&m, "acestep-v15-turbo-shift3-Q8_0.gguf", "acestep-dit");
    add_gguf(&m, "acestep-5Hz-lm-4B-Q8_0.gguf", "acestep-lm");
    add_gguf(&m, "llama-Q8_0.gguf", "llama");
    add_file(&m, "broken.gguf", "GGUF", 4);
    assert_not_found(&m, "turbo", "no \"turbo\"");
    add_gguf(&m, "acestep-v15-turbo-Q4_K_M.gguf", "acestep-dit");
    assert_found(&m, "", "acestep-v15-turbo-Q4_K_M.gguf");
    assert_found(&m, "turbo", "acestep-v15-turbo-Q4_K_M.gguf");
    assert_found(&m, "acestep-v15-turbo", "acestep-v15-turbo-Q4_K_M.gguf");
    assert_found(&m, "acestep-v15-turbo-Q4_K_M", "acestep-v15-turbo-Q4_K_M.gguf");
    assert_found(&m, "acestep-v15-turbo-Q4_K_M.gguf", "acestep-v15-turbo-Q4_K_M.gguf");
    assert_found(&m, "turbo-shift3", "acestep-v15-turbo-shift3-Q8_0.gguf");
    ace_model_set set;
    assert_int_equal(ace_model_set_find(m.path, "", &set, NULL), ACESTEP_OK);
    assert_string_equal(set.dit_name, "acestep-v15-turbo-Q4_K_M");
    assert_string_equal(set.vae + strlen(m.path), "/vae-BF16.gguf");
    assert_string_equal(set.text_encoder + strlen(m.path), "/Qwen3-Embedding-0.6B-Q8_0.gguf");
    assert_string_equal(set.lm + strlen(m.path), "/acestep-5Hz-lm-4B-Q8_0.gguf");
    add_folder(&m, "acestep-v15-base-Q8_0"); /* with its one file, as a download makes it */
    assert_found(&m, "base", "acestep-v15-base-Q8_0");
    assert_found(&m, "base-Q8_0", "acestep-v15-base-Q8_0");
    add_folder(&m, "acestep-v15-base");
    assert_found(&m, "base", "acestep-v15-base");
    assert_found(&m, "base-Q8_0", "acestep-v15-base-Q8_0");
    assert_not_found(&m, "base-Q4_K_M", "no \"base-Q4_K_M\"");
    assert_not_found(&m, "acestep-v15", "no \"acestep-v15\"");
    uint64_t live = ace_memory_live();
    for (uint64_t n = 1; n <= 4; n++) {
        ace_memory_fail_at(n);
        assert_int_equal(ace_model_set_find(m.path, "", &set, NULL), ACESTEP_MEMORY);
        ace_memory_fail_at(0);
        assert_int_equal(ace_memory_live(), live);
    }
    remove_models(&m);
}

static void test_recorded_and_embedded_sets(void **state)
{
    (void)state;
    ace_model_set set;
    ace_error err = {.code = ACESTEP_OK};
    assert_int_equal(ace_model_set_find(golden_path(""), "base", &set, NULL), ACESTEP_OK);
    assert_string_equal(set.dit_name, "acestep-v15-base");
    ace_embedded_files_set(ace_demo_model_files());
    if (ace_model_set_find("embedded:demo", "", &set, &err) != ACESTEP_OK) {
        fail_msg("%s", err.message);
    }
    assert_string_equal(set.dit, "embedded:demo/acestep-v15-turbo");
    assert_string_equal(set.vae, "embedded:demo/vae");
    assert_string_equal(set.lm, "");
    assert_string_equal(set.card.name, "demo");
    assert_false(set.card.lm || set.card.audio_input);
    assert_true(set.card.min_duration == 5.12 && set.card.max_duration == 60);
    assert_true(set.card.note[0] != '\0' && set.card.get_full_model[0] != '\0');
}

static void test_folders_that_are_none(void **state)
{
    (void)state;
    models m = {.path = "/tmp/ace_models_that_do_not_exist"};
    assert_not_found(&m, "", "is no folder");
    char path[6000];
    memset(path, 'a', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    ace_model_set set;
    assert_int_equal(ace_model_set_find(path, "", &set, NULL), ACESTEP_ARGUMENT);
}

/* ---- the card -------------------------------------------------------------------------------- */

static const char whole_card[] =
    "{\"name\":\"n\",\"note\":\"o\",\"get_full_model\":\"g\",\"precision\":\"bf16\",\"lm\":false,"
    "\"audio_input\":false,\"min_duration\":1.5,\"max_duration\":2,\"anything\":[]}";

static ace_status read_card(const unsigned char *data, size_t bytes, ace_error *err)
{
    ace_model_card card;
    return ace_model_card_parse((const char *)data, bytes, "acestep.json", &card, err);
}

static void test_card(void **state)
{
    (void)state;
    ace_model_card card;
    assert_int_equal(
        ace_model_card_parse(whole_card, strlen(whole_card), "acestep.json", &card, NULL),
        ACESTEP_OK);
    assert_string_equal(card.name, "n");
    assert_string_equal(card.note, "o");
    assert_string_equal(card.get_full_model, "g");
    assert_string_equal(card.precision, "bf16");
    assert_false(card.lm || card.audio_input);
    assert_true(card.min_duration == 1.5 && card.max_duration == 2);
    assert_int_equal(ace_model_card_parse("{}", 2, "acestep.json", &card, NULL), ACESTEP_OK);
    assert_true(card.lm && card.audio_input);
    assert_true(card.min_duration == 0 && card.max_duration == 0);
    hostile_cut(read_card, (const unsigned char *)whole_card, strlen(whole_card));
    hostile_change(read_card, (const unsigned char *)whole_card, strlen(whole_card));
}

static void test_bad_cards(void **state)
{
    (void)state;
    static const struct {
        const char *text, *expected;
    } cases[] = {
        {"[]", "not an object"},
        {"{\"name\":1}", "name is no text"},
        {"{\"note\":[]}", "note is no text"},
        {"{\"lm\":\"no\"}", "lm is no true or false"},
        {"{\"audio_input\":0}", "audio_input is no true or false"},
        {"{\"min_duration\":-1}", "min_duration is no number of seconds"},
        {"{\"max_duration\":\"60\"}", "max_duration is no number of seconds"},
        {"{\"max_duration\":1e300}", "max_duration is no number of seconds"},
        {"{\"min_duration\":61,\"max_duration\":60}", "min_duration is above max_duration"},
        {"{\"precision\":\"fp4\"}", "precision is neither"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ace_error err = {.code = ACESTEP_OK};
        const char *text = cases[i].text;
        assert_int_equal(read_card((const unsigned char *)text, strlen(text), &err), ACESTEP_MODEL);
        if (strstr(err.message, cases[i].expected) == NULL) {
            fail_msg("\"%s\" does not say \"%s\"", err.message, cases[i].expected);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_published_folders),
        cmocka_unit_test(test_only_one_or_none_to_choose),
        cmocka_unit_test(test_gguf_files),
        cmocka_unit_test(test_recorded_and_embedded_sets),
        cmocka_unit_test(test_folders_that_are_none),
        cmocka_unit_test(test_card),
        cmocka_unit_test(test_bad_cards),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
