/* Prompts, metadata and audio codes against the recorded strings and ids, and by their rules. */
#include "base/memory.h"
#include "support/golden.h"
#include "text/prompt.h"
#include "text/tokenizer.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static ace_prompt_input plain_input(void)
{
    return (ace_prompt_input){.caption = "a song", .lyrics = "la", .seconds = 42.9};
}

static char *text_prompt(const ace_prompt_input *in)
{
    ace_error err = {0};
    char *prompt = NULL;
    if (ace_prompt_text(in, &prompt, &err) != ACESTEP_OK) {
        fail_msg("%s", err.message);
    }
    return prompt;
}

static char *lyric_prompt(const ace_prompt_input *in)
{
    ace_error err = {0};
    char *prompt = NULL;
    if (ace_prompt_lyrics(in, &prompt, &err) != ACESTEP_OK) {
        fail_msg("%s", err.message);
    }
    return prompt;
}

static const char *meta_string(const json_t *meta, const char *key)
{
    return json_string_value(json_object_get(meta, key));
}

static void check_tokens(const ace_tokenizer *t, const golden *g, const char *name,
                         const char *prompt, int64_t limit)
{
    ace_error err = {0};
    ace_tokens got;
    assert_int_equal(ace_tokenizer_encode(t, prompt, strlen(prompt), limit, &got, &err),
                     ACESTEP_OK);
    int64_t *wanted = golden_i64(g, name);
    assert_int_equal(got.n, golden_elements(golden_tensor(g, name)));
    for (int64_t i = 0; i < got.n; i++) {
        assert_int_equal(got.ids[i], wanted[i]);
    }
    free(wanted);
    ace_tokens_free(&got);
}

static void check_case(const ace_tokenizer *t, const char *name, ace_task task)
{
    golden g = golden_open(name);
    const json_t *meta = json_object_get(g.entry, "meta");
    const json_t *metas = json_object_get(meta, "metas");
    ace_prompt_input in = {
        .task = task,
        .caption = meta_string(meta, "caption"),
        .lyrics = meta_string(meta, "lyrics"),
        .language = meta_string(meta, "vocal_language"),
        .bpm = json_integer_value(json_object_get(metas, "bpm")), /* 0 for "N/A" */
        .keyscale = meta_string(metas, "keyscale"),
        .timesignature = meta_string(metas, "timesignature"),
        .seconds = strtod(meta_string(metas, "duration"), NULL),
    };
    char *text = text_prompt(&in);
    char *lyrics = lyric_prompt(&in);
    assert_string_equal(text, meta_string(meta, "text_prompt"));
    assert_string_equal(lyrics, meta_string(meta, "lyric_prompt"));
    check_tokens(t, &g, "in.text_token_ids", text, 256);
    check_tokens(t, &g, "in.lyric_token_ids", lyrics, 2048);
    ace_free(text);
    ace_free(lyrics);
    golden_close(&g);
}

static void recorded_prompts_and_their_ids(void **state)
{
    (void)state;
    ace_error err = {0};
    ace_tokenizer *t = NULL;
    assert_int_equal(ace_tokenizer_open(golden_path("Qwen3-Embedding-0.6B"), &t, &err), ACESTEP_OK);
    check_case(t, "e2e_turbo_text2music", ACE_TASK_TEXT2MUSIC);
    check_case(t, "e2e_base_text2music_apg", ACE_TASK_TEXT2MUSIC);
    check_case(t, "e2e_turbo_repaint", ACE_TASK_REPAINT);
    check_case(t, "e2e_turbo_audio_codes", ACE_TASK_TEXT2MUSIC);
    golden g = golden_open("text_prompt");
    const char *prompt = meta_string(json_object_get(g.entry, "meta"), "prompt");
    ace_prompt_input in = {.caption = "slow jazz ballad, upright bass",
                           .bpm = 75,
                           .keyscale = "Gm",
                           .timesignature = "3/4"};
    char *built = text_prompt(&in);
    assert_string_equal(built, prompt);
    check_tokens(t, &g, "in.input_ids", built, 256);
    ace_free(built);
    golden_close(&g);
    ace_tokenizer_free(t);
}

