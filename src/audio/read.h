/* Recordings from files and uploads, brought to the form the engine works on: 48 kHz, stereo,
 * -1 … 1, finite. The kind of file is told by its first bytes, never by its name. The bytes are
 * untrusted: sizes are capped, and memory grows with what was decoded, never with what a header
 * claims. */
#ifndef ACE_AUDIO_READ_H
#define ACE_AUDIO_READ_H

#include "audio/audio.h"

#include <stddef.h>

/* What was put right on the way in; each deserves a warning to the caller's user. */
typedef enum ace_audio_repair {
    ACE_AUDIO_SHORT = 1,      /* the header promises more frames than the file holds */
    ACE_AUDIO_NOT_FINITE = 2, /* NaN or infinity became 0 */
    ACE_AUDIO_DROPPED = 4     /* channels after the second were left out */
} ace_audio_repair;

typedef struct ace_audio_source {
    int rate; /* of the file */
    int channels;
    int64_t frames;     /* decoded, at the file's rate, after trimming */
    unsigned repairs;   /* ace_audio_repair bits */
    const char *format; /* "WAV", "FLAC", … */
} ace_audio_source;

typedef struct ace_audio_limits {
    size_t max_bytes;   /* 0: 256 MB */
    double max_seconds; /* of what is kept; 0: 600 */
    double start;       /* seconds to leave out at the beginning, at most 3600 */
    double length;      /* seconds to keep at most, the rest is not read; 0: everything */
} ace_audio_limits;

/* limits and source may be NULL. On failure *out is empty and the message names the file and the
 * reason; status ACESTEP_AUDIO for content, ACESTEP_IO when the file cannot be opened. */
ace_status ace_audio_read(const char *path, const ace_audio_limits *limits, ace_audio *out,
                          ace_audio_source *source, ace_error *err);

/* name stands for the file in messages. */
ace_status ace_audio_read_memory(const void *data, size_t bytes, const char *name,
                                 const ace_audio_limits *limits, ace_audio *out,
                                 ace_audio_source *source, ace_error *err);

/* One line for a warning about the repairs, e.g. "song.wav: shorter than its header says; …".
 * Returns false and an empty text when there were none. */
bool ace_audio_repairs_text(const char *name, unsigned repairs, char *text, size_t capacity);

#endif
