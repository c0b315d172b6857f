#define _DEFAULT_SOURCE /* mkstemps */
#include "audio/read.h"
#include "audio/write.h"
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

static ace_bytes encoded(const ace_audio *audio, ace_audio_kind kind)
{
    ace_audio_format format = ace_audio_format_default(kind);
    format.dither = false;
    ace_bytes bytes = {0};
    assert_int_equal(ace_audio_encode(audio, &format, NULL, 0, &bytes, NULL), ACESTEP_OK);
    return bytes;
}

/* A WAV file of 32-bit floats with any number of channels. */
static ace_bytes float_wav(const ace_audio *audio)
{
    ace_bytes bytes = {0};
    size_t data = (size_t)(audio->frames * audio->channels) * sizeof(float);
    ace_bytes_append(&bytes, "RIFF", 4);
    ace_bytes_append_le(&bytes, 36 + data, 4);
    ace_bytes_append(&bytes, "WAVEfmt \x10\0\0\0\3\0", 14);
    ace_bytes_append_le(&bytes, (uint64_t)audio->channels, 2);
    ace_bytes_append_le(&bytes, (uint64_t)audio->rate, 4);
    ace_bytes_append_le(&bytes, (uint64_t)(audio->rate * audio->channels * 4), 4);
    ace_bytes_append_le(&bytes, (uint64_t)(audio->channels * 4), 2);
    ace_bytes_append_le(&bytes, 32, 2);
    ace_bytes_append(&bytes, "data", 4);
    ace_bytes_append_le(&bytes, data, 4);
    ace_bytes_append(&bytes, audio->samples, data);
    assert_false(bytes.failed);
    return bytes;
}

static void assert_refused(const ace_bytes *bytes, const ace_audio_limits *limits,
                           const char *reason)
{
    ace_audio out;
    ace_error err = {0};
    uint64_t live = ace_memory_live();
    assert_int_equal(
        ace_audio_read_memory(bytes->data, bytes->size, "in.wav", limits, &out, NULL, &err),
        ACESTEP_AUDIO);
    assert_null(out.samples);
    assert_ptr_equal(strstr(err.message, "in.wav: "), err.message);
    if (strstr(err.message, reason) == NULL) {
        print_error("%s\n", err.message);
    }
    assert_non_null(strstr(err.message, reason));
    assert_null(strchr(err.message, '\n'));
    assert_int_equal(ace_memory_live(), live);
}

static void test_every_format(void **unused)
{
    (void)unused;
    static const struct {
        ace_audio_kind kind;
        const char *name;
        double floor;
    } cases[] = {{ACE_AUDIO_FLAC, "FLAC", 50},        {ACE_AUDIO_WAV16, "WAV", 50},
                 {ACE_AUDIO_WAV24, "WAV", 50},        {ACE_AUDIO_WAV32, "WAV", 50},
                 {ACE_AUDIO_MP3, "MP3", 50},          {ACE_AUDIO_OPUS, "Ogg Opus", 40},
                 {ACE_AUDIO_VORBIS, "Ogg Vorbis", 45}};
    ace_audio in = signal_sine(44100, 2, 44100, 1000, 0.5);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ace_bytes bytes = encoded(&in, cases[i].kind);
        ace_audio out;
        ace_audio_source source;
        assert_int_equal(
            ace_audio_read_memory(bytes.data, bytes.size, "x", NULL, &out, &source, NULL),
            ACESTEP_OK);
        assert_string_equal(source.format, cases[i].name);
        assert_int_equal(source.repairs, 0);
        assert_int_equal(source.rate, cases[i].kind == ACE_AUDIO_OPUS ? 48000 : 44100);
        assert_int_equal(out.frames, 48000);
        assert_int_equal(out.channels, 2);
        assert_int_equal(out.rate, 48000);
        assert_true(signal_snr(&out, 0, 1000, 4800) > cases[i].floor);
        assert_true(signal_snr(&out, 1, 1000, 4800) > cases[i].floor);
        ace_audio_free(&out);
        ace_bytes_free(&bytes);
    }
    ace_audio_free(&in);
}

static void test_channels(void **unused)
{
    (void)unused;
    for (int channels = 1; channels <= 9; channels++) {
        ace_audio in = signal_sine(5000, channels, 48000, 440, 0.5);
        ace_bytes bytes = float_wav(&in);
        if (channels == 9) {
            assert_refused(&bytes, NULL, "9 channels");
        } else {
            ace_audio out;
            ace_audio_source source;
            assert_int_equal(
                ace_audio_read_memory(bytes.data, bytes.size, "x", NULL, &out, &source, NULL),
                ACESTEP_OK);
            assert_int_equal(source.channels, channels);
            assert_int_equal(source.repairs, channels > 2 ? ACE_AUDIO_DROPPED : 0);
            assert_int_equal(out.frames, 5000);
            for (int64_t i = 0; i < 5000; i++) {
                int64_t right = channels > 1 ? 1 : 0;
                assert_true(out.samples[2 * i] == in.samples[i * channels]);
                assert_true(out.samples[2 * i + 1] == in.samples[i * channels + right]);
            }
            ace_audio_free(&out);
        }
        ace_bytes_free(&bytes);
        ace_audio_free(&in);
    }
}

