/* Records of jobs in the words of /query_result, and chat messages as requests. */
#include "acestep.h"
#include "base/memory.h"
#include "server/compat_base64.h"
#include "server/reference_messages.h"
#include "server/reference_result.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static json_t *parsed(const char *text)
{
    json_error_t where;
    json_t *value = json_loads(text, 0, &where);
    if (value == NULL) {
        print_error("%s: %s\n", text, where.text);
    }
    assert_non_null(value);
    return value;
}

/* The entry, and what its result holds when it is read as JSON. */
static json_t *entry_of(const char *record, json_t **result)
{
    json_t *r = record != NULL ? parsed(record) : NULL;
    json_t *entry = ace_reference_entry("j_1", r, NULL);
    const char *text = ace_compat_string(entry, "result");
    *result = parsed(text);
    assert_true(json_is_array(*result));
    json_decref(r);
    return entry;
}

static void is(const json_t *object, const char *key, const char *expected)
{
    char *got =
        json_dumps(json_object_get(object, key), JSON_ENCODE_ANY | JSON_COMPACT | JSON_SORT_KEYS);
    if (got == NULL || strcmp(got, expected) != 0) {
        print_error("%s is %s, not %s\n", key, got != NULL ? got : "missing", expected);
        fail();
    }
    acestep_free(got);
}

static const char done[] =
    "{\"id\": \"j_1\", \"kind\": \"song\", \"status\": \"done\", \"created\": 5.5, \"started\": 6, "
    "\"finished\": 8, \"params\": {\"caption\": \"mine\", \"lyrics\": \"la\", \"bpm\": 90, "
    "\"acestep\": {\"warnings\": [{\"field\": \"bpm\"}]}}, \"plan\": {\"lm_model\": \"lm\", "
    "\"device\": \"cpu\"}, \"request\": {\"model\": \"turbo\"}, \"warnings\": [{\"field\": "
    "\"x\"}], "
    "\"progress\": {}, \"items\": [{\"index\": 0, \"seed\": 7, \"seconds\": 10.0, \"format\": "
    "\"mp3\", "
    "\"caption\": \"better\", \"keyscale\": \"C major\"}, {\"index\": 1, \"seed\": 8, \"seconds\": "
    "10.0, "
    "\"format\": \"mp3\"}]}";

static void finished_songs_have_every_key(void **state)
{
    (void)state;
    json_t *result = NULL;
    json_t *entry = entry_of(done, &result);
    is(entry, "task_id", "\"j_1\"");
    is(entry, "status", "1");
    assert_int_equal(json_array_size(result), 2);
    json_t *song = json_array_get(result, 0);
    is(song, "file", "\"/v1/audio?path=j_1%2F0.mp3\"");
    is(song, "url", "\"/v1/audio?path=j_1%2F0.mp3\"");
    is(song, "wave", "\"\"");
    is(song, "status", "1");
    is(song, "create_time", "5");
    is(song, "env", "\"development\"");
    is(song, "prompt", "\"better\"");
    is(song, "caption", "\"better\"");
    is(song, "lyrics", "\"la\"");
    is(song, "metas",
       "{\"bpm\":90,\"duration\":10.0,\"genres\":\"N/A\",\"keyscale\":\"C "
       "major\",\"lyrics\":\"la\","
       "\"prompt\":\"mine\",\"timesignature\":\"N/A\"}");
    is(song, "seed", "7");
    is(song, "seed_value", "\"7,8\"");
    is(song, "lm_model", "\"lm\"");
    is(song, "dit_model", "\"turbo\"");
    is(song, "progress", "1.0");
    is(song, "stage", "\"succeeded\"");
    is(song, "bpm", "90");
    is(song, "vocal_language", "\"N/A\"");
    is(song, "warnings", "[{\"field\":\"bpm\"},{\"field\":\"x\"}]");
    assert_non_null(json_object_get(song, "generation_info"));
    is(json_array_get(result, 1), "file", "\"/v1/audio?path=j_1%2F1.mp3\"");
    is(json_array_get(result, 1), "prompt", "\"mine\"");
    json_decref(result);
    json_decref(entry);
}

