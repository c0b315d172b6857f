#include "audio/encode.h"
#include "audio/memory_io.h"
#include "audio/write.h"
#include "audio_signal.h"
#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Lossless ones first. */
static const char *const formats[] = {"flac",  "flac16", "wav16", "wav24",
                                      "wav32", "mp3",    "opus",  "ogg"};
enum { FORMATS = sizeof formats / sizeof formats[0], LOSSLESS = 5 };

static const ace_tag tags[] = {{"TITLE", "a title"}, {"LYRICS", "la la"}};

static ace_audio_format format_named(const char *name)
{
    ace_audio_format format;
    assert_int_equal(ace_audio_format_parse(name, &format, NULL), ACESTEP_OK);
    return format;
}

static ace_bytes encoded(const ace_audio *audio, const ace_audio_format *format)
{
    ace_bytes bytes = {0};
    ace_error err = {0};
    ace_status status = ace_audio_encode(audio, format, tags, 2, &bytes, &err);
    if (status != ACESTEP_OK) {
        print_error("%s\n", err.message);
    }
    assert_int_equal(status, ACESTEP_OK);
    return bytes;
}

/* The file's own samples, at its own rate, by libsndfile. */
static ace_audio decoded(const ace_bytes *bytes)
{
    ace_memory_view view = {bytes->data, (sf_count_t)bytes->size, 0};
    SF_INFO info;
    SNDFILE *file = ace_memory_view_open(&view, &info);
    assert_non_null(file);
    ace_audio audio;
    assert_int_equal(ace_audio_create(info.frames, info.channels, info.samplerate, &audio, NULL),
                     ACESTEP_OK);
    audio.frames = sf_readf_float(file, audio.samples, info.frames);
    sf_close(file);
    return audio;
}

static ace_audio round_trip(const ace_audio *in, const ace_audio_format *format)
{
    ace_bytes bytes = encoded(in, format);
    ace_audio out = decoded(&bytes);
    ace_bytes_free(&bytes);
    return out;
}

static void test_length_and_noise(void **unused)
{
    (void)unused;
    /* Opus: 48 to 55 dB, as its library's kernels for the processor have it */
    static const double floors[FORMATS] = {130, 90, 90, 130, 130, 60, 42, 45};
    for (int f = 0; f < FORMATS; f++) {
        for (int channels = 1; channels <= 2; channels++) {
            ace_audio_format format = format_named(formats[f]);
            ace_audio in = signal_sine(96001, channels, 48000, 1000, 0.9);
            ace_audio out = round_trip(&in, &format);
            assert_int_equal(out.frames, in.frames);
            assert_int_equal(out.channels, channels);
            assert_int_equal(out.rate, 48000);
            for (int c = 0; c < channels; c++) {
                double snr = signal_snr(&out, c, 1000, 4800);
                if (!(snr > floors[f])) {
                    print_error("%s: %.1f dB\n", formats[f], snr);
                }
                assert_true(snr > floors[f]);
            }
            ace_audio_free(&in);
            ace_audio_free(&out);
        }
    }
}

static void test_lossless_is_exact(void **unused)
{
    (void)unused;
    ace_audio in = signal_sine(5000, 2, 48000, 997, 0.999);
    for (int64_t i = 0; i < 10000; i++) { /* representable in 16 bits */
        in.samples[i] = (float)(rint((double)in.samples[i] * 32767.0) / 32768.0);
    }
    for (int f = 0; f < LOSSLESS; f++) {
        ace_audio_format format = format_named(formats[f]);
        format.dither = false;
        ace_audio out = round_trip(&in, &format);
        assert_int_equal(out.frames, in.frames);
        assert_memory_equal(out.samples, in.samples, 10000 * sizeof(float));
        ace_audio_free(&out);
    }
    ace_audio_free(&in);
}

