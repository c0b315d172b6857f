#include "audio/encode.h"
#include "audio/memory_io.h"
#include "audio/tag_blocks.h"
#include "audio/tag_read.h"
#include "audio_signal.h"
#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const ace_audio_kind kinds[] = {ACE_AUDIO_FLAC,  ACE_AUDIO_FLAC16, ACE_AUDIO_WAV16,
                                       ACE_AUDIO_WAV24, ACE_AUDIO_WAV32,  ACE_AUDIO_MP3,
                                       ACE_AUDIO_OPUS,  ACE_AUDIO_VORBIS};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

static const ace_tag song_tags[] = {
    {"TITLE", "שיר של לילה"},
    {"ARTIST", "音楽家"},
    {"DESCRIPTION", "warm synth pop 🎹, female voice"},
    {"LYRICS", "[verse]\nfirst line\nzweite Zeile: größer\n"},
    {"SYNCEDLYRICS", "[00:01.50]first line\n[01:02.345]zweite Zeile\n[ar:nobody]\n[x"},
    {"BPM", "120"},
    {"INITIALKEY", "C# minor"},
    {"LANGUAGE", "he"},
    {"DATE", "2026"},
    {"ENCODER", "acestep 0.1.0"},
    {"ACESTEP_SEED", "4294967295"},
    {"ACESTEP_PARAMS", "{\"caption\":\"a = b\",\"steps\":8}"},
    {"ACESTEP_GENERATED", "1"},
    {"ACESTEP_EMPTY", ""},
};
enum { SONG_TAGS = sizeof song_tags / sizeof song_tags[0] };

static ace_bytes encoded(ace_audio_kind kind, const ace_tag *tags, size_t n_tags)
{
    ace_audio audio = signal_sine(4800, 2, 48000, 440, 0.5);
    ace_audio_format format = ace_audio_format_default(kind);
    ace_bytes bytes = {0};
    assert_int_equal(ace_audio_encode(&audio, &format, tags, n_tags, &bytes, NULL), ACESTEP_OK);
    ace_audio_free(&audio);
    return bytes;
}

static void read_tags(const ace_bytes *bytes, ace_tag_list *list)
{
    assert_int_equal(ace_tags_read_memory(bytes->data, bytes->size, list, NULL), ACESTEP_OK);
}

static const char *value_of(const ace_tag_list *list, const char *key)
{
    return ace_tags_find(list->tags, list->count, key);
}

static bool has_id3(ace_audio_kind kind)
{
    return kind == ACE_AUDIO_MP3 || strcmp(ace_audio_format_extension(kind), "wav") == 0;
}

static void assert_read_back(ace_audio_kind kind, const ace_tag *tag, const char *got)
{
    const char *expected = tag->value;
    if (expected[0] == '\0' || (has_id3(kind) && strcmp(tag->key, "SYNCEDLYRICS") == 0)) {
        assert_null(got); /* timed lyrics become a frame of their own kind, tested below */
        return;
    }
    if (has_id3(kind) && strcmp(tag->key, "INITIALKEY") == 0) {
        expected = "C#m";
    }
    assert_non_null(got);
    assert_string_equal(got, expected);
}

static void test_read_back(void **unused)
{
    (void)unused;
    for (int k = 0; k < KINDS; k++) {
        ace_bytes bytes = encoded(kinds[k], song_tags, SONG_TAGS);
        ace_tag_list list;
        read_tags(&bytes, &list);
        for (int t = 0; t < SONG_TAGS; t++) {
            assert_read_back(kinds[k], &song_tags[t], value_of(&list, song_tags[t].key));
        }
        ace_tag_list_free(&list);
        ace_bytes_free(&bytes);
    }
}

/* libsndfile as an independent reader of the tags it knows. */
static void test_another_reader(void **unused)
{
    (void)unused;
    for (int k = 0; k < KINDS; k++) {
        ace_bytes bytes = encoded(kinds[k], song_tags, SONG_TAGS);
        ace_memory_view view = {bytes.data, (sf_count_t)bytes.size, 0};
        SF_INFO info;
        SNDFILE *file = ace_memory_view_open(&view, &info);
        assert_non_null(file);
        assert_string_equal(sf_get_string(file, SF_STR_TITLE), song_tags[0].value);
        assert_string_equal(sf_get_string(file, SF_STR_ARTIST), song_tags[1].value);
        sf_close(file);
        ace_bytes_free(&bytes);
    }
}

static const unsigned char *find(const ace_bytes *bytes, const void *what, size_t size)
{
    for (size_t i = 0; i + size <= bytes->size; i++) {
        if (memcmp(bytes->data + i, what, size) == 0) {
            return bytes->data + i;
        }
    }
    return NULL;
}

