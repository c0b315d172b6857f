/* Every prompt as a literal text; and what users may not smuggle in. */
#include "base/memory.h"
#include "lm/prompts.h"
#include "lm/user_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define GENERATE_SYSTEM                                                                            \
    "<|im_start|>system\n# Instruction\n"                                                          \
    "Generate audio semantic tokens based on the given conditions:\n\n<|im_end|>\n"
#define UNDERSTAND_SYSTEM                                                                          \
    "<|im_start|>system\n# Instruction\n"                                                          \
    "Understand the given musical conditions and describe the audio semantics accordingly:\n\n"    \
    "<|im_end|>\n"
#define CREATE_SYSTEM                                                                              \
    "<|im_start|>system\n# Instruction\n"                                                          \
    "Expand the user's input into a more detailed and specific musical description:\n\n"           \
    "<|im_end|>\n"
#define FORMAT_SYSTEM                                                                              \
    "<|im_start|>system\n# Instruction\n"                                                          \
    "Format the user's input into a more detailed and specific musical description:\n\n"           \
    "<|im_end|>\n"
#define USER "<|im_start|>user\n"
#define OWN "<|im_end|>\n<|im_start|>assistant\n"
#define BLOCK "<think>\nbpm: 120\nduration: 60\nkeyscale: G major\ntimesignature: 4\n</think>"

static void expect(ace_lm_mode mode, ace_lm_prompt_input in, const char *want)
{
    char *got = NULL;
    assert_int_equal(ace_lm_prompt(mode, &in, &got, NULL), ACESTEP_OK);
    assert_string_equal(got, want);
    ace_free(got);
}

static void expect_unconditional(ace_lm_prompt_input in, const char *want)
{
    char *got = NULL;
    assert_int_equal(ace_lm_unconditional_prompt(&in, &got, NULL), ACESTEP_OK);
    assert_string_equal(got, want);
    ace_free(got);
}

static void generate(void **state)
{
    (void)state;
    ace_lm_prompt_input in = {.caption = "calm piano", .lyrics = "[Instrumental]"};
    expect(ACE_LM_GENERATE, in,
           GENERATE_SYSTEM USER "# Caption\ncalm piano\n\n# Lyric\n[Instrumental]\n" OWN);
    in.block = BLOCK;
    expect(ACE_LM_GENERATE, in,
           GENERATE_SYSTEM USER "# Caption\ncalm piano\n\n# Lyric\n[Instrumental]\n" OWN BLOCK
                                "\n\n");
    in.legacy = true;
    expect(ACE_LM_GENERATE, in,
           GENERATE_SYSTEM USER "# Caption\ncalm piano\n\n# Lyric\n[Instrumental]\n" OWN BLOCK
                                "\n\n<|im_end|>\n");
    expect(ACE_LM_GENERATE, (ace_lm_prompt_input){0},
           GENERATE_SYSTEM USER "# Caption\n\n\n# Lyric\n\n" OWN);
}

static void understand(void **state)
{
    (void)state;
    const char *codes = "<|audio_code_18953|><|audio_code_13833|>";
    expect(ACE_LM_UNDERSTAND, (ace_lm_prompt_input){.codes = codes},
           UNDERSTAND_SYSTEM USER "<|audio_code_18953|><|audio_code_13833|>" OWN);
    expect(ACE_LM_UNDERSTAND, (ace_lm_prompt_input){.codes = " \n"},
           UNDERSTAND_SYSTEM USER "NO USER INPUT" OWN);
    expect(ACE_LM_UNDERSTAND, (ace_lm_prompt_input){.block = BLOCK, .caption = "x"},
           UNDERSTAND_SYSTEM USER "NO USER INPUT" OWN);
    expect(ACE_LM_UNDERSTAND, (ace_lm_prompt_input){.codes = "<|audio_code_1|><|im_end|>"},
           UNDERSTAND_SYSTEM USER "<|audio_code_1|>< |im_end|>" OWN);
}

static void create(void **state)
{
    (void)state;
    expect(ACE_LM_CREATE, (ace_lm_prompt_input){.query = "a soft love song"},
           CREATE_SYSTEM USER "a soft love song\n\ninstrumental: false" OWN);
    expect(ACE_LM_CREATE, (ace_lm_prompt_input){.query = "\t ", .instrumental = true},
           CREATE_SYSTEM USER "NO USER INPUT\n\ninstrumental: true" OWN);
}

static void format(void **state)
{
    (void)state;
    expect(ACE_LM_FORMAT, (ace_lm_prompt_input){.caption = "Latin pop", .lyrics = "[Verse]\nHola"},
           FORMAT_SYSTEM USER "# Caption\nLatin pop\n\n# Lyric\n[Verse]\nHola" OWN);
    expect(ACE_LM_FORMAT, (ace_lm_prompt_input){.caption = " "},
           FORMAT_SYSTEM USER "# Caption\nNO USER INPUT\n\n# Lyric\n[Instrumental]" OWN);
}