static void test_difficult_samples(void **unused)
{
    (void)unused;
    static const float values[] = {NAN, INFINITY, -INFINITY, 1.5f, -1.5f, 1.0f, -1.0f, 0.25f};
    ace_audio in = signal_sine(1000, 1, 48000, 100, 0.0);
    memcpy(in.samples, values, sizeof values);
    for (int f = 0; f < FORMATS; f++) {
        ace_audio_format format = format_named(formats[f]);
        format.dither = false;
        ace_audio out = round_trip(&in, &format);
        assert_int_equal(out.frames, 1000);
        for (int64_t i = 0; i < 1000; i++) {
            assert_true(isfinite(out.samples[i]));
        }
        if (f < LOSSLESS) {
            bool is_float = format.kind == ACE_AUDIO_WAV32;
            assert_true(out.samples[0] == 0.0f && out.samples[1] == 0.0f);
            assert_true(is_float ? out.samples[3] == 1.5f : out.samples[3] > 0.9999f);
            assert_true(is_float ? out.samples[4] == -1.5f : out.samples[4] == -1.0f);
            assert_true(out.samples[7] == 0.25f);
        }
        ace_audio_free(&out);
    }
    ace_audio_free(&in);
}

static void test_same_song_same_bytes(void **unused)
{
    (void)unused;
    ace_audio in = signal_sine(48000, 2, 48000, 440, 0.9);
    for (int f = 0; f < FORMATS; f++) {
        ace_audio_format format = format_named(formats[f]);
        ace_bytes first = encoded(&in, &format);
        ace_bytes second = encoded(&in, &format);
        assert_int_equal(first.size, second.size);
        assert_memory_equal(first.data, second.data, first.size);
        ace_bytes_free(&first);
        ace_bytes_free(&second);
    }
    ace_audio_free(&in);
}

static void test_dither_follows_its_seed(void **unused)
{
    (void)unused;
    ace_audio in = signal_sine(4800, 2, 48000, 440, 0.5);
    ace_audio_format format = format_named("wav16");
    ace_bytes first = encoded(&in, &format);
    format.dither_seed = 7;
    ace_bytes other = encoded(&in, &format);
    assert_int_equal(first.size, other.size);
    assert_memory_not_equal(first.data, other.data, first.size);
    ace_bytes_free(&first);
    ace_bytes_free(&other);
    ace_audio_free(&in);
}

/* Dither turns the error into noise: a sine of a third of a step does not vanish. */
static void test_dither_keeps_what_rounding_loses(void **unused)
{
    (void)unused;
    ace_audio in = signal_sine(96000, 1, 48000, 1000, 0.33 / 32768.0);
    for (int dither = 0; dither < 2; dither++) {
        ace_audio_format format = format_named("wav16");
        format.dither = dither != 0;
        ace_audio out = round_trip(&in, &format);
        double sum = 0.0;
        for (int64_t i = 0; i < out.frames; i++) {
            sum += (double)out.samples[i] * sin(2.0 * SIGNAL_PI * (double)i / 48.0);
        }
        double amplitude = 2.0 * sum / (double)out.frames * 32768.0;
        assert_true(dither ? fabs(amplitude - 0.33) < 0.03 : amplitude == 0.0);
        ace_audio_free(&out);
    }
    ace_audio_free(&in);
}

static void test_other_rates(void **unused)
{
    (void)unused;
    ace_audio in = signal_sine(48000, 2, 48000, 1000, 0.9);
    static const char *const names[] = {"flac", "wav24", "mp3", "ogg"};
    for (int f = 0; f < 4; f++) {
        ace_audio_format format = format_named(names[f]);
        format.rate = 44100;
        ace_audio out = round_trip(&in, &format);
        assert_int_equal(out.rate, 44100);
        assert_int_equal(out.frames, 44100);
        assert_true(signal_snr(&out, 1, 1000, 4800) > 45.0);
        ace_audio_free(&out);
    }
    ace_audio_free(&in);
}

static size_t encoded_size(const ace_audio *audio, const ace_audio_format *format)
{
    ace_bytes bytes = encoded(audio, format);
    size_t size = bytes.size;
    ace_bytes_free(&bytes);
    return size;
}