static void test_id3_frames(void **unused)
{
    (void)unused;
    ace_bytes bytes = {0};
    ace_id3_append(&bytes, song_tags, SONG_TAGS);
    assert_memory_equal(bytes.data, "ID3\4\0\0", 6);
    assert_non_null(find(&bytes, "TLAN\0\0\0\4\0\0\3heb", 14));
    assert_non_null(find(&bytes, "TKEY\0\0\0\4\0\0\3C#m", 14));
    assert_non_null(find(&bytes, "\3engcaption\0warm", 16));
    /* 1500 ms and 62345 ms */
    static const char lines[] = "\3heb\2\1\0first line\0\0\0\5\xdczweite Zeile\0\0\0\xf3\x89";
    const unsigned char *synced = find(&bytes, "SYLT", 4);
    assert_non_null(synced);
    assert_int_equal(ace_load_be(synced + 4, 4), sizeof lines - 1); /* below 128: plain */
    assert_memory_equal(synced + 10, lines, sizeof lines - 1);
    ace_bytes_free(&bytes);
}

static void test_musical_keys(void **unused)
{
    (void)unused;
    static const char *const keys[][2] = {{"A minor", "Am"},   {"C♯ major", "C#"},
                                          {"B♭ minor", "Bbm"}, {"Bb", "Bb"},
                                          {"F#m", "F#m"},      {"G", "G"}};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        ace_tag tag = {"INITIALKEY", keys[i][0]};
        ace_bytes bytes = {0};
        ace_id3_append(&bytes, &tag, 1);
        assert_int_equal(bytes.size, 21 + strlen(keys[i][1]));
        assert_memory_equal(bytes.data + 21, keys[i][1], strlen(keys[i][1]));
        ace_bytes_free(&bytes);
    }
}

static void test_riff_info(void **unused)
{
    (void)unused;
    static const ace_tag some[] = {{"title", "abc"}, {"BPM", "90"}, {"ARTIST", "xy"}};
    ace_bytes bytes = {0};
    ace_riff_info_append(&bytes, some, 3);
    static const char expected[] = "LIST\x1c\0\0\0INFOINAM\4\0\0\0abc\0IART\3\0\0\0xy\0";
    assert_int_equal(bytes.size, sizeof expected);
    assert_memory_equal(bytes.data, expected, sizeof expected);
    bytes.size = 0;
    ace_riff_info_append(&bytes, &some[1], 1);
    assert_int_equal(bytes.size, 0);
    ace_bytes_free(&bytes);
}

static void test_no_tags_leave_no_trace(void **unused)
{
    (void)unused;
    for (int k = 0; k < KINDS; k++) {
        ace_bytes bytes = encoded(kinds[k], NULL, 0);
        ace_tag_list list;
        read_tags(&bytes, &list);
        assert_int_equal(list.count, 0);
        assert_null(find(&bytes, "ID3", 3));
        if (kinds[k] == ACE_AUDIO_WAV16) {
            assert_int_equal(bytes.size, 44 + 4800 * 4);
        }
        ace_tag_list_free(&list);
        ace_bytes_free(&bytes);
    }
}

/* 60 kB fill more than one Ogg page; the lengths pass a multiple of 255, where a packet's lacing
 * ends in a zero. */
static void test_long_lyrics(void **unused)
{
    (void)unused;
    static char lyrics[60001];
    for (size_t i = 0; i + 1 < sizeof lyrics; i++) {
        lyrics[i] = "la la la\n"[i % 9];
    }
    const ace_tag tags[] = {{"LYRICS", lyrics + 1}, {"TITLE", "long"}};
    for (int start = 0; start < 255; start += 17) {
        const ace_tag shifted[] = {{"LYRICS", lyrics + start}, {"TITLE", "long"}};
        ace_bytes bytes = encoded(ACE_AUDIO_VORBIS, shifted, 2);
        SF_INFO info;
        ace_memory_view view = {bytes.data, (sf_count_t)bytes.size, 0};
        SNDFILE *file = ace_memory_view_open(&view, &info);
        assert_non_null(file);
        assert_int_equal(info.frames, 4800);
        assert_string_equal(sf_get_string(file, SF_STR_TITLE), "long");
        sf_close(file);
        ace_bytes_free(&bytes);
    }
    for (int k = 0; k < KINDS; k++) {
        ace_bytes bytes = encoded(kinds[k], tags, 2);
        ace_tag_list list;
        read_tags(&bytes, &list);
        assert_string_equal(value_of(&list, "LYRICS"), lyrics + 1);
        assert_string_equal(value_of(&list, "TITLE"), "long");
        ace_tag_list_free(&list);
        ace_bytes_free(&bytes);
    }
}

