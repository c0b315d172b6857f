/* acestep/core/generation/handler/repaint_waveform_splice.py: linear ramps outside the region,
 * whose values are k / (n + 1) for the n frames that there are. */
#include "audio/splice.h"

#include <string.h>

static int64_t within(int64_t value, int64_t low, int64_t high)
{
    return value < low ? low : value > high ? high : value;
}

static void copy(ace_audio *audio, const ace_audio *source, int64_t from, int64_t to)
{
    if (to > from) {
        memcpy(audio->samples + from * audio->channels, source->samples + from * audio->channels,
               (size_t)((to - from) * audio->channels) * sizeof *audio->samples);
    }
}

/* Frame from + i weighs (i + 1) / (n + 1), or, falling, (n - i) / (n + 1). */
static void cross_fade(ace_audio *audio, const ace_audio *source, int64_t from, int64_t n,
                       bool rises)
{
    for (int64_t i = 0; i < n; i++) {
        float w = (float)(rises ? i + 1 : n - i) / (float)(n + 1);
        int64_t first = (from + i) * audio->channels;
        for (int64_t k = first; k < first + audio->channels; k++) {
            audio->samples[k] = w * audio->samples[k] + (1.0f - w) * source->samples[k];
        }
    }
}

void ace_audio_splice(ace_audio *audio, const ace_audio *source, int64_t start, int64_t end,
                      int64_t fade)
{
    int64_t frames = audio->frames < source->frames ? audio->frames : source->frames;
    start = within(start, 0, frames);
    end = within(end, start, frames);
    int64_t before = within(fade, 0, start);
    int64_t behind = within(fade, 0, frames - end);
    copy(audio, source, 0, start - before);
    cross_fade(audio, source, start - before, before, true);
    cross_fade(audio, source, end, behind, false);
    copy(audio, source, end + behind, frames);
}
