#include "audio/describe.h"
#include "audio/level.h"
#include "audio/reference.h"
#include "audio_signal.h"
#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

static void assert_near(double value, double expected, double tolerance)
{
    if (!(fabs(value - expected) <= tolerance)) {
        print_error("%g, expected %g\n", value, expected);
    }
    assert_true(fabs(value - expected) <= tolerance);
}

static void test_peak(void **unused)
{
    (void)unused;
    static const double amplitudes[] = {0.25, 1.0, 4.0};
    for (int i = 0; i < 3; i++) {
        ace_audio audio = signal_sine(4800, 2, 48000, 1000, amplitudes[i]);
        ace_level_options options = ace_level_options_default();
        assert_int_equal(ace_level_apply(&audio, &options, NULL), ACESTEP_OK);
        assert_near((double)ace_audio_peak(&audio), pow(10, -1.0 / 20), 1e-6);
        options.target_db = -6.0;
        assert_int_equal(ace_level_apply(&audio, &options, NULL), ACESTEP_OK);
        assert_near((double)ace_audio_peak(&audio), pow(10, -6.0 / 20), 1e-6);
        ace_audio_free(&audio);
    }
}

static void test_silence_stays(void **unused)
{
    (void)unused;
    for (int mode = ACE_LEVEL_PEAK; mode <= ACE_LEVEL_PERCENTILE; mode++) {
        ace_audio audio = signal_sine(48000, 2, 48000, 1000, 9e-7);
        float before = audio.samples[7];
        ace_level_options options = ace_level_options_default();
        options.mode = (ace_level_mode)mode;
        assert_int_equal(ace_level_apply(&audio, &options, NULL), ACESTEP_OK);
        assert_true(audio.samples[7] == before);
        assert_true(ace_audio_is_silent(&audio));
        ace_audio_free(&audio);
    }
}

static void test_none_and_fit(void **unused)
{
    (void)unused;
    ace_audio audio = signal_sine(4800, 2, 48000, 1000, 3.0);
    ace_level_options options = ace_level_options_default();
    options.mode = ACE_LEVEL_NONE;
    assert_int_equal(ace_level_apply(&audio, &options, NULL), ACESTEP_OK);
    assert_near((double)ace_audio_peak(&audio), 3.0, 1e-6);
    ace_level_fit(&audio);
    assert_true(ace_audio_peak(&audio) == 1.0f);
    ace_audio_free(&audio);
    audio = signal_sine(4800, 2, 48000, 1000, 0.3);
    ace_level_fit(&audio);
    assert_near((double)ace_audio_peak(&audio), 0.3, 1e-6);
    ace_audio_free(&audio);
}

/* EBU Tech 3341, case 1: a stereo sine of 1 kHz at -23 dBFS reads -23 LUFS. */
static void test_lufs(void **unused)
{
    (void)unused;
    ace_audio audio = signal_sine(48000 * 5, 2, 48000, 1000, pow(10, -23.0 / 20));
    ace_level_report report;
    assert_int_equal(ace_level_measure(&audio, &report, NULL), ACESTEP_OK);
    assert_near(report.lufs, -23.0, 0.1);
    assert_near(report.peak_db, -23.0, 0.01);
    assert_near(report.true_peak_db, -23.0, 0.1);
    ace_level_options options = ace_level_options_default();
    options.mode = ACE_LEVEL_LUFS;
    assert_int_equal(ace_level_apply(&audio, &options, NULL), ACESTEP_OK);
    assert_int_equal(ace_level_measure(&audio, &report, NULL), ACESTEP_OK);
    assert_near(report.lufs, -14.0, 0.1);
    options.target_lufs = 0.0; /* the true peak holds it down */
    assert_int_equal(ace_level_apply(&audio, &options, NULL), ACESTEP_OK);
    assert_int_equal(ace_level_measure(&audio, &report, NULL), ACESTEP_OK);
    assert_near(report.true_peak_db, -1.0, 0.02);
    ace_audio_free(&audio);
}

static void test_percentile(void **unused)
{
    (void)unused;
    ace_audio audio;
    assert_int_equal(ace_audio_create(500000, 2, 48000, &audio, NULL), ACESTEP_OK);
    for (int64_t i = 0; i < 1000000; i++) { /* magnitudes 1e-6 … 1, alternating signs, shuffled */
        double magnitude = (double)((i * 7919) % 1000000 + 1) * 1e-6;
        audio.samples[i] = (float)(i % 2 ? magnitude : -magnitude);
    }
    ace_level_options options = ace_level_options_default();
    options.mode = ACE_LEVEL_PERCENTILE;
    options.peak_clip = 500; /* entry number 500 from the top is 0.9995 */
    assert_int_equal(ace_level_apply(&audio, &options, NULL), ACESTEP_OK);
    int64_t full = 0;
    for (int64_t i = 0; i < 1000000; i++) {
        float magnitude = fabsf(audio.samples[i]);
        assert_true(magnitude <= 1.0f);
        full += magnitude == 1.0f;
    }
    assert_int_equal(full, 501);
    assert_near((double)audio.samples[1], 7920e-6 / 0.9995, 1e-7);
    ace_audio_free(&audio);
}

