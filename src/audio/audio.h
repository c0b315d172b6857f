/* Sound in memory. */
#ifndef ACE_AUDIO_AUDIO_H
#define ACE_AUDIO_AUDIO_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

/* The one rate and channel count of the engine: what the VAE takes and gives. */
enum { ACE_AUDIO_RATE = 48000, ACE_AUDIO_CHANNELS = 2 };

/* Names a person may use, for messages and help. */
#define ACE_AUDIO_INPUT_FORMATS "WAV, AIFF, FLAC, Ogg Vorbis, Ogg Opus, MP3"

/* Interleaved samples, [frames, channels], nominal range -1 … 1: the row layout the VAE works on.
 */
typedef struct ace_audio {
    float *samples; /* owned; NULL when empty */
    int64_t frames;
    int channels;
    int rate; /* frames per second */
} ace_audio;

/* Zeroed samples. On failure *out is empty. */
ace_status ace_audio_create(int64_t frames, int channels, int rate, ace_audio *out, ace_error *err);

/* Frees the samples and empties the structure; an empty one is fine. */
void ace_audio_free(ace_audio *audio);

/* Room for `frames` more after the present ones. capacity counts the frames there is room for and
 * is kept by the callee; the samples may move; growth by half keeps copying linear. */
ace_status ace_audio_reserve(ace_audio *out, int64_t *capacity, int64_t frames, ace_error *err);

/* Largest magnitude over frames and channels; 0 when there are none. NaN is passed over. */
float ace_audio_peak(const ace_audio *audio);

/* Nothing above 1e-6 anywhere: the reference treats such a recording as none at all. */
bool ace_audio_is_silent(const ace_audio *audio);

static inline double ace_audio_seconds(const ace_audio *audio)
{
    return audio->rate > 0 ? (double)audio->frames / audio->rate : 0.0;
}

#endif