static void nothing_known_is_not_available(void **state)
{
    (void)state;
    ace_prompt_input in = {.caption = "x", .keyscale = " n/a ", .timesignature = "N/A"};
    char *text = text_prompt(&in);
    assert_string_equal(text, "# Instruction\nFill the audio semantic mask based on the given "
                              "conditions:\n\n# Caption\nx\n\n# Metas\n- bpm: N/A\n"
                              "- timesignature: N/A\n- keyscale: N/A\n- duration: 30 seconds\n"
                              "<|endoftext|>\n");
    ace_free(text);
    char *lyrics = lyric_prompt(&in);
    assert_string_equal(lyrics, "# Languages\nunknown\n\n# Lyric\n[Instrumental]<|endoftext|>");
    ace_free(lyrics);
}

static void duration_is_cut_to_whole_seconds(void **state)
{
    (void)state;
    ace_prompt_input in = plain_input();
    char *text = text_prompt(&in);
    assert_non_null(strstr(text, "- duration: 42 seconds\n"));
    ace_free(text);
    ace_error err = {0};
    in.seconds = NAN;
    assert_int_equal(ace_prompt_text(&in, &text, &err), ACESTEP_ARGUMENT);
    assert_null(text);
}

static void check_instruction(ace_prompt_input in, const char *wanted)
{
    char *text = text_prompt(&in);
    size_t n = strlen("# Instruction\n");
    assert_memory_equal(text + n, wanted, strlen(wanted));
    assert_memory_equal(text + n + strlen(wanted), "\n\n# Caption\n", 12);
    ace_free(text);
}

static void instructions_follow_the_task(void **state)
{
    (void)state;
    ace_prompt_input in = plain_input();
    in.task = ACE_TASK_COVER;
    check_instruction(in, "Generate audio semantic tokens based on the given conditions:");
    in.task = ACE_TASK_LEGO;
    check_instruction(in, "Generate the track based on the audio context:");
    in.track_name = " backing_vocals ";
    check_instruction(in, "Generate the BACKING_VOCALS track based on the audio context:");
    in.task = ACE_TASK_EXTRACT;
    check_instruction(in, "Extract the BACKING_VOCALS track from the audio:");
    in.track_name = "h\xC3\xB6rner";
    check_instruction(in, "Extract the H\xC3\x96RNER track from the audio:");
    in.track_name = "";
    check_instruction(in, "Extract the track from the audio:");
    in.task = ACE_TASK_COMPLETE;
    check_instruction(in, "Complete the input track:");
    in.track_classes = "drums, bass,,Guitar ";
    check_instruction(in, "Complete the input track with DRUMS | BASS | GUITAR:");
    in.instruction = "Do as I say";
    check_instruction(in, "Do as I say:");
    in.instruction = "Do as I say:";
    check_instruction(in, "Do as I say:");
}

static void tasks_have_names(void **state)
{
    (void)state;
    ace_task task = ACE_TASK_TEXT2MUSIC;
    for (int i = 0; i < ACE_N_TASKS; i++) {
        assert_true(ace_task_from_name(ace_task_name((ace_task)i), &task));
        assert_int_equal(task, i);
    }
    assert_false(ace_task_from_name("sing", &task));
    assert_true(ace_track_is_known("Drums"));
    assert_false(ace_track_is_known("kazoo"));
}

static void a_finished_prompt_is_reduced_to_its_caption(void **state)
{
    (void)state;
    static const char *const captions[] = {
        "# Instruction\nx:\n\n# Caption\nslow jazz\nballad\n\n# Metas\n- bpm: 1\n",
        "# Instruction\nx:\n#\t# Caption  \n\n slow jazz\nballad\n \n#\tMetas",
        "# Instruction # Caption\nslow jazz\nballad ",
    };
    for (size_t i = 0; i < sizeof captions / sizeof *captions; i++) {
        ace_prompt_input in = {.caption = captions[i]};
        char *text = text_prompt(&in);
        assert_non_null(strstr(text, "\n\n# Caption\nslow jazz\nballad\n\n# Metas\n- bpm: N/A"));
        ace_free(text);
    }
    ace_prompt_input in = {.caption = "# Caption\njust words"};
    char *text = text_prompt(&in);
    assert_non_null(strstr(text, "# Caption\n# Caption\njust words\n\n# Metas"));
    ace_free(text);
}