static void others_tell_where_they_stand(void **state)
{
    (void)state;
    static const struct {
        const char *record, *status, *stage, *progress, *text;
    } rows[] = {
        {"{\"status\": \"queued\", \"kind\": \"song\", \"queue_position\": 3, \"progress\": {}}",
         "0", "\"queued\"", "0.0", "\"queued, position 3\""},
        {"{\"status\": \"running\", \"kind\": \"song\", \"progress\": {\"stage\": \"diffusion\", "
         "\"whole\": 0.5}}",
         "0", "\"diffusion\"", "0.5", "\"diffusion 50%\""},
        {"{\"status\": \"failed\", \"kind\": \"song\", \"error\": {\"message\": \"no\"}}", "2",
         "\"failed\"", "0.0", "\"failed\""},
        {"{\"status\": \"cancelled\", \"kind\": \"song\", \"error\": null}", "2", "\"cancelled\"",
         "0.0", "\"cancelled\""}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        json_t *result = NULL;
        json_t *entry = entry_of(rows[i].record, &result);
        is(entry, "status", rows[i].status);
        is(entry, "progress_text", rows[i].text);
        is(json_array_get(result, 0), "status", rows[i].status);
        is(json_array_get(result, 0), "stage", rows[i].stage);
        is(json_array_get(result, 0), "progress", rows[i].progress);
        is(json_array_get(result, 0), "file", "\"\"");
        if (i >= 2) {
            is(json_array_get(result, 0), "error", i == 2 ? "\"no\"" : "\"cancelled\"");
        }
        json_decref(result);
        json_decref(entry);
    }
}

static void an_unknown_task_is_over(void **state)
{
    (void)state;
    json_t *result = NULL;
    json_t *entry = entry_of(NULL, &result);
    is(entry, "status", "2");
    is(entry, "error", "\"unknown task\"");
    assert_int_equal(json_array_size(result), 0);
    json_decref(result);
    json_decref(entry);
}

static void what_was_heard_has_its_own_shape(void **state)
{
    (void)state;
    json_t *result = NULL;
    json_t *entry =
        entry_of("{\"status\": \"done\", \"kind\": \"understand\", \"params\": {\"acestep\": "
                 "{\"asked\": {\"codes_only\": true}, \"warnings\": []}}, \"words\": "
                 "{\"caption\": \"c\", \"bpm\": 100, \"audio_codes\": \"1,2\", \"acestep\": "
                 "{\"genres\": \"rock\"}}}",
                 &result);
    json_t *heard = json_array_get(result, 0);
    is(heard, "status_message", "\"Audio Codes Extraction Success\"");
    is(heard, "bpm", "100");
    is(heard, "genre", "\"rock\"");
    is(heard, "prompt", "\"c\"");
    is(heard, "language", "\"N/A\"");
    is(heard, "audio_codes", "\"1,2\"");
    is(heard, "audio_paths", "[]");
    json_decref(result);
    json_decref(entry);
}

/* ---- chat
 * ---------------------------------------------------------------------------------------- */

static void reads_as(const char *body, const char *task)
{
    ace_chat_request chat;
    ace_error err = {.code = ACESTEP_OK};
    json_t *b = parsed(body);
    if (ace_chat_read(b, &chat, &err) != ACESTEP_OK) {
        print_error("%s: %s\n", body, err.message);
        fail();
    }
    char *got = json_dumps(chat.task, JSON_COMPACT | JSON_SORT_KEYS);
    if (strcmp(got, task) != 0) {
        print_error("%s\n  is %s\n not %s\n", body, got, task);
        fail();
    }
    acestep_free(got);
    ace_chat_request_free(&chat);
    json_decref(b);
}

#define SAYS(text) "\"messages\": [{\"role\": \"user\", \"content\": \"" text "\"}]"

static void messages_become_requests(void **state)
{
    (void)state;
    reads_as("{" SAYS("calm piano") "}", "{\"prompt\":\"calm piano\"}");
    reads_as("{" SAYS("<prompt> calm </prompt><LYRICS>la</lyrics>") "}",
             "{\"lyrics\":\"la\",\"prompt\":\"calm\"}");
    reads_as("{" SAYS("[Verse 1]\\nla la") "}", "{\"lyrics\":\"[Verse 1]\\nla la\"}");
    reads_as("{" SAYS("a\\nb\\nc\\nd") "}", "{\"lyrics\":\"a\\nb\\nc\\nd\"}");
    reads_as("{" SAYS("a\\nb\\nc") "}", "{\"prompt\":\"a\\nb\\nc\"}");
    reads_as("{\"lyrics\": \"oh\", " SAYS("[verse] pop") "}",
             "{\"lyrics\":\"oh\",\"prompt\":\"[verse] pop\"}");
    reads_as("{\"sample_mode\": true, " SAYS("a song") "}",
             "{\"sample_mode\":true,\"sample_query\":\"a song\"}");
    reads_as(
        "{\"temperature\": 0.5, \"top_p\": 1, \"max_tokens\": 9, \"stream\": true, " SAYS("x") "}",
        "{\"lm_temperature\":0.5,\"lm_top_p\":1,\"prompt\":\"x\"}");
    reads_as(
        "{\"audio_config\": {\"duration\": 20, \"format\": \"wav\", \"instrumental\": true}, " SAYS(
            "x") "}",
        "{\"audio_format\":\"wav\",\"duration\":20,\"instrumental\":true,\"lyrics\":\"[inst]\","
        "\"prompt\":\"x\"}");
    /* the last one of the user, its parts together */
    reads_as(
        "{\"messages\": [{\"role\": \"user\", \"content\": \"old\"}, {\"role\": \"assistant\", "
        "\"content\": \"no\"}, {\"role\": \"user\", \"content\": [{\"type\": \"text\", \"text\": "
        "\"new\"}, {\"type\": \"text\", \"text\": \"song\"}]}, {\"role\": \"system\", \"content\": "
        "\"no\"}]}",
        "{\"prompt\":\"new\\nsong\"}");
}