static void test_samples_are_repaired(void **unused)
{
    (void)unused;
    static const float values[] = {NAN, INFINITY, 2.5f, -2.5f, 0.5f};
    ace_audio in = signal_sine(100, 1, 48000, 440, 0.0);
    memcpy(in.samples, values, sizeof values);
    ace_bytes bytes = float_wav(&in);
    ace_audio out;
    ace_audio_source source;
    assert_int_equal(ace_audio_read_memory(bytes.data, bytes.size, "x", NULL, &out, &source, NULL),
                     ACESTEP_OK);
    assert_int_equal(source.repairs, ACE_AUDIO_NOT_FINITE);
    static const float expected[] = {0, 0, 0, 0, 1, 1, -1, -1, 0.5f, 0.5f};
    assert_memory_equal(out.samples, expected, sizeof expected);
    char text[200];
    assert_true(ace_audio_repairs_text("song.wav", source.repairs, text, sizeof text));
    assert_string_equal(text, "song.wav: samples that are no numbers became 0");
    assert_false(ace_audio_repairs_text("song.wav", 0, text, sizeof text));
    assert_string_equal(text, "");
    ace_audio_free(&out);
    ace_bytes_free(&bytes);
    ace_audio_free(&in);
}

static void test_cut_files(void **unused)
{
    (void)unused;
    static const ace_audio_kind kinds[] = {ACE_AUDIO_WAV16, ACE_AUDIO_FLAC};
    ace_audio in = signal_sine(48000, 2, 48000, 440, 0.5);
    for (int k = 0; k < 2; k++) {
        ace_bytes bytes = encoded(&in, kinds[k]);
        ace_audio out;
        ace_audio_source source;
        ace_error err = {0};
        assert_int_equal(
            ace_audio_read_memory(bytes.data, bytes.size / 2, "x", NULL, &out, &source, &err),
            ACESTEP_OK);
        assert_int_equal(source.repairs, ACE_AUDIO_SHORT);
        assert_in_range(out.frames, 18000, 24000);
        assert_int_equal(source.frames, out.frames);
        ace_audio_free(&out);
        ace_bytes_free(&bytes);
    }
    ace_audio_free(&in);
}

/* A header's claim reserves nothing: 4 GB promised, 400 bytes held. */
static void test_claims_cost_nothing(void **unused)
{
    (void)unused;
    ace_audio in = signal_sine(100, 1, 44100, 440, 0.5);
    ace_bytes bytes = float_wav(&in);
    memcpy(bytes.data + 4, "\xf0\xff\xff\xef", 4);
    memcpy(bytes.data + 40, "\xf0\xff\xff\xef", 4);
    ace_audio out;
    ace_audio_source source;
    assert_int_equal(ace_audio_read_memory(bytes.data, bytes.size, "x", NULL, &out, &source, NULL),
                     ACESTEP_OK);
    assert_int_equal(source.frames, 100);
    assert_int_equal(source.repairs, ACE_AUDIO_SHORT);
    ace_audio_free(&out);
    ace_bytes_free(&bytes);
    ace_audio_free(&in);
}

static void test_limits(void **unused)
{
    (void)unused;
    ace_audio in = signal_sine(96000, 2, 48000, 440, 0.5);
    ace_bytes bytes = encoded(&in, ACE_AUDIO_FLAC);
    ace_audio_limits limits = {.max_seconds = 1.999};
    assert_refused(&bytes, &limits, "longer than 2 s");
    limits = (ace_audio_limits){.max_bytes = 1000};
    assert_refused(&bytes, &limits, "can be read");
    limits = (ace_audio_limits){.start = 2.0};
    assert_refused(&bytes, &limits, "ends before the start");
    limits = (ace_audio_limits){.start = -1.0};
    ace_audio out;
    assert_int_equal(ace_audio_read_memory(bytes.data, bytes.size, "x", &limits, &out, NULL, NULL),
                     ACESTEP_ARGUMENT);
    limits = (ace_audio_limits){.start = NAN};
    assert_int_equal(ace_audio_read_memory(bytes.data, bytes.size, "x", &limits, &out, NULL, NULL),
                     ACESTEP_ARGUMENT);
    limits = (ace_audio_limits){.max_seconds = 2.0};
    assert_int_equal(ace_audio_read_memory(bytes.data, bytes.size, "x", &limits, &out, NULL, NULL),
                     ACESTEP_OK);
    assert_int_equal(out.frames, 96000);
    ace_audio_free(&out);
    ace_bytes_free(&bytes);
    in.rate = 7000;
    bytes = float_wav(&in);
    assert_refused(&bytes, NULL, "7000 Hz");
    ace_bytes_free(&bytes);
    ace_audio_free(&in);
}

