/* One recording put into another: what a part that was made anew borders on is the source itself.
 */
#ifndef ACE_AUDIO_SPLICE_H
#define ACE_AUDIO_SPLICE_H

#include "audio/audio.h"

/* Frames [start, end) stay, the others become the source's. Before and behind the region the audio
 * fades in and out over `fade` frames, fewer where the recording begins or ends before that; what
 * lies behind the source's end stays. In place, and each frame by itself. The same channels and
 * rate in both. */
void ace_audio_splice(ace_audio *audio, const ace_audio *source, int64_t start, int64_t end,
                      int64_t fade);

#endif