static void test_options_matter(void **unused)
{
    (void)unused;
    ace_audio in = signal_sine(96000, 2, 48000, 1000, 0.9);
    ace_audio_format format = format_named("mp3");
    format.mp3_bitrate = 64;
    assert_in_range(encoded_size(&in, &format), 64000 / 8 * 2 * 9 / 10, 64000 / 8 * 2 * 12 / 10);
    format.mp3_bitrate = 320;
    assert_in_range(encoded_size(&in, &format), 320000 / 8 * 2 * 9 / 10, 320000 / 8 * 2 * 12 / 10);
    format.mp3_vbr = 9;
    size_t small = encoded_size(&in, &format);
    format.mp3_vbr = 0;
    assert_true(small < encoded_size(&in, &format));
    format = format_named("opus");
    format.opus_bitrate = 32;
    small = encoded_size(&in, &format);
    format.opus_bitrate = 256;
    assert_true(small < encoded_size(&in, &format));
    format = format_named("ogg");
    format.ogg_quality = 0;
    small = encoded_size(&in, &format);
    format.ogg_quality = 9;
    assert_true(small < encoded_size(&in, &format));
    format = format_named("flac");
    format.flac_level = 8;
    small = encoded_size(&in, &format);
    format.flac_level = 0;
    assert_true(small < encoded_size(&in, &format));
    ace_audio_free(&in);
}

static void test_bad_options_are_refused(void **unused)
{
    (void)unused;
    ace_audio in = signal_sine(100, 2, 48000, 1000, 0.9);
    ace_audio_format bad[5];
    bad[0] = format_named("mp3");
    bad[0].mp3_bitrate = 31;
    bad[1] = format_named("mp3");
    bad[1].mp3_vbr = 10;
    bad[2] = format_named("opus");
    bad[2].opus_bitrate = 511;
    bad[3] = format_named("ogg");
    bad[3].ogg_quality = NAN;
    bad[4] = format_named("flac");
    bad[4].flac_level = 9;
    for (int i = 0; i < 5; i++) {
        ace_bytes bytes = {0};
        ace_error err = {0};
        assert_int_equal(ace_audio_encode(&in, &bad[i], NULL, 0, &bytes, &err), ACESTEP_ARGUMENT);
        assert_true(err.message[0] != '\0');
        assert_null(bytes.data);
    }
    ace_audio_format format = format_named("mp3");
    format.rate = 96000;
    ace_bytes bytes = {0};
    assert_int_equal(ace_audio_encode(&in, &format, NULL, 0, &bytes, NULL), ACESTEP_UNSUPPORTED);
    in.frames = 0;
    assert_int_equal(ace_audio_encode(&in, &bad[4], NULL, 0, &bytes, NULL), ACESTEP_ARGUMENT);
    ace_audio_free(&in);
}

static void test_names(void **unused)
{
    (void)unused;
    ace_audio_format format;
    ace_error err = {0};
    assert_int_equal(ace_audio_format_parse("WAV", &format, NULL), ACESTEP_OK);
    assert_int_equal(format.kind, ACE_AUDIO_WAV16);
    assert_int_equal(ace_audio_format_parse("flac24", &format, NULL), ACESTEP_OK);
    assert_int_equal(format.kind, ACE_AUDIO_FLAC);
    assert_int_equal(ace_audio_format_parse("aac", &format, &err), ACESTEP_ARGUMENT);
    assert_non_null(strstr(err.message, "opus"));
    assert_int_equal(ace_audio_format_for_path("/a.b/song.MP3", &format, NULL), ACESTEP_OK);
    assert_int_equal(format.kind, ACE_AUDIO_MP3);
    assert_int_equal(ace_audio_format_for_path("song.wav", &format, NULL), ACESTEP_OK);
    assert_int_equal(format.kind, ACE_AUDIO_WAV16);
    assert_int_equal(ace_audio_format_for_path("/a.mp3/song", &format, NULL), ACESTEP_ARGUMENT);
    assert_string_equal(ace_audio_format_extension(ACE_AUDIO_WAV24), "wav");
    assert_string_equal(ace_audio_format_media_type(ACE_AUDIO_MP3), "audio/mpeg");
}

