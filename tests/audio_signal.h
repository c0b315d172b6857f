/* Signals and measures shared by the tests of src/audio. */
#ifndef TESTS_AUDIO_SIGNAL_H
#define TESTS_AUDIO_SIGNAL_H

#include "audio/audio.h"

#include <math.h>
#include <stdlib.h>

#define SIGNAL_PI 3.14159265358979323846

/* A sine of the amplitude in every channel; channel c starts c / 8 turns later. */
static inline ace_audio signal_sine(int64_t frames, int channels, int rate, double hertz,
                                    double amplitude)
{
    ace_audio audio;
    if (ace_audio_create(frames, channels, rate, &audio, NULL) != ACESTEP_OK) {
        abort();
    }
    for (int64_t i = 0; i < frames; i++) {
        for (int c = 0; c < channels; c++) {
            double turns = hertz * (double)i / rate + c / 8.0;
            audio.samples[i * channels + c] = (float)(amplitude * sin(2.0 * SIGNAL_PI * turns));
        }
    }
    return audio;
}

/* dB between the sine of that frequency found in one channel and everything else there, leaving out
 * `margin` frames at both ends. Any phase and gain are accepted, so delays do not matter. */
static inline double signal_snr(const ace_audio *audio, int channel, double hertz, int64_t margin)
{
    double ss = 0, cc = 0, sc = 0, xs = 0, xc = 0;
    for (int64_t i = margin; i < audio->frames - margin; i++) {
        double angle = 2.0 * SIGNAL_PI * hertz * (double)i / audio->rate;
        double s = sin(angle);
        double c = cos(angle);
        double x = (double)audio->samples[i * audio->channels + channel];
        ss += s * s;
        cc += c * c;
        sc += s * c;
        xs += x * s;
        xc += x * c;
    }
    double det = ss * cc - sc * sc;
    double a = (xs * cc - xc * sc) / det;
    double b = (xc * ss - xs * sc) / det;
    double signal = a * a * ss + 2 * a * b * sc + b * b * cc;
    double noise = 0;
    for (int64_t i = margin; i < audio->frames - margin; i++) {
        double angle = 2.0 * SIGNAL_PI * hertz * (double)i / audio->rate;
        double rest =
            (double)audio->samples[i * audio->channels + channel] - a * sin(angle) - b * cos(angle);
        noise += rest * rest;
    }
    return 10.0 * log10(signal / (noise > 0 ? noise : 1e-300));
}

#endif