static void check_key(const char *given, const char *wanted)
{
    ace_error err = {0};
    char key[ACE_KEYSCALE_BYTES];
    ace_status status = ace_keyscale_parse(given, key, &err);
    assert_int_equal(status, wanted != NULL ? ACESTEP_OK : ACESTEP_ARGUMENT);
    assert_string_equal(key, wanted != NULL ? wanted : "");
}

static void keys_have_one_spelling(void **state)
{
    (void)state;
    check_key("C major", "C major");
    check_key("F# minor", "F# minor");
    check_key("C\xE2\x99\xAF minor", "C\xE2\x99\xAF minor");
    check_key("B\xE2\x99\xAD major", "B\xE2\x99\xAD major");
    check_key("Am", "A minor");
    check_key("C#m", "C# minor");
    check_key("Bb", "Bb major");
    check_key("bb min", "Bb minor");
    check_key("B minor", "B minor");
    check_key(" g MAJOR ", "G major");
    check_key("EM", "E major");
    check_key("", "");
    check_key(NULL, "");
    check_key("N/A", "");
    check_key("H major", NULL);
    check_key("C dorian", NULL);
    check_key("C##", NULL);
    check_key("#", NULL);
    check_key("C minor seventh", NULL);
}

static void signatures_and_languages_are_checked(void **state)
{
    (void)state;
    ace_error err = {0};
    int beats = -1;
    assert_int_equal(ace_timesignature_parse("6/8", &beats, &err), ACESTEP_OK);
    assert_int_equal(beats, 6);
    assert_int_equal(ace_timesignature_parse(" 4 ", &beats, &err), ACESTEP_OK);
    assert_int_equal(beats, 4);
    assert_int_equal(ace_timesignature_parse("", &beats, &err), ACESTEP_OK);
    assert_int_equal(beats, 0);
    assert_int_equal(ace_timesignature_parse("5/4", &beats, &err), ACESTEP_ARGUMENT);
    assert_int_equal(ace_timesignature_parse("4/", &beats, &err), ACESTEP_ARGUMENT);
    const char *language = NULL;
    assert_int_equal(ace_language_parse("YUE", &language, &err), ACESTEP_OK);
    assert_string_equal(language, "yue");
    assert_int_equal(ace_language_parse(NULL, &language, &err), ACESTEP_OK);
    assert_string_equal(language, "unknown");
    assert_int_equal(ace_language_parse("klingon", &language, &err), ACESTEP_ARGUMENT);
    assert_int_equal(ace_bpm_check(0, NULL), ACESTEP_OK);
    assert_int_equal(ace_bpm_check(30, NULL), ACESTEP_OK);
    assert_int_equal(ace_bpm_check(300, NULL), ACESTEP_OK);
    assert_int_equal(ace_bpm_check(29, NULL), ACESTEP_ARGUMENT);
    assert_int_equal(ace_bpm_check(301, NULL), ACESTEP_ARGUMENT);
    for (int i = 1; i < ACE_N_LANGUAGES - 1; i++) {
        assert_true(strcmp(ace_languages[i - 1], ace_languages[i]) < 0);
    }
}

static void check_codes(const char *text, const int32_t *wanted, int64_t n_wanted)
{
    ace_error err = {0};
    int32_t *codes = NULL;
    int64_t n = 0;
    if (ace_codes_parse(text, 1296, &codes, &n, &err) != ACESTEP_OK) {
        fail_msg("%s", err.message);
    }
    assert_int_equal(n, n_wanted);
    if (n > 0) {
        assert_memory_equal(codes, wanted, (size_t)n * sizeof *codes);
    }
    ace_free(codes);
}