static void test_report(void **unused)
{
    (void)unused;
    ace_audio audio = signal_sine(48000, 2, 48000, 997, 0.5);
    memset(audio.samples, 0, 4800 * 2 * sizeof(float));
    memset(audio.samples + 2 * 38400, 0, 9600 * 2 * sizeof(float));
    audio.samples[2 * 20000] = 1.0f;
    audio.samples[2 * 20001 + 1] = -1.5f;
    audio.samples[2 * 20002] = NAN;
    ace_level_report report;
    assert_int_equal(ace_level_measure(&audio, &report, NULL), ACESTEP_OK);
    assert_int_equal(report.clipped, 2);
    assert_int_equal(report.not_finite, 1);
    assert_near(report.peak_db, 20 * log10(1.5), 1e-6);
    assert_near(report.leading_silence, 0.1, 0.001);
    assert_near(report.trailing_silence, 0.2, 0.001);
    ace_audio_free(&audio);
    audio = signal_sine(48000, 2, 48000, 997, 0.0);
    assert_int_equal(ace_level_measure(&audio, &report, NULL), ACESTEP_OK);
    assert_true(report.peak_db == ACE_LEVEL_FLOOR_DB && report.lufs == ACE_LEVEL_FLOOR_DB);
    assert_true(report.true_peak_db == ACE_LEVEL_FLOOR_DB);
    assert_near(report.leading_silence, 1.0, 0);
    ace_audio_free(&audio);
}

static void test_fades(void **unused)
{
    (void)unused;
    ace_audio audio;
    assert_int_equal(ace_audio_create(1000, 2, 1000, &audio, NULL), ACESTEP_OK);
    for (int i = 0; i < 2000; i++) {
        audio.samples[i] = 0.5f;
    }
    ace_level_options options = {ACE_LEVEL_NONE, -1, -14, 10, 0.1, 0.2};
    assert_int_equal(ace_level_apply(&audio, &options, NULL), ACESTEP_OK);
    assert_true(audio.samples[0] == 0.0f && audio.samples[1999] == 0.0f);
    assert_near((double)audio.samples[2 * 50], 0.25, 1e-6);
    assert_near((double)audio.samples[2 * 50 + 1], 0.25, 1e-6);
    assert_near((double)audio.samples[2 * 899], 0.25, 1e-6);
    assert_true(audio.samples[2 * 100] == 0.5f && audio.samples[2 * 799] == 0.5f);
    ace_level_fade(&audio, 1e9, 1e9); /* longer than the song */
    assert_true(audio.samples[0] == 0.0f && audio.samples[1999] == 0.0f);
    ace_audio_free(&audio);
}

static void test_bad_options(void **unused)
{
    (void)unused;
    ace_audio audio = signal_sine(10, 2, 48000, 997, 0.5);
    ace_level_options bad[] = {{ACE_LEVEL_PEAK, 1, -14, 10, 0, 0},
                               {ACE_LEVEL_PEAK, NAN, -14, 10, 0, 0},
                               {ACE_LEVEL_LUFS, -1, 1, 10, 0, 0},
                               {ACE_LEVEL_PERCENTILE, -1, -14, 1000, 0, 0},
                               {ACE_LEVEL_NONE, -1, -14, 10, -1, 0}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ace_error err = {0};
        assert_int_equal(ace_level_apply(&audio, &bad[i], &err), ACESTEP_ARGUMENT);
        assert_true(err.message[0] != '\0');
    }
    ace_level_mode mode;
    assert_int_equal(ace_level_mode_parse("LUFS", &mode, NULL), ACESTEP_OK);
    assert_int_equal(mode, ACE_LEVEL_LUFS);
    assert_int_equal(ace_level_mode_parse("loud", &mode, NULL), ACESTEP_ARGUMENT);
    ace_memory_fail_at(1);
    ace_level_options percentile = {ACE_LEVEL_PERCENTILE, -1, -14, 10, 0, 0};
    assert_int_equal(ace_level_apply(&audio, &percentile, NULL), ACESTEP_MEMORY);
    ace_memory_fail_at(0);
    ace_audio_free(&audio);
}

/* Frame number as the left sample tells where a piece came from. */
static ace_audio numbered(int64_t frames)
{
    ace_audio audio;
    assert_int_equal(ace_audio_create(frames, 2, 48000, &audio, NULL), ACESTEP_OK);
    for (int64_t i = 0; i < frames; i++) {
        audio.samples[2 * i] = (float)i; /* exact up to 2^24 */
        audio.samples[2 * i + 1] = -(float)i;
    }
    return audio;
}