static void audio_finds_its_place(void **state)
{
    (void)state;
    static const struct {
        const char *task, *first, *second;
    } rows[] = {{"text2music", "reference_audio_path", NULL},
                {"music_continuation", "reference_audio_path", NULL},
                {"cover", "src_audio_path", "reference_audio_path"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char body[600];
        ace_chat_request chat;
        (void)snprintf(
            body, sizeof body,
            "{\"task_type\": \"%s\", \"messages\": [{\"role\": \"user\", \"content\": [{\"type\": "
            "\"text\", \"text\": \"x\"}, {\"type\": \"input_audio\", \"input_audio\": {\"data\": "
            "\"AAAA\"}}, {\"type\": \"input_audio\", \"input_audio\": {\"data\": \"BBBB\"}}]}]}",
            rows[i].task);
        json_t *b = parsed(body);
        assert_int_equal(ace_chat_read(b, &chat, NULL), ACESTEP_OK);
        assert_string_equal(chat.audio_field[0], rows[i].first);
        assert_string_equal(ace_compat_string(chat.audio[0], "data"), "AAAA");
        if (rows[i].second != NULL) {
            assert_string_equal(chat.audio_field[1], rows[i].second);
        } else {
            assert_null(chat.audio[1]);
        }
        ace_chat_request_free(&chat);
        json_decref(b);
    }
}

static void a_chat_without_words_is_refused(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "{}",
        "{\"messages\": []}",
        "{\"messages\": 5}",
        "{" SAYS("  \\n") "}",
        "{\"messages\": [{\"role\": \"system\", \"content\": \"x\"}]}",
        "{\"messages\": [{\"role\": \"user\", \"content\": {\"text\": \"x\"}}]}"};
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        ace_chat_request chat;
        ace_error err = {.code = ACESTEP_OK};
        json_t *b = parsed(bodies[i]);
        assert_int_equal(ace_chat_read(b, &chat, &err), ACESTEP_ARGUMENT);
        assert_non_null(strstr(err.message, "messages"));
        ace_chat_request_free(&chat);
        json_decref(b);
    }
}

static void base64_is_read(void **state)
{
    (void)state;
    static const struct {
        const char *text, *bytes;
    } rows[] = {{"aGVsbG8=", "hello"},
                {"data:audio/mpeg;base64,aGVs\\nbG8=", NULL},
                {"data:audio/mpeg;base64,aGVs\nbG8=", "hello"},
                {"", NULL},
                {"aGVsbG8", NULL},
                {"*", NULL}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        void *bytes = NULL;
        size_t n = 0;
        ace_status status = ace_base64_read(rows[i].text, &bytes, &n, NULL);
        assert_int_equal(status, rows[i].bytes != NULL ? ACESTEP_OK : ACESTEP_ARGUMENT);
        if (rows[i].bytes != NULL) {
            assert_int_equal(n, strlen(rows[i].bytes));
            assert_memory_equal(bytes, rows[i].bytes, n);
        }
        ace_free(bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finished_songs_have_every_key),
        cmocka_unit_test(others_tell_where_they_stand),
        cmocka_unit_test(an_unknown_task_is_over),
        cmocka_unit_test(what_was_heard_has_its_own_shape),
        cmocka_unit_test(messages_become_requests),
        cmocka_unit_test(audio_finds_its_place),
        cmocka_unit_test(a_chat_without_words_is_refused),
        cmocka_unit_test(base64_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