static void unconditional(void **state)
{
    (void)state;
    const char *nothing = GENERATE_SYSTEM USER "NO USER INPUT" OWN "<think>\n\n</think>\n\n";
    ace_lm_prompt_input in = {.caption = "calm piano", .lyrics = "la", .block = BLOCK};
    const char *const none[] = {NULL, "", " \n\t", "NO USER INPUT", " NO USER INPUT\n"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        in.negative = none[i];
        expect_unconditional(in, nothing);
    }
    in.negative = " noise, hum ";
    expect_unconditional(in, GENERATE_SYSTEM USER " noise, hum " OWN "<think>\n\n</think>\n\n");
    in.negative = "no user input"; /* other letters: it means something */
    expect_unconditional(in, GENERATE_SYSTEM USER "no user input" OWN "<think>\n\n</think>\n\n");
}

static void legacy_unconditional(void **state)
{
    (void)state;
    ace_lm_prompt_input in = {.caption = "calm piano", .lyrics = "la", .legacy = true};
    expect_unconditional(in, GENERATE_SYSTEM USER "# Lyric\nla\n" OWN);
    in.negative = "hum";
    expect_unconditional(in, GENERATE_SYSTEM USER "# Caption\nhum\n\n# Lyric\nla\n" OWN);
    in.block = BLOCK;
    expect_unconditional(in, GENERATE_SYSTEM USER "# Caption\nhum\n\n# Lyric\nla\n" OWN
                                                  "<think>\n\n</think>\n\n<|im_end|>\n");
    in.negative = "NO USER INPUT";
    expect_unconditional(in, GENERATE_SYSTEM USER "# Caption\ncalm piano\n\n# Lyric\nla\n" OWN
                                                  "<think>\n\n</think>\n\n<|im_end|>\n");
    in.caption = NULL;
    expect_unconditional(in, GENERATE_SYSTEM USER "# Caption\n\n\n# Lyric\nla\n" OWN
                                                  "<think>\n\n</think>\n\n<|im_end|>\n");
}

static void added_tokens_are_taken_apart(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"<|im_end|>", "< |im_end|>"},
        {"a<|audio_code_12|><|audio_code_3|>", "a< |audio_code_12|>< |audio_code_3|>"},
        {"<<think></think>", "<< think>< /think>"},
        {"<tool_call></tool_response>", "< tool_call>< /tool_response>"},
        {"a < b, <3, <b>, <|>, <||>, <|a b|>, <think",
         "a < b, <3, <b>, <|>, <||>, <|a b|>, <think"},
        {"<|<|im_end|>|>", "<|< |im_end|>|>"},
        {"<|im_end|", "<|im_end|"},
        {"\xff<", "\xef\xbf\xbd<"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        ace_text_buffer once = {0};
        ace_text_buffer twice = {0};
        ace_lm_append_user_text(&once, pairs[i][0]);
        char *text = ace_text_take(&once);
        assert_string_equal(text, pairs[i][1]);
        ace_lm_append_user_text(&twice, text);
        ace_free(text);
        text = ace_text_take(&twice);
        assert_string_equal(text, pairs[i][1]); /* nothing is left to take apart */
        ace_free(text);
    }
    expect(ACE_LM_FORMAT, (ace_lm_prompt_input){.caption = "<|im_end|>", .lyrics = "</think>"},
           FORMAT_SYSTEM USER "# Caption\n< |im_end|>\n\n# Lyric\n< /think>" OWN);
    expect(ACE_LM_CREATE, (ace_lm_prompt_input){.query = "<|im_start|>"},
           CREATE_SYSTEM USER "< |im_start|>\n\ninstrumental: false" OWN);
}

static void memory_failures(void **state)
{
    (void)state;
    ace_lm_prompt_input in = {.caption = "c", .lyrics = "l", .block = BLOCK, .legacy = true};
    uint64_t live = ace_memory_live();
    ace_status status[2] = {ACESTEP_MEMORY, ACESTEP_MEMORY};
    for (uint64_t n = 1; status[0] == ACESTEP_MEMORY || status[1] == ACESTEP_MEMORY; n++) {
        for (int k = 0; k < 2; k++) {
            char *got = NULL;
            ace_error err = {0};
            ace_memory_fail_at(n);
            status[k] = k == 0 ? ace_lm_prompt(ACE_LM_GENERATE, &in, &got, &err)
                               : ace_lm_unconditional_prompt(&in, &got, &err);
            ace_memory_fail_at(0);
            assert_true((status[k] == ACESTEP_MEMORY) == (got == NULL));
            assert_true((status[k] == ACESTEP_MEMORY) == (err.message[0] != '\0'));
            ace_free(got);
            assert_int_equal(ace_memory_live(), live);
        }
        assert_true(n < 100);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(generate),
        cmocka_unit_test(understand),
        cmocka_unit_test(create),
        cmocka_unit_test(format),
        cmocka_unit_test(unconditional),
        cmocka_unit_test(legacy_unconditional),
        cmocka_unit_test(added_tokens_are_taken_apart),
        cmocka_unit_test(memory_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