static void assert_pieces(int64_t frames, const double u[3], const int64_t starts[3])
{
    ace_audio in = numbered(frames);
    ace_audio out;
    assert_int_equal(ace_reference_cut(&in, u, &out, NULL), ACESTEP_OK);
    assert_int_equal(out.frames, 1440000);
    for (int p = 0; p < 3; p++) {
        for (int64_t i = 0; i < 480000; i += i < 479000 ? 997 : 1) {
            float expected = (float)((starts[p] + i) % frames);
            assert_true(out.samples[2 * (p * 480000 + i)] == expected);
            assert_true(out.samples[2 * (p * 480000 + i) + 1] == -expected);
        }
    }
    ace_audio_free(&in);
    ace_audio_free(&out);
}

static void test_reference_pieces(void **unused)
{
    (void)unused;
    static const double low[3] = {0, 0, 0};
    static const double high[3] = {0.9999999999, 0.9999999999, 0.9999999999};
    assert_pieces(1440000, high, (int64_t[]){0, 480000, 960000});
    assert_pieces(3000001, low, (int64_t[]){0, 1000000, 2000000});
    assert_pieces(3000001, high, (int64_t[]){520000, 1520000, 2520001});
    assert_pieces(3000000, (const double[]){0.5, 0.25, 0}, (int64_t[]){260000, 1130000, 2000000});
    /* 20 s, repeated to 40 s: thirds of 640000 frames */
    assert_pieces(960000, low, (int64_t[]){0, 640000, 1280000});
    assert_pieces(960000, high, (int64_t[]){160000, 800000, 1440000});
    assert_pieces(7, low, (int64_t[]){0, 480001, 960002}); /* 7 · 205715 = 1440005 */
}

static void test_reference_refuses(void **unused)
{
    (void)unused;
    static const double u[3] = {0, 0, 0};
    ace_audio silent = signal_sine(100, 2, 48000, 440, 0.0);
    ace_audio out;
    assert_int_equal(ace_reference_cut(&silent, u, &out, NULL), ACESTEP_AUDIO);
    silent.rate = 44100;
    assert_int_equal(ace_reference_cut(&silent, u, &out, NULL), ACESTEP_ARGUMENT);
    ace_audio_free(&silent);
    ace_audio empty = {NULL, 0, 2, 48000};
    assert_int_equal(ace_reference_cut(&empty, u, &out, NULL), ACESTEP_AUDIO);
    ace_audio in = signal_sine(100, 2, 48000, 440, 0.5);
    ace_memory_fail_at(1);
    assert_int_equal(ace_reference_cut(&in, u, &out, NULL), ACESTEP_MEMORY);
    ace_memory_fail_at(0);
    ace_audio_free(&in);
}

static void test_waveform(void **unused)
{
    (void)unused;
    ace_audio audio;
    assert_int_equal(ace_audio_create(8, 1, 48000, &audio, NULL), ACESTEP_OK);
    for (int i = 0; i < 8; i++) {
        audio.samples[i] = (i % 2 ? 0.1f : -0.1f) * (float)(i + 1);
    }
    char text[512];
    assert_int_equal(ace_waveform_draw(&audio, 8, 1, ACE_WAVEFORM_RMS, text, sizeof text), 25);
    assert_string_equal(text, "▁▂▃▄▅▆▇█\n");
    ace_waveform_draw(&audio, 8, 2, ACE_WAVEFORM_RMS, text, sizeof text);
    assert_string_equal(text, "    ▂▄▆█\n▂▄▆█████\n");
    ace_waveform_draw(&audio, 4, 2, ACE_WAVEFORM_MIRRORED, text, sizeof text);
    assert_string_equal(text, "▂▄▆█\n▔▀▀█\n");
    ace_waveform_draw(&audio, 16, 1, ACE_WAVEFORM_RMS, text, sizeof text); /* more than frames */
    assert_string_equal(text, "▁▁▂▂▃▃▄▄▅▅▆▆▇▇██\n");
    memset(audio.samples, 0, 8 * sizeof(float));
    ace_waveform_draw(&audio, 3, 1, ACE_WAVEFORM_RMS, text, sizeof text);
    assert_string_equal(text, "   \n");
    size_t room = ace_waveform_bytes(10, 2);
    assert_int_equal(ace_waveform_draw(&audio, 10, 2, ACE_WAVEFORM_RMS, text, room - 1), 0);
    assert_string_equal(text, "");
    audio.frames = 0;
    ace_waveform_draw(&audio, 3, 1, ACE_WAVEFORM_RMS, text, sizeof text);
    assert_string_equal(text, "   \n");
    ace_audio_free(&audio);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_peak),
        cmocka_unit_test(test_silence_stays),
        cmocka_unit_test(test_none_and_fit),
        cmocka_unit_test(test_lufs),
        cmocka_unit_test(test_percentile),
        cmocka_unit_test(test_report),
        cmocka_unit_test(test_fades),
        cmocka_unit_test(test_bad_options),
        cmocka_unit_test(test_reference_pieces),
        cmocka_unit_test(test_reference_refuses),
        cmocka_unit_test(test_waveform),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