static void codes_have_three_spellings(void **state)
{
    (void)state;
    const int32_t wanted[] = {5, 0, 1295};
    check_codes("<|audio_code_5|> x <|audio_code_0|><|audio_code_|><|audio_code_7|\n"
                "<|audio_code_1295|>",
                wanted, 3);
    check_codes("5, 0,1295", wanted, 3);
    check_codes(" [5,\n0, 1295] ", wanted, 3);
    check_codes("<|audio_code_5|><|audio_code_00|><|audio_code_99999999999999999999|>", wanted, 3);
    check_codes("5,0,1296", wanted, 3);
    check_codes("", wanted, 0);
    check_codes(" \n", wanted, 0);
    check_codes("[]", wanted, 0);
    static const char *const bad[] = {
        "hello", "1,,2", ",1", "-1", "[1,-2]", "[1", "[1] 2", "[\"1\"]", "<|audio_code_x|>", "1.5"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ace_error err = {0};
        int32_t *codes = NULL;
        int64_t n = 0;
        assert_int_equal(ace_codes_parse(bad[i], 1296, &codes, &n, &err), ACESTEP_ARGUMENT);
        assert_null(codes);
    }
}

static void recorded_codes_are_read_and_written(void **state)
{
    (void)state;
    golden g = golden_open("e2e_turbo_audio_codes");
    const json_t *hints = json_object_get(json_object_get(g.entry, "meta"), "audio_code_hints");
    const char *text = json_string_value(json_array_get(hints, 0));
    int64_t *wanted = golden_i64(&g, "in.audio_codes");
    ace_error err = {0};
    int32_t *codes = NULL;
    int64_t n = 0;
    assert_int_equal(ace_codes_parse(text, 1296, &codes, &n, &err), ACESTEP_OK);
    assert_int_equal(n, golden_elements(golden_tensor(&g, "in.audio_codes")));
    for (int64_t i = 0; i < n; i++) {
        assert_int_equal(codes[i], wanted[i]);
    }
    char *again = ace_codes_format(codes, n);
    assert_string_equal(again, text);
    ace_free(again);
    ace_free(codes);
    free(wanted);
    golden_close(&g);
}

static void failing_memory_is_reported(void **state)
{
    (void)state;
    ace_prompt_input in = plain_input();
    in.task = ACE_TASK_COMPLETE;
    in.track_classes = "drums,bass";
    uint64_t live = ace_memory_live();
    uint64_t n = 1;
    for (bool completed = false; !completed; n++) {
        ace_error err = {0};
        char *text = NULL;
        char *lyrics = NULL;
        int32_t *codes = NULL;
        int64_t n_codes = 0;
        ace_memory_fail_at(n);
        ace_status status = ace_prompt_text(&in, &text, &err);
        if (status == ACESTEP_OK) {
            status = ace_prompt_lyrics(&in, &lyrics, &err);
        }
        if (status == ACESTEP_OK) {
            status = ace_codes_parse("1,2,3", 4, &codes, &n_codes, &err);
        }
        ace_memory_fail_at(0);
        completed = status == ACESTEP_OK;
        assert_true(completed || status == ACESTEP_MEMORY);
        ace_free(text);
        ace_free(lyrics);
        ace_free(codes);
        assert_int_equal(ace_memory_live(), live);
    }
    assert_true(n > 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recorded_prompts_and_their_ids),
        cmocka_unit_test(nothing_known_is_not_available),
        cmocka_unit_test(duration_is_cut_to_whole_seconds),
        cmocka_unit_test(instructions_follow_the_task),
        cmocka_unit_test(tasks_have_names),
        cmocka_unit_test(a_finished_prompt_is_reduced_to_its_caption),
        cmocka_unit_test(keys_have_one_spelling),
        cmocka_unit_test(signatures_and_languages_are_checked),
        cmocka_unit_test(codes_have_three_spellings),
        cmocka_unit_test(recorded_codes_are_read_and_written),
        cmocka_unit_test(failing_memory_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
