/* The option table through its doors: names, ranges, arguments, JSON, and shortage of memory. */
#include "base/memory.h"
#include "options/option_readers.h"
#include "text/task.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static ace_request *new_request(void)
{
    ace_request *r = NULL;
    assert_int_equal(ace_request_create(&r, NULL), ACESTEP_OK);
    return r;
}

static void every_name_finds_its_own_row(void **state)
{
    (void)state;
    for (int i = 0; i < ACE_OPTION_COUNT; i++) {
        char aliases[256];
        assert_int_equal(ace_option_find(ace_option_at(i)->name), i);
        assert_true(strlen(ace_option_at(i)->aliases) < sizeof aliases);
        strcpy(aliases, ace_option_at(i)->aliases);
        for (char *a = strtok(aliases, ","); a != NULL; a = strtok(NULL, ",")) {
            assert_int_equal(ace_option_find(a), i);
        }
    }
    assert_int_equal(ace_option_find("batch-size"), ace_option_find("batch_size"));
    assert_int_equal(ace_option_find("nonsense"), -1);
}

static void task_words_follow_the_enumeration(void **state)
{
    (void)state;
    const ace_option *o = ace_option_at(ace_option_find("task_type"));
    for (int i = 0; i < ACE_N_TASKS; i++) {
        char word[64];
        ace_option_word(o, i, word, sizeof word);
        assert_string_equal(word, ace_task_name((ace_task)i));
    }
}

static void arguments_are_read_or_refused(void **state)
{
    (void)state;
    ace_request *r = new_request();
    char *good[] = {"-p", "rain", "--batch-size=3", "--no-sidecar", "--use_adg"};
    assert_int_equal(ace_request_from_arguments(r, 5, good, NULL), ACESTEP_OK);
    assert_string_equal(r->caption, "rain");
    assert_int_equal(r->batch_size, 3);
    assert_false(r->sidecar);
    assert_true(r->use_adg);

    ace_error err = {.code = ACESTEP_OK};
    char *far_off[] = {"--bpm", "301"};
    assert_int_equal(ace_request_from_arguments(r, 2, far_off, &err), ACESTEP_ARGUMENT);
    assert_non_null(strstr(err.message, "bpm: 301 is outside 0 to 300"));
    err.code = ACESTEP_OK;
    char *misspelled[] = {"--captoin", "x"};
    assert_int_equal(ace_request_from_arguments(r, 2, misspelled, &err), ACESTEP_ARGUMENT);
    assert_non_null(strstr(err.message, "--caption"));
    ace_request_free(r);
}

static void callers_win_over_the_environment(void **state)
{
    (void)state;
    ace_request *r = new_request();
    setenv("ACESTEP_BPM", "90", 1);
    assert_int_equal(ace_request_from_environment(r, NULL), ACESTEP_OK);
    assert_int_equal(r->bpm, 90);
    assert_int_equal(ace_request_set(r, "bpm", "120", ACE_FROM_CALLER, NULL), ACESTEP_OK);
    assert_int_equal(ace_request_from_environment(r, NULL), ACESTEP_OK);
    assert_int_equal(r->bpm, 120);
    unsetenv("ACESTEP_BPM");
    ace_request_free(r);
}

enum { AUTO, OFF, ON }; /* the words of a switch */

static void switches_stand_alone_or_take_a_word(void **state)
{
    (void)state;
    static const struct {
        const char *first, *second;
        int expected;
    } cases[] = {
        {"--offload-to-cpu", NULL, ON},     {"--no-offload-to-cpu", NULL, OFF},
        {"--offload_to_cpu", "false", OFF}, {"--offload_to_cpu", "true", ON},
        {"--offload-to-cpu", "auto", AUTO}, {"--offload-to-cpu=no", NULL, OFF},
        {"--offload=1", NULL, ON},          {"--offload-to-cpu", "--overwrite", ON},
        {"--offload-to-cpu", "0", OFF},     {"--offload-to-cpu", "Yes", ON},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ace_request *r = new_request();
        char first[32];
        char second[32];
        (void)snprintf(first, sizeof first, "%s", cases[i].first);
        (void)snprintf(second, sizeof second, "%s", cases[i].second != NULL ? cases[i].second : "");
        char *argv[] = {first, second};
        int argc = cases[i].second != NULL ? 2 : 1;
        assert_int_equal(ace_request_from_arguments(r, argc, argv, NULL), ACESTEP_OK);
        assert_int_equal(r->offload_to_cpu, cases[i].expected);
        ace_request_free(r);
    }
    ace_request *r = new_request();
    assert_int_equal(ace_request_set(r, "init_llm", "maybe", ACE_FROM_CALLER, NULL),
                     ACESTEP_ARGUMENT);
    const char json[] = "{\"init_llm\": false, \"compile_model\": true, \"offload_to_cpu\": 1}";
    assert_int_equal(ace_request_from_json(r, json, sizeof json - 1, false, NULL), ACESTEP_OK);
    assert_int_equal(r->init_llm, OFF);
    assert_int_equal(r->compile_model, ON);
    assert_int_equal(r->offload_to_cpu, ON);
    ace_request_free(r);
}

