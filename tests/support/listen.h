/* Ears for the tests: tempo, harmony and instruments measured in the sound itself.
 *
 * The demo model plays in D major / B minor in just intonation with D = 300 Hz, four chords, one bar each. */
#ifndef TESTS_SUPPORT_LISTEN_H
#define TESTS_SUPPORT_LISTEN_H

#include <stdint.h>

/* Interleaved stereo at 48 kHz. */
typedef struct heard_sound {
    const float *samples; /* [frames, 2] */
    int64_t frames;
} heard_sound;

/* Beats per minute near `expected` (searched within ±share of it): the strongest repetition of the
 * spectral flux over one to four beats. 0 when there are no onsets. */
double listen_tempo(heard_sound s, double expected, double share);

/* Share of the energy between 140 and 2100 Hz that lies within 35 cents of a tone of the scale. */
double listen_in_scale(heard_sound s);

/* Share of the energy on scale tones (75 … 1000 Hz) that lies on tones of the chord which the progression
 * prescribes for that bar. chords: e.g. "D A Bm G". */
double listen_chord_hits(heard_sound s, const char *chords, double beats_per_minute);

/* Root mean square between two frequencies, Hz. */
double listen_band(heard_sound s, double low, double high);

#endif
