/* The cut of a reference recording that the timbre encoder hears. */
#ifndef ACE_AUDIO_REFERENCE_H
#define ACE_AUDIO_REFERENCE_H

#include "audio/audio.h"

enum {
    ACE_REFERENCE_PIECES = 3,
    ACE_REFERENCE_PIECE_FRAMES = 10 * ACE_AUDIO_RATE,
    ACE_REFERENCE_FRAMES = ACE_REFERENCE_PIECES * ACE_REFERENCE_PIECE_FRAMES /* 1,440,000 */
};

/* Where the pieces of a recording of n frames begin, which is repeated when it is shorter than they
 * are together: one in each third, within which u in [0, 1) places it. Positions are modulo n. */
void ace_reference_pieces(int64_t n, int64_t piece_frames, const double u[ACE_REFERENCE_PIECES],
                          int64_t start[ACE_REFERENCE_PIECES]);

/* Ten seconds each from the front, the middle and the back third of the recording (48 kHz stereo),
 * one after another: exactly ACE_REFERENCE_FRAMES. A recording below 30 s is repeated until it is
 * long enough. u, each in [0, 1), places the pieces within their thirds; the reference draws them
 * at random, our callers from the song's seed. ACESTEP_AUDIO when the recording is silent or empty.
 */
ace_status ace_reference_cut(const ace_audio *in, const double u[ACE_REFERENCE_PIECES],
                             ace_audio *out, ace_error *err);

#endif