static void test_trim(void **unused)
{
    (void)unused;
    ace_audio in = signal_sine(96000, 2, 48000, 440, 0.5);
    ace_bytes bytes = float_wav(&in);
    ace_audio_limits limits = {.max_seconds = 1.0, .start = 0.3, .length = 0.5};
    ace_audio out;
    assert_int_equal(ace_audio_read_memory(bytes.data, bytes.size, "x", &limits, &out, NULL, NULL),
                     ACESTEP_OK);
    assert_int_equal(out.frames, 24000);
    assert_memory_equal(out.samples, in.samples + 2 * 14400, 48000 * sizeof(float));
    ace_audio_free(&out);
    ace_bytes_free(&bytes);
    ace_audio_free(&in);
}

static void test_what_is_no_audio(void **unused)
{
    (void)unused;
    ace_bytes bytes = {0};
    assert_refused(&bytes, NULL, "not an audio file");
    ace_bytes_append_text(&bytes, "Dear Sir or Madam, this is a letter, not a song.");
    assert_refused(&bytes, NULL, "FLAC, Ogg Vorbis");
    memcpy(bytes.data, "RIFF", 4);
    assert_refused(&bytes, NULL, "damaged");
    memcpy(bytes.data, "fLaC", 4);
    assert_refused(&bytes, NULL, "damaged");
    memcpy(bytes.data, "OggS", 4);
    assert_refused(&bytes, NULL, "damaged");
    ace_bytes_free(&bytes);
    ace_audio empty = {NULL, 0, 2, 48000};
    bytes = float_wav(&empty);
    assert_refused(&bytes, NULL, "no sound");
    ace_bytes_free(&bytes);
}

static void test_files_go_by_content(void **unused)
{
    (void)unused;
    char path[] = "/tmp/acestep-test-XXXXXX.mp3";
    int fd = mkstemps(path, 4);
    assert_true(fd >= 0);
    close(fd);
    ace_audio in = signal_sine(4800, 2, 48000, 440, 0.5);
    ace_audio_format format = ace_audio_format_default(ACE_AUDIO_FLAC);
    assert_int_equal(ace_audio_write(path, &in, &format, NULL, 0, NULL), ACESTEP_OK);
    ace_audio out;
    ace_audio_source source;
    ace_error err = {0};
    assert_int_equal(ace_audio_read(path, NULL, &out, &source, &err), ACESTEP_OK);
    assert_string_equal(source.format, "FLAC");
    assert_int_equal(out.frames, 4800);
    ace_audio_free(&out);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(ace_audio_read(path, NULL, &out, NULL, &err), ACESTEP_IO);
    assert_non_null(strstr(err.message, path));
    ace_audio_free(&in);
}

static void test_memory_failures(void **unused)
{
    (void)unused;
    ace_audio in = signal_sine(9600, 2, 44100, 440, 0.5);
    ace_bytes bytes = encoded(&in, ACE_AUDIO_VORBIS);
    uint64_t live = ace_memory_live();
    ace_status status = ACESTEP_MEMORY;
    int failures = 0;
    for (uint64_t n = 1; status == ACESTEP_MEMORY; n++) {
        ace_audio out;
        ace_memory_fail_at(n);
        status = ace_audio_read_memory(bytes.data, bytes.size, "x", NULL, &out, NULL, NULL);
        failures += status == ACESTEP_MEMORY;
        ace_audio_free(&out);
        assert_int_equal(ace_memory_live(), live);
    }
    ace_memory_fail_at(0);
    assert_int_equal(status, ACESTEP_OK);
    assert_true(failures >= 5);
    ace_bytes_free(&bytes);
    ace_audio_free(&in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_format),
        cmocka_unit_test(test_channels),
        cmocka_unit_test(test_samples_are_repaired),
        cmocka_unit_test(test_cut_files),
        cmocka_unit_test(test_claims_cost_nothing),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_trim),
        cmocka_unit_test(test_what_is_no_audio),
        cmocka_unit_test(test_files_go_by_content),
        cmocka_unit_test(test_memory_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
