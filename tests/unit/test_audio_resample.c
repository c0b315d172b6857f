#include "audio/resample.h"
#include "audio/write.h"
#include "audio_signal.h"
#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

static int64_t gcd(int64_t a, int64_t b)
{
    return b == 0 ? a : gcd(b, a % b);
}

/* Output frame j by the definition: every input frame, no table. */
static double by_definition(const ace_audio *in, int rate, int64_t j, int channel)
{
    int64_t divisor = gcd(in->rate, rate);
    double a = (double)(in->rate / divisor);
    double b = (double)(rate / divisor);
    double f = 0.99 * fmin(a, b);
    double sum = 0.0;
    for (int64_t i = 0; i < in->frames; i++) {
        double t = ((double)i / a - (double)j / b) * f;
        if (fabs(t) < 6.0) {
            double window = pow(cos(SIGNAL_PI * t / 12.0), 2.0);
            double sinc = t == 0.0 ? 1.0 : sin(SIGNAL_PI * t) / (SIGNAL_PI * t);
            sum += (double)in->samples[i * in->channels + channel] * window * sinc * f / a;
        }
    }
    return sum;
}

static void fill_with_noise(ace_audio *audio)
{
    uint32_t state = 12345;
    for (int64_t i = 0; i < audio->frames * audio->channels; i++) {
        state = state * 1664525u + 1013904223u;
        audio->samples[i] = (float)(int32_t)state / 2147483648.0f;
    }
}

static void test_matches_the_definition(void **unused)
{
    (void)unused;
    static const int rates[][2] = {{8000, 48000},  {16000, 48000}, {22050, 48000}, {32000, 48000},
                                   {44100, 48000}, {88200, 48000}, {96000, 48000}, {192000, 48000},
                                   {47999, 48000}, {48000, 8000}};
    for (size_t r = 0; r < sizeof rates / sizeof rates[0]; r++) {
        ace_audio in;
        ace_audio out;
        assert_int_equal(ace_audio_create(700, 2, rates[r][0], &in, NULL), ACESTEP_OK);
        fill_with_noise(&in);
        assert_int_equal(ace_audio_resample(&in, rates[r][1], &out, NULL), ACESTEP_OK);
        for (int64_t j = 0; j < out.frames; j++) {
            for (int c = 0; c < 2; c++) {
                double expected = by_definition(&in, rates[r][1], j, c);
                assert_true(fabs(expected - (double)out.samples[2 * j + c]) < 1e-6);
            }
        }
        ace_audio_free(&in);
        ace_audio_free(&out);
    }
}

static void test_length_is_rounded_up(void **unused)
{
    (void)unused;
    for (int64_t n = 0; n < 400; n++) {
        int64_t expected = (int64_t)ceil((double)n * 160.0 / 147.0 - 1e-9);
        assert_int_equal(ace_resample_frames(n, 44100, 48000), expected);
    }
    assert_int_equal(ace_resample_frames(44100 * 600, 44100, 48000), 48000 * 600);
    assert_int_equal(ace_resample_frames(5, 96000, 48000), 3);
    ace_audio in = signal_sine(1001, 1, 44100, 100, 0.5);
    ace_audio out;
    assert_int_equal(ace_audio_resample(&in, 48000, &out, NULL), ACESTEP_OK);
    assert_int_equal(out.frames, 1090); /* 1001 · 160 / 147 = 1089.5 */
    assert_int_equal(out.rate, 48000);
    assert_int_equal(out.channels, 1);
    ace_audio_free(&in);
    ace_audio_free(&out);
}

static void test_sines_stay_sines(void **unused)
{
    (void)unused;
    static const int rates[] = {16000, 22050, 44100, 96000, 192000};
    for (size_t r = 0; r < sizeof rates / sizeof rates[0]; r++) {
        ace_audio in = signal_sine(rates[r] / 2, 2, rates[r], 1000, 0.8);
        ace_audio out;
        assert_int_equal(ace_audio_resample(&in, 48000, &out, NULL), ACESTEP_OK);
        for (int c = 0; c < 2; c++) {
            double snr = signal_snr(&out, c, 1000, 500);
            if (!(snr > 55.0)) {
                print_error("%d Hz: %.1f dB\n", rates[r], snr);
            }
            assert_true(snr > 55.0);
        }
        ace_audio_free(&in);
        ace_audio_free(&out);
    }
}