static void the_environment_knows_the_names_of_the_guide(void **state)
{
    (void)state;
    static const char *const variables[][2] = {
        {"ACESTEP_CONFIG_PATH", "base"},
        {"ACESTEP_LM_BACKEND", "pt"},
        {"ACESTEP_INIT_LLM", "true"},
        {"ACESTEP_VAE_DECODE_CHUNK_SIZE", "256"},
        {"MAX_CUDA_VRAM", "plenty of it, far more than any card ever had"},
        {"MAX_MPS_VRAM", "12"},
        {"MAX_XPU_VRAM", "16"},
    };
    ace_request *r = new_request();
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
        setenv(variables[i][0], variables[i][1], 1);
    }
    assert_int_equal(ace_request_from_environment(r, NULL), ACESTEP_OK);
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
        unsetenv(variables[i][0]);
    }
    assert_string_equal(r->model, "base");
    assert_string_equal(r->backend, "pt");
    assert_int_equal(r->init_llm, ON);
    assert_int_equal(r->vae_chunk, 256);
    assert_int_equal(strncmp(r->max_cuda_vram, "plenty of it", 12), 0); /* detection warns of it */
    assert_string_equal(r->max_mps_vram, "12");
    assert_string_equal(r->max_xpu_vram, "16");
    ace_request_free(r);
}

static ace_status read_json(ace_request *r, const char *text)
{
    return ace_request_from_json(r, text, strlen(text), false, NULL);
}

static void json_is_read_or_refused(void **state)
{
    (void)state;
    ace_request *r = new_request();
    assert_int_equal(read_json(r, "{\"metas\":{\"bpm\":80,\"key\":\"Am\"},\"bpm\":90,"
                                  "\"seeds\":[4,5],\"shift\":null}"),
                     ACESTEP_OK);
    assert_int_equal(r->bpm, 90);
    assert_string_equal(r->keyscale, "Am");
    assert_string_equal(r->seed, "4,5");
    const char *const bad[] = {"",
                               "[]",
                               "{\"bpm\":{}}",
                               "{\"bpm\":\"x\"}",
                               "{\"bpm\":1,\"bpm\":2}",
                               "{\"bmp\":1}",
                               "{\"seed\":[true]}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(read_json(r, bad[i]), ACESTEP_ARGUMENT);
    }
    ace_request_free(r);
}

static void json_brings_every_option_back(void **state)
{
    (void)state;
    ace_request *first = new_request();
    ace_request *second = new_request();
    assert_int_equal(ace_request_set(first, "shift", "2.7182818284590452", ACE_FROM_CALLER, NULL),
                     ACESTEP_OK);
    char *text = ace_request_to_json(first, false);
    assert_non_null(text);
    assert_int_equal(read_json(second, text), ACESTEP_OK);
    char *again = ace_request_to_json(second, false);
    assert_string_equal(text, again);
    assert_true(first->shift <= second->shift && first->shift >= second->shift);
    free(text);
    free(again);
    ace_request_free(first);
    ace_request_free(second);
}

static void shortage_of_memory_leaves_nothing(void **state)
{
    (void)state;
    uint64_t live = ace_memory_live();
    uint64_t before = ace_memory_count();
    ace_request_free(new_request());
    uint64_t n = ace_memory_count() - before;
    assert_true(n > 1);
    for (uint64_t i = 1; i <= n; i++) {
        ace_request *r = NULL;
        ace_memory_fail_at(i);
        assert_int_equal(ace_request_create(&r, NULL), ACESTEP_MEMORY);
        ace_memory_fail_at(0);
        assert_null(r);
        assert_int_equal(ace_memory_live(), live);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_name_finds_its_own_row),
        cmocka_unit_test(task_words_follow_the_enumeration),
        cmocka_unit_test(arguments_are_read_or_refused),
        cmocka_unit_test(callers_win_over_the_environment),
        cmocka_unit_test(switches_stand_alone_or_take_a_word),
        cmocka_unit_test(the_environment_knows_the_names_of_the_guide),
        cmocka_unit_test(json_is_read_or_refused),
        cmocka_unit_test(json_brings_every_option_back),
        cmocka_unit_test(shortage_of_memory_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
