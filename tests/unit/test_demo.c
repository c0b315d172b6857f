/* The built-in demo model, listened to: tempo, chord tones and instruments are the caption's; and
 * its recorded case. */
#include "acestep.h"
#include "base/block_formats.h"
#include "base/file_map.h"
#include "model/config.h"
#include "options/option_table.h"
#include "run/job.h"
#include "support/golden.h"
#include "support/listen.h"
#include "weights/demo_model.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct demo_song {
    ace_finished finished;
    ace_job job;
    ace_workshop workshop;
} demo_song;

static demo_song *play(const char *const options[][2], const float *noise)
{
    ace_error err = {.code = ACESTEP_OK};
    demo_song *s = calloc(1, sizeof *s);
    ace_warnings *warnings = calloc(1, sizeof *warnings);
    ace_stage_log *plan = calloc(1, sizeof *plan);
    ace_job_report *report = calloc(1, sizeof *report);
    ace_finished songs[ACE_MAX_SONGS];
    int n = 0;
    ace_request *r = NULL;
    assert_int_equal(ace_request_create(&r, NULL), ACESTEP_OK);
    for (int i = 0; options[i][0] != NULL; i++) {
        assert_int_equal(ace_request_set(r, options[i][0], options[i][1], ACE_FROM_CALLER, NULL),
                         ACESTEP_OK);
    }
    const ace_request *list[] = {r};
    ace_embedded_files_set(ace_demo_model_files());
    ace_status status = ace_workshop_open(r, &s->workshop, &err);
    if (status == ACESTEP_OK) {
        status = ace_job_create(&s->workshop, list, 1, warnings, &s->job, &err);
    }
    if (status == ACESTEP_OK) {
        s->job.brief[0].given_noise = noise;
        status = ace_job_plan(&s->workshop, r, &s->job, warnings, plan, &err);
    }
    if (status == ACESTEP_OK) {
        status = ace_job_run(&s->workshop, r, &s->job, plan, NULL, NULL, warnings, report, songs,
                             &n, &err);
    }
    if (status != ACESTEP_OK) {
        fail_msg("%s", err.message);
    }
    s->finished = songs[0];
    ace_request_free(r);
    free(warnings);
    free(plan);
    free(report);
    return s;
}

static void put_away(demo_song *s)
{
    ace_finished_free(&s->finished);
    ace_job_free(&s->job);
    ace_workshop_close(&s->workshop);
    free(s);
}

static heard_sound sound_of(const demo_song *s)
{
    return (heard_sound){s->finished.audio.samples, s->finished.audio.frames};
}

static const char pop[] = "upbeat pop song with piano, pads, bass and drum machine";
static const char calm[] = "calm, slow, strings, ambient pad";
static const char sad[] = "sad melancholic piano, strings";
static const char drums[] = "intense racing drums, percussion";

/* The song of `make demo`. */
static void demo_plays_what_the_caption_says(void **state)
{
    (void)state;
    const char *const options[][2] = {{"caption", pop},   {"bpm", "125"}, {"keyscale", "D major"},
                                      {"duration", "10"}, {"seed", "7"},  {NULL, NULL}};
    demo_song *s = play(options, NULL);
    heard_sound sound = sound_of(s);
    double tempo = listen_tempo(sound, 125, 0.06);
    double in_scale = listen_in_scale(sound);
    double chords = listen_chord_hits(sound, "D A Bm G", 125);
    print_message("tempo %.1f, in scale %.3f, chord tones %.3f\n", tempo, in_scale, chords);
    assert_int_equal(sound.frames, 480000);
    assert_true(fabs(tempo - 125) < 1.5);
    assert_true(in_scale > 0.9); /* chance level is 0.43 */
    assert_true(chords > 0.85);
    put_away(s);
}

