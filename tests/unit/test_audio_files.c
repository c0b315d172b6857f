/* Waveforms, settings and other formats of audio files, through the public API. */
#include "acestep.h"
#include "audio/write.h"
#include "base/memory.h"
#include "support/temporary_folder.h"

#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static char folder[TEMPORARY_FOLDER_BYTES];

static const char *path_of(const char *name)
{
    static char path[2][128];
    static int turn;
    turn = 1 - turn;
    (void)snprintf(path[turn], sizeof path[turn], "%s/%s", folder, name);
    return path[turn];
}

/* A second, silent in its first half, then ±0.5 on one channel. */
static void write_recording(const char *name, const char *settings)
{
    ace_audio audio;
    ace_audio_format format;
    assert_int_equal(ace_audio_create(48000, 2, 48000, &audio, NULL), ACESTEP_OK);
    for (int i = 24000; i < 48000; i++) {
        audio.samples[2 * i] = i % 2 == 0 ? 0.5f : -0.25f;
    }
    ace_tag tags[] = {{"TITLE", "A song"}, {"ACESTEP_PARAMS", settings}};
    assert_int_equal(ace_audio_format_for_path(name, &format, NULL), ACESTEP_OK);
    assert_int_equal(ace_audio_write(path_of(name), &audio, &format, tags, 2, NULL), ACESTEP_OK);
    ace_audio_free(&audio);
}

static double number(json_t *array, size_t i)
{
    return json_number_value(json_array_get(array, i));
}

static void peaks_are_the_extremes(void **state)
{
    (void)state;
    acestep_error err;
    write_recording("a.wav", NULL);
    char *text = acestep_audio_peaks_json(path_of("a.wav"), 4, &err);
    assert_non_null(text);
    json_t *root = json_loads(text, 0, NULL);
    json_t *low = json_object_get(root, "minimum");
    json_t *high = json_object_get(root, "maximum");
    assert_int_equal(json_array_size(low), 4);
    assert_true(number(high, 0) < 0.001 && number(high, 1) < 0.001);
    assert_true(fabs(number(high, 2) - 0.5) < 0.001 && fabs(number(low, 3) + 0.25) < 0.001);
    assert_true(fabs(json_number_value(json_object_get(root, "seconds")) - 1) < 1e-6);
    json_decref(root);
    acestep_free(text);
    assert_null(acestep_audio_peaks_json(path_of("none"), 4, &err));
    assert_int_equal(err.code, ACESTEP_IO);
    assert_null(acestep_audio_peaks_json(path_of("a.wav"), 0, &err));
    assert_int_equal(err.code, ACESTEP_ARGUMENT);
}

static void settings_come_from_our_songs_only(void **state)
{
    (void)state;
    static const char settings[] = "{\"caption\":\"jazz\",\"duration\":12,\"acestep\":{}}";
    acestep_error err;
    write_recording("b.flac", settings);
    char *text = acestep_audio_settings_json(path_of("b.flac"), &err);
    assert_non_null(text);
    assert_string_equal(text, settings);
    acestep_free(text);
    write_recording("c.flac", "{\"caption\":\"jazz\",\"unheard_of\":1}");
    assert_null(acestep_audio_settings_json(path_of("c.flac"), &err));
    assert_int_equal(err.code, ACESTEP_OK);

    assert_int_equal(acestep_audio_convert(path_of("b.flac"), "mp3", path_of("b.mp3"), &err),
                     ACESTEP_OK);
    text = acestep_audio_settings_json(path_of("b.mp3"), &err);
    assert_non_null(text);
    assert_string_equal(text, settings);
    acestep_free(text);
    assert_int_equal(acestep_audio_convert(path_of("b.flac"), "exe", path_of("b.exe"), &err),
                     ACESTEP_ARGUMENT);
}

static void words_are_those_of_the_options(void **state)
{
    (void)state;
    acestep_request *request;
    acestep_error err;
    assert_int_equal(acestep_request_create(&request, &err), ACESTEP_OK);
    char *text = acestep_vocabulary_json();
    json_t *root = json_loads(text, 0, NULL);
    static const char *const lists[][2] = {
        {"tasks", "task_type"}, {"languages", "vocal_language"}, {"keys", "keyscale"}};
    for (size_t i = 0; i < 3; i++) {
        size_t index;
        json_t *word;
        json_array_foreach (json_object_get(root, lists[i][0]), index, word) {
            assert_int_equal(
                acestep_request_set(request, lists[i][1], json_string_value(word), &err),
                ACESTEP_OK);
        }
        assert_true(json_array_size(json_object_get(root, lists[i][0])) > 5);
    }
    json_decref(root);
    acestep_free(text);
    acestep_request_free(request);
}

static int make_folder(void **state)
{
    (void)state;
    temporary_folder_make(folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    temporary_folder_remove(folder);
    return ace_memory_live() == 0 ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(peaks_are_the_extremes),
                                       cmocka_unit_test(settings_come_from_our_songs_only),
                                       cmocka_unit_test(words_are_those_of_the_options)};
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