static void test_sizes_beyond_32_bits(void **unused)
{
    (void)unused;
    ace_bytes header = {0};
    uint64_t data = (uint64_t)5 << 30;
    ace_wav_header_append(&header, ACE_AUDIO_WAV24, 2, 48000, data, 100);
    assert_memory_equal(header.data, "RF64\xff\xff\xff\xffWAVEds64", 16);
    assert_int_equal(ace_load_le(header.data + 20, 8), header.size - 8 + data + 100);
    assert_int_equal(ace_load_le(header.data + 28, 8), data);
    assert_int_equal(ace_load_le(header.data + 36, 8), data / 6);
    assert_memory_equal(header.data + header.size - 8, "data\xff\xff\xff\xff", 8);
    ace_bytes_free(&header);
}

static int entries(const char *folder)
{
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    int count = 0;
    for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
        count += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    }
    closedir(dir);
    return count;
}

static void assert_refused(const char *path, const ace_audio *audio, const char *reason)
{
    ace_audio_format format = format_named("flac");
    ace_error err = {0};
    assert_int_equal(ace_audio_write(path, audio, &format, NULL, 0, &err), ACESTEP_IO);
    assert_non_null(strstr(err.message, path));
    assert_non_null(strstr(err.message, reason));
}

static void test_files(void **unused)
{
    (void)unused;
    char folder[] = "/tmp/acestep-test-XXXXXX";
    char path[64];
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/song.flac", folder);
    ace_audio in = signal_sine(4800, 2, 48000, 440, 0.5);
    ace_audio_format format = format_named("flac");
    for (int round = 0; round < 2; round++) { /* the second replaces the first */
        assert_int_equal(ace_audio_write(path, &in, &format, tags, 2, NULL), ACESTEP_OK);
        assert_int_equal(entries(folder), 1);
    }
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    ace_bytes bytes = encoded(&in, &format);
    assert_int_equal(st.st_size, bytes.size);
    ace_bytes_free(&bytes);
    assert_int_equal(unlink(path), 0);

    assert_int_equal(mkdir(path, 0700), 0); /* a folder has the name */
    assert_refused(path, &in, "directory");
    assert_int_equal(entries(folder), 1);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(rmdir(folder), 0);
    assert_refused(path, &in, "No such file"); /* the folder is gone */
    assert_refused("/dev/full", &in, "space"); /* disk full */
    assert_int_equal(stat("/dev/full", &st), 0);
    assert_true(S_ISCHR(st.st_mode));                            /* not replaced by a file */
    assert_refused("/proc/song.flac", &in, "cannot be written"); /* nothing can be created here */
    ace_audio_free(&in);
}

static void test_memory_failures(void **unused)
{
    (void)unused;
    ace_audio in = signal_sine(9600, 2, 48000, 440, 0.5);
    for (int f = 0; f < FORMATS; f++) {
        ace_audio_format format = format_named(formats[f]);
        format.rate = format.kind == ACE_AUDIO_WAV24 ? 44100 : 0;
        uint64_t live = ace_memory_live();
        int failures = 0;
        ace_status status = ACESTEP_MEMORY;
        for (uint64_t n = 1; status == ACESTEP_MEMORY; n++) {
            ace_bytes bytes = {0};
            ace_memory_fail_at(n);
            status = ace_audio_encode(&in, &format, tags, 2, &bytes, NULL);
            failures += status == ACESTEP_MEMORY;
            ace_bytes_free(&bytes);
            assert_int_equal(ace_memory_live(), live);
        }
        ace_memory_fail_at(0);
        assert_int_equal(status, ACESTEP_OK);
        assert_true(failures >= 3);
    }
    ace_audio_free(&in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_length_and_noise),
        cmocka_unit_test(test_lossless_is_exact),
        cmocka_unit_test(test_difficult_samples),
        cmocka_unit_test(test_same_song_same_bytes),
        cmocka_unit_test(test_dither_follows_its_seed),
        cmocka_unit_test(test_dither_keeps_what_rounding_loses),
        cmocka_unit_test(test_other_rates),
        cmocka_unit_test(test_options_matter),
        cmocka_unit_test(test_bad_options_are_refused),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_sizes_beyond_32_bits),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_memory_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
