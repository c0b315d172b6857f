/* The recording around a part that was made anew: the fade against its formula, and where it has no
 * room. */
#include "audio/splice.h"
#include "base/memory.h"
#include "options/option_table.h"
#include "run/repaint.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { FRAMES = 1000, CHANNELS = 2 };

static ace_audio noise(int64_t frames, unsigned seed)
{
    ace_audio audio;
    assert_int_equal(ace_audio_create(frames, CHANNELS, ACE_AUDIO_RATE, &audio, NULL), ACESTEP_OK);
    for (int64_t i = 0; i < frames * CHANNELS; i++) {
        seed = seed * 1664525u + 1013904223u;
        audio.samples[i] = (float)(seed >> 8) / 8388608.0f - 1.0f;
    }
    return audio;
}

/* The weight of the new audio, as the original's mask has it: written down anew, without its edges'
 * cases. */
static double weight(int64_t frame, int64_t frames, int64_t start, int64_t end, int64_t fade)
{
    double before = (double)(fade < start ? fade : start);
    double behind = (double)(fade < frames - end ? fade : frames - end);
    if (frame >= start && frame < end) {
        return 1;
    }
    if (frame < start) {
        return fmax(0, 1 - (double)(start - frame) / (before + 1));
    }
    return fmax(0, 1 - (double)(frame - end + 1) / (behind + 1));
}

static void check(int64_t source_frames, int64_t start, int64_t end, int64_t fade)
{
    ace_audio made = noise(FRAMES, 1);
    ace_audio source = noise(source_frames, 2);
    ace_audio out = noise(FRAMES, 1);
    int64_t frames = source_frames < FRAMES ? source_frames : FRAMES;
    int64_t first = start < frames ? start : frames;
    int64_t last = end < frames ? end : frames;
    ace_audio_splice(&out, &source, start, end, fade);
    for (int64_t i = 0; i < FRAMES * CHANNELS; i++) {
        double w = i / CHANNELS >= frames ? 1 : weight(i / CHANNELS, frames, first, last, fade);
        if (w == 1) {
            assert_true(out.samples[i] == made.samples[i]);
        } else if (w == 0) {
            assert_true(out.samples[i] == source.samples[i]);
        } else {
            double expected = w * (double)made.samples[i] + (1 - w) * (double)source.samples[i];
            assert_true(fabs((double)out.samples[i] - expected) <= 2e-7);
        }
    }
    ace_audio_free(&made);
    ace_audio_free(&source);
    ace_audio_free(&out);
}

static void test_fades(void **state)
{
    (void)state;
    check(FRAMES, 300, 600, 100);
    check(FRAMES, 300, 600, 0);   /* a hard cut */
    check(FRAMES, 300, 600, 1);   /* one half */
    check(FRAMES, 300, 310, 100); /* shorter than the fade */
    check(FRAMES, 300, 300, 100); /* nothing at all */
}

static void test_edges(void **state)
{
    (void)state;
    check(FRAMES, 0, 400, 100);
    check(FRAMES, 600, FRAMES, 100);
    check(FRAMES, 0, FRAMES, 100);
    check(FRAMES, 40, FRAMES - 30, 100); /* less room than the fade is long */
    check(FRAMES, 40, FRAMES + 500, 100);
    check(FRAMES - 200, 300, 600, 100); /* the source ends first: what was made follows */
    check(FRAMES - 200, 300, FRAMES, 100);
    check(FRAMES - 200, 900, FRAMES, 100);
    check(FRAMES + 200, 300, 600, 100);
    check(FRAMES, 300, 600, INT64_MAX / 4);
}

/* ---- what the options come to
 * ----------------------------------------------------------------------- */

static ace_repaint_choice choose(const char *const options[][2], int n)
{
    ace_request *r = NULL;
    assert_int_equal(ace_request_create(&r, NULL), ACESTEP_OK);
    for (int i = 0; i < n; i++) {
        assert_int_equal(ace_request_set(r, options[i][0], options[i][1], ACE_FROM_CALLER, NULL),
                         ACESTEP_OK);
    }
    ace_repaint_choice choice = ace_repaint_choose(r);
    ace_request_free(r);
    return choice;
}

static void expect(ace_repaint_choice c, double injection, int64_t frames, bool splices,
                   double seconds)
{
    assert_true(c.injection == injection);
    assert_int_equal(c.latent_crossfade, frames);
    assert_int_equal(c.splices, splices);
    assert_true(fabs(c.crossfade_seconds - seconds) < 1e-12);
}

static void test_modes(void **state)
{
    (void)state;
    const char *const strength[][2] = {{"repaint_mode", "balanced"}, {"repaint_strength", "0.8"}};
    const char *const full[][2] = {{"repaint_mode", "balanced"}, {"repaint_strength", "1"}};
    const char *const close[][2] = {{"repaint_mode", "conservative"}, {"repaint_strength", "1"}};
    const char *const freely[][2] = {{"repaint_mode", "aggressive"}};
    const char *const asked[][2] = {{"repaint_mode", "aggressive"},
                                    {"repaint_wav_crossfade_sec", "0.1"},
                                    {"repaint_latent_crossfade_frames", "10"}};
    const char *const cut[][2] = {{"repaint_wav_crossfade_sec", "0"},
                                  {"repaint_latent_crossfade_frames", "0"}};
    expect(choose(NULL, 0), 0.5, 12, true, 0.025); /* half of 25, to even */
    expect(choose(strength, 2), 1 - 0.8, 5, true, 0.01);
    expect(choose(full, 2), 0, 0, true, 0);
    expect(choose(close, 2), 1, 25, true, 0.05);
    expect(choose(freely, 1), 0, 0, false, 0);
    expect(choose(asked, 3), 0, 10, true, 0.1);
    expect(choose(cut, 2), 0.5, 0, true, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_fades), cmocka_unit_test(test_edges),
                                       cmocka_unit_test(test_modes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
