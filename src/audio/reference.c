#include "audio/reference.h"

#include <string.h>

void ace_reference_pieces(int64_t n, int64_t piece_frames, const double u[ACE_REFERENCE_PIECES],
                          int64_t start[ACE_REFERENCE_PIECES])
{
    int64_t together = ACE_REFERENCE_PIECES * piece_frames;
    int64_t repeated = n > 0 && n < together ? (together + n - 1) / n * n : n;
    int64_t third = repeated / ACE_REFERENCE_PIECES;
    for (int i = 0; i < ACE_REFERENCE_PIECES; i++) {
        int64_t room = i == ACE_REFERENCE_PIECES - 1 ? repeated - 2 * third : third;
        int64_t slack = room > piece_frames ? room - piece_frames : 0;
        int64_t offset = (int64_t)(u[i] * (double)(slack + 1));
        start[i] = third * i + (offset < 0 ? 0 : offset > slack ? slack : offset);
    }
}

ace_status ace_reference_cut(const ace_audio *in, const double u[ACE_REFERENCE_PIECES],
                             ace_audio *out, ace_error *err)
{
    memset(out, 0, sizeof *out);
    if (in->channels != ACE_AUDIO_CHANNELS || in->rate != ACE_AUDIO_RATE) {
        return ace_fail(err, ACESTEP_ARGUMENT,
                        "reference audio has %d channels at %d Hz; need 2 at 48000", in->channels,
                        in->rate);
    }
    if (ace_audio_is_silent(in)) {
        return ace_fail(err, ACESTEP_AUDIO, "the reference audio is silent; use another recording");
    }
    ace_status status =
        ace_audio_create(ACE_REFERENCE_FRAMES, ACE_AUDIO_CHANNELS, ACE_AUDIO_RATE, out, err);
    if (status != ACESTEP_OK) {
        return status;
    }
    int64_t start[ACE_REFERENCE_PIECES];
    ace_reference_pieces(in->frames, ACE_REFERENCE_PIECE_FRAMES, u, start);
    for (int i = 0; i < ACE_REFERENCE_PIECES; i++) {
        float *piece = out->samples + (int64_t)i * ACE_REFERENCE_PIECE_FRAMES * ACE_AUDIO_CHANNELS;
        for (int64_t f = 0; f < ACE_REFERENCE_PIECE_FRAMES; f++) {
            const float *from = in->samples + (start[i] + f) % in->frames * ACE_AUDIO_CHANNELS;
            piece[f * ACE_AUDIO_CHANNELS] = from[0];
            piece[f * ACE_AUDIO_CHANNELS + 1] = from[1];
        }
    }
    return ACESTEP_OK;
}