static void other_captions_sound_otherwise(void **state)
{
    (void)state;
    const char *const calm_options[][2] = {{"caption", calm}, {"duration", "10"},
                                           {"bpm", "75"},     {"keyscale", "B minor"},
                                           {"seed", "1"},     {NULL, NULL}};
    const char *const sad_options[][2] = {
        {"caption", sad}, {"duration", "12"}, {"keyscale", "B minor"}, {"seed", "1"}, {NULL, NULL}};
    const char *const drum_options[][2] = {
        {"caption", drums}, {"duration", "8"}, {"bpm", "160"}, {"seed", "1"}, {NULL, NULL}};
    const char *const pop_options[][2] = {
        {"caption", pop}, {"duration", "8"}, {"bpm", "125"}, {"seed", "1"}, {NULL, NULL}};
    demo_song *pad = play(calm_options, NULL);
    demo_song *piano = play(sad_options, NULL);
    demo_song *beat = play(drum_options, NULL);
    demo_song *band = play(pop_options, NULL);

    double minor = listen_chord_hits(sound_of(pad), "Bm G D A", 75);
    double major = listen_chord_hits(sound_of(pad), "D A Bm G", 75);
    print_message("pad: chord tones %.3f (of the major progression %.3f)\n", minor, major);
    assert_true(minor > 0.85);
    assert_true(minor > major + 0.1);
    assert_true(fabs(listen_tempo(sound_of(piano), 93.75, 0.06) - 93.75) < 1.5);
    assert_true(fabs(listen_tempo(sound_of(beat), 150, 0.06) - 150) < 1.5);

    /* cymbals only where drums are asked for; bass only where it is; no notes in a drum solo */
    double pad_treble = listen_band(sound_of(pad), 6000, 16000);
    double beat_treble = listen_band(sound_of(beat), 6000, 16000);
    double band_treble = listen_band(sound_of(band), 6000, 16000);
    double pad_bass = listen_band(sound_of(pad), 70, 140) / listen_band(sound_of(pad), 140, 2100);
    double band_bass =
        listen_band(sound_of(band), 70, 140) / listen_band(sound_of(band), 140, 2100);
    print_message("treble: pad %.5f, drums %.5f, band %.5f; bass: pad %.3f, band %.3f\n",
                  pad_treble, beat_treble, band_treble, pad_bass, band_bass);
    assert_true(beat_treble > 10 * pad_treble);
    assert_true(band_treble > 5 * pad_treble);
    assert_true(band_bass > 2 * pad_bass);
    assert_true(listen_in_scale(sound_of(piano)) > 0.9);
    put_away(pad);
    put_away(piano);
    put_away(beat);
    put_away(band);
}

/* demo-reference.safetensors: computed by the original's code from the same files. */
static void recorded_case_is_reproduced(void **state)
{
    (void)state;
    ace_weights *reference = NULL;
    assert_int_equal(ace_weights_open(ACESTEP_SOURCE_DIR "/models/demo/demo-reference.safetensors",
                                      &reference, NULL),
                     ACESTEP_OK);
    const ace_weight *noise = ace_weights_find(reference, "noise");
    const ace_weight *ids = ace_weights_find(reference, "text_token_ids");
    const ace_weight *latents = ace_weights_find(reference, "target_latents");
    const ace_weight *head = ace_weights_find(reference, "wave_head");
    assert_non_null(noise);
    assert_non_null(ids);
    assert_non_null(latents);
    assert_non_null(head);
    const char *const options[][2] = {
        {"caption", ace_weights_metadata(reference, "caption")},
        {"lyrics", ace_weights_metadata(reference, "lyrics")},
        {"vocal_language", ace_weights_metadata(reference, "vocal_language")},
        {"bpm", ace_weights_metadata(reference, "bpm")},
        {"keyscale", ace_weights_metadata(reference, "keyscale")},
        {"timesignature", ace_weights_metadata(reference, "timesignature")},
        {"shift", ace_weights_metadata(reference, "shift")},
        {"duration", "5.12"}, /* 128 frames; the prompt says 5 seconds */
        {"seed", "1"},
        {NULL, NULL}};
    float *values = malloc(noise->bytes);
    assert_non_null(values);
    memcpy(values, noise->data, noise->bytes);
    demo_song *s = play(options, values);

    const ace_brief *brief = &s->job.brief[0];
    assert_int_equal(brief->text.n, ids->bytes / sizeof(int32_t));
    for (int64_t i = 0; i < brief->text.n; i++) {
        int32_t id = 0;
        memcpy(&id, (const char *)ids->data + i * 4, sizeof id);
        assert_int_equal(brief->text.ids[i], id);
    }
    double worst = 0;
    for (int64_t i = 0; i < s->finished.latents.rows * s->finished.latents.cols; i++) {
        float want = 0;
        memcpy(&want, (const char *)latents->data + i * 4, sizeof want);
        worst = fmax(worst, fabs((double)want - (double)s->finished.latents.values[i]));
    }
    print_message("latents differ by at most %.2g\n", worst);
    assert_true(worst < 2e-4);
    /* wave_head is channels-first: [1, 2, 1920] */
    double wave = 0;
    for (int64_t i = 0; i < 1920; i++) {
        for (int channel = 0; channel < 2; channel++) {
            float want = 0;
            memcpy(&want, (const char *)head->data + (channel * 1920 + i) * 4, sizeof want);
            wave =
                fmax(wave, fabs((double)want - (double)s->finished.audio.samples[2 * i + channel]));
        }
    }
    print_message("waveform differs by at most %.2g\n", wave);
    assert_true(wave < 2e-4);
    put_away(s);
    free(values);
    ace_weights_close(reference);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(demo_plays_what_the_caption_says),
        cmocka_unit_test(other_captions_sound_otherwise),
        cmocka_unit_test(recorded_case_is_reproduced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