static void test_equal_rates_copy(void **unused)
{
    (void)unused;
    ace_audio in = signal_sine(1000, 2, 44100, 440, 0.7);
    ace_audio out;
    assert_int_equal(ace_audio_resample(&in, 44100, &out, NULL), ACESTEP_OK);
    assert_int_equal(out.frames, 1000);
    assert_memory_equal(in.samples, out.samples, 2000 * sizeof(float));
    ace_audio_free(&in);
    ace_audio_free(&out);
}

static void test_pieces_give_the_same(void **unused)
{
    (void)unused;
    ace_audio in = signal_sine(20000, 2, 44100, 3000, 0.7);
    ace_audio whole;
    assert_int_equal(ace_audio_resample(&in, 48000, &whole, NULL), ACESTEP_OK);
    static const int64_t pieces[] = {1, 7, 997, 4096, 9001};
    for (size_t p = 0; p < sizeof pieces / sizeof pieces[0]; p++) {
        ace_resampler *r = NULL;
        ace_audio out = {NULL, 0, 2, 48000};
        int64_t capacity = 0;
        assert_int_equal(ace_resampler_create(44100, 48000, 2, &r, NULL), ACESTEP_OK);
        for (int64_t at = 0; at < in.frames; at += pieces[p]) {
            int64_t n = in.frames - at < pieces[p] ? in.frames - at : pieces[p];
            assert_int_equal(ace_resampler_push(r, in.samples + 2 * at, n, &out, &capacity, NULL),
                             ACESTEP_OK);
        }
        assert_int_equal(ace_resampler_finish(r, &out, &capacity, NULL), ACESTEP_OK);
        assert_int_equal(out.frames, whole.frames);
        assert_memory_equal(out.samples, whole.samples, (size_t)whole.frames * 2 * sizeof(float));
        ace_resampler_free(r);
        ace_audio_free(&out);
    }
    ace_audio_free(&in);
    ace_audio_free(&whole);
}

static void test_rates_out_of_range_are_refused(void **unused)
{
    (void)unused;
    ace_resampler *r = NULL;
    ace_error err = {0};
    assert_int_equal(ace_resampler_create(7999, 48000, 2, &r, &err), ACESTEP_ARGUMENT);
    assert_non_null(strstr(err.message, "7999"));
    assert_null(r);
    assert_int_equal(ace_resampler_create(48000, 192001, 2, &r, NULL), ACESTEP_ARGUMENT);
}

static void test_memory_failures(void **unused)
{
    (void)unused;
    ace_audio in = signal_sine(5000, 2, 44100, 440, 0.7);
    uint64_t live = ace_memory_live();
    int failures = 0;
    ace_status status = ACESTEP_MEMORY;
    for (uint64_t n = 1; status == ACESTEP_MEMORY; n++) {
        ace_audio out;
        ace_memory_fail_at(n);
        status = ace_audio_resample(&in, 48000, &out, NULL);
        failures += status == ACESTEP_MEMORY;
        ace_audio_free(&out);
        assert_int_equal(ace_memory_live(), live);
    }
    ace_memory_fail_at(0);
    assert_int_equal(status, ACESTEP_OK);
    assert_true(failures >= 3);
    ace_audio_free(&in);
}

static void test_output_conversion(void **unused)
{
    (void)unused;
    ace_audio in = signal_sine(48000, 2, 48000, 1000, 0.8);
    ace_audio out;
    assert_int_equal(ace_audio_convert_rate(&in, 44100, &out, NULL), ACESTEP_OK);
    assert_int_equal(out.frames, 44100);
    assert_true(signal_snr(&out, 0, 1000, 2000) > 120.0);
    ace_audio_free(&in);
    ace_audio_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matches_the_definition),
        cmocka_unit_test(test_length_is_rounded_up),
        cmocka_unit_test(test_sines_stay_sines),
        cmocka_unit_test(test_equal_rates_copy),
        cmocka_unit_test(test_pieces_give_the_same),
        cmocka_unit_test(test_rates_out_of_range_are_refused),
        cmocka_unit_test(test_memory_failures),
        cmocka_unit_test(test_output_conversion),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
