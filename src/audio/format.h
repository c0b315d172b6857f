/* Which kind of file to write, and how. */
#ifndef ACE_AUDIO_FORMAT_H
#define ACE_AUDIO_FORMAT_H

#include "audio/audio.h"

typedef enum ace_audio_kind {
    ACE_AUDIO_FLAC, /* 24 bit */
    ACE_AUDIO_FLAC16,
    ACE_AUDIO_WAV16,
    ACE_AUDIO_WAV24,
    ACE_AUDIO_WAV32, /* float: never clipped, never dithered */
    ACE_AUDIO_MP3,
    ACE_AUDIO_OPUS,  /* Ogg Opus, always 48 kHz */
    ACE_AUDIO_VORBIS /* Ogg Vorbis */
} ace_audio_kind;

typedef struct ace_audio_format {
    ace_audio_kind kind;
    int rate;             /* Hz of the file; 0: as the audio. Converted by soxr when it differs */
    int mp3_bitrate;      /* kbit/s, 32 … 320 */
    int mp3_vbr;          /* 0 (best) … 9, or -1: constant mp3_bitrate */
    int opus_bitrate;     /* kbit/s, 32 … 510 */
    float ogg_quality;    /* 0 … 10 */
    int flac_level;       /* 0 … 8, size only */
    bool dither;          /* 16 bit: triangular noise of ±1 step instead of rounding distortion */
    uint64_t dither_seed; /* the same seed gives the same file */
} ace_audio_format;

/* Names for messages and help. */
#define ACE_AUDIO_OUTPUT_FORMATS "flac, flac16, wav16, wav24, wav32, mp3, opus, ogg"

/* The defaults of a kind. */
ace_audio_format ace_audio_format_default(ace_audio_kind kind);

/* flac (also flac24), flac16, wav (= wav16), wav16, wav24, wav32, mp3, opus, ogg (also vorbis); any
 * case. ACESTEP_ARGUMENT for other names; the message lists these. */
ace_status ace_audio_format_parse(const char *name, ace_audio_format *out, ace_error *err);

/* By the path's ending: .flac .wav .mp3 .opus .ogg (.oga). */
ace_status ace_audio_format_for_path(const char *path, ace_audio_format *out, ace_error *err);

/* Options within their ranges? The message names the option and its range. */
ace_status ace_audio_format_check(const ace_audio_format *format, ace_error *err);

const char *ace_audio_format_name(ace_audio_kind kind);       /* "flac", "wav16", … */
const char *ace_audio_format_extension(ace_audio_kind kind);  /* "flac", "wav", "ogg", … */
const char *ace_audio_format_media_type(ace_audio_kind kind); /* "audio/flac", … */

#endif