static void test_bad_tags_are_refused(void **unused)
{
    (void)unused;
    static const ace_tag bad[] = {
        {"A=B", "x"}, {"", "x"}, {"T\xc3\xa4g", "x"}, {NULL, "x"}, {"TITLE", "\xff\xfe"}};
    ace_audio audio = signal_sine(100, 2, 48000, 440, 0.5);
    ace_audio_format format = ace_audio_format_default(ACE_AUDIO_FLAC);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ace_bytes bytes = {0};
        ace_error err = {0};
        assert_int_equal(ace_audio_encode(&audio, &format, &bad[i], 1, &bytes, &err),
                         ACESTEP_ARGUMENT);
        assert_non_null(strstr(err.message, "tag"));
        assert_null(bytes.data);
    }
    ace_audio_free(&audio);
}

/* ID3v2.3 by other programs: Latin-1 and UTF-16, sizes of 8 bits a byte. */
static void test_foreign_id3(void **unused)
{
    (void)unused;
    static const char tag[] = "ID3\3\0\0\0\0\0\x4f"
                              "TIT2\0\0\0\5\0\0\0Caf\xe9"
                              "TPE1\0\0\0\x0b\0\0\1\xff\xfe\x3d\xd8\x00\xde"
                              "A\0B\0"
                              "TKEY\0\0\0\3\0\0\0Am"
                              "COMM\0\0\0\x09\0\0\0engx\0abc";
    ace_tag_list list;
    assert_int_equal(ace_tags_read_memory(tag, sizeof tag - 1, &list, NULL), ACESTEP_OK);
    assert_string_equal(value_of(&list, "TITLE"), "Café");
    assert_string_equal(value_of(&list, "ARTIST"), "😀AB");
    assert_string_equal(value_of(&list, "INITIALKEY"), "Am");
    assert_string_equal(value_of(&list, "COMMENT"), "abc");
    ace_tag_list_free(&list);
}

static void test_cut_files_do_no_harm(void **unused)
{
    (void)unused;
    uint64_t live = ace_memory_live();
    for (int k = 0; k < KINDS; k++) {
        ace_bytes bytes = encoded(kinds[k], song_tags, SONG_TAGS);
        size_t step = bytes.size > 3000 ? bytes.size / 1500 : 1;
        for (size_t size = 0; size < bytes.size; size += step) {
            ace_tag_list list;
            assert_int_equal(ace_tags_read_memory(bytes.data, size, &list, NULL), ACESTEP_OK);
            ace_tag_list_free(&list);
        }
        ace_bytes_free(&bytes);
    }
    assert_int_equal(ace_memory_live(), live);
}

static void test_memory_failures(void **unused)
{
    (void)unused;
    for (int k = 0; k < KINDS; k++) {
        ace_bytes bytes = encoded(kinds[k], song_tags, SONG_TAGS);
        uint64_t live = ace_memory_live();
        ace_status status = ACESTEP_MEMORY;
        int failures = 0;
        for (uint64_t n = 1; status == ACESTEP_MEMORY; n++) {
            ace_tag_list list;
            ace_memory_fail_at(n);
            status = ace_tags_read_memory(bytes.data, bytes.size, &list, NULL);
            failures += status == ACESTEP_MEMORY;
            ace_tag_list_free(&list);
            assert_int_equal(ace_memory_live(), live);
        }
        ace_memory_fail_at(0);
        assert_int_equal(status, ACESTEP_OK);
        assert_true(failures >= 10);
        ace_bytes_free(&bytes);
    }
}

static void test_from_a_file(void **unused)
{
    (void)unused;
    char path[] = "/tmp/acestep-test-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    ace_audio audio = signal_sine(100, 2, 48000, 440, 0.5);
    ace_audio_format format = ace_audio_format_default(ACE_AUDIO_OPUS);
    assert_int_equal(ace_audio_write(path, &audio, &format, song_tags, SONG_TAGS, NULL),
                     ACESTEP_OK);
    ace_tag_list list;
    assert_int_equal(ace_tags_read(path, &list, NULL), ACESTEP_OK);
    assert_string_equal(value_of(&list, "BPM"), "120");
    ace_tag_list_free(&list);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(ace_tags_read(path, &list, NULL), ACESTEP_IO);
    assert_int_equal(list.count, 0);
    ace_audio_free(&audio);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read_back),       cmocka_unit_test(test_another_reader),
        cmocka_unit_test(test_id3_frames),      cmocka_unit_test(test_musical_keys),
        cmocka_unit_test(test_riff_info),       cmocka_unit_test(test_no_tags_leave_no_trace),
        cmocka_unit_test(test_long_lyrics),     cmocka_unit_test(test_bad_tags_are_refused),
        cmocka_unit_test(test_foreign_id3),     cmocka_unit_test(test_cut_files_do_no_harm),
        cmocka_unit_test(test_memory_failures), cmocka_unit_test(test_from_a_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
