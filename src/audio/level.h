/* Loudness: bringing a song to its level, fades, and what a listener's meter would show. */
#ifndef ACE_AUDIO_LEVEL_H
#define ACE_AUDIO_LEVEL_H

#include "audio/audio.h"

typedef enum ace_level_mode {
    ACE_LEVEL_PEAK,      /* largest magnitude to target_db */
    ACE_LEVEL_NONE,      /* as it is */
    ACE_LEVEL_LUFS,      /* integrated loudness to target_lufs, true peak at most -1 dBTP */
    ACE_LEVEL_PERCENTILE /* all but peak_clip of a million magnitudes up to 1, those cut */
} ace_level_mode;

typedef struct ace_level_options {
    ace_level_mode mode;
    double target_db;   /* dBFS, -60 … 0; default -1 */
    double target_lufs; /* LUFS, -70 … 0; default -14 */
    int peak_clip;      /* millionths, 0 … 999; default 10 */
    double fade_in;     /* seconds, >= 0 */
    double fade_out;
} ace_level_options;

/* peak, -1 dBFS, -14 LUFS, 10, no fades: the reference's defaults. */
ace_level_options ace_level_options_default(void);

/* "peak", "none", "lufs", "percentile". */
ace_status ace_level_mode_parse(const char *name, ace_level_mode *out, ace_error *err);

/* The reference's first step after decoding, which every mode but NONE begins with: a song whose
 * peak exceeds 1 is divided by it. */
void ace_level_fit(ace_audio *audio);

/* Level, then fades, in place. Peaks below 1e-6 are silence and stay. */
ace_status ace_level_apply(ace_audio *audio, const ace_level_options *options, ace_error *err);

/* Linear ramps; each at most the whole length. */
void ace_level_fade(ace_audio *audio, double in_seconds, double out_seconds);

/* What silence reads in dB, so that reports hold finite numbers only. */
#define ACE_LEVEL_FLOOR_DB (-120.0)

typedef struct ace_level_report {
    double peak_db;          /* dBFS of the largest sample */
    double true_peak_db;     /* dBTP: peak between the samples too, 4 × oversampled (BS.1770) */
    double lufs;             /* integrated loudness (EBU R 128) */
    int64_t clipped;         /* samples of magnitude 1 and above */
    int64_t not_finite;      /* NaN and infinities */
    double leading_silence;  /* seconds below -60 dBFS at the beginning … */
    double trailing_silence; /* … and at the end; both the whole length when all is silent */
} ace_level_report;

ace_status ace_level_measure(const ace_audio *audio, ace_level_report *out, ace_error *err);

#endif
