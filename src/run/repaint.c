#include "run/repaint.h"

#include <math.h>

/* acestep/core/generation/handler/generate_music.py, _resolve_repaint_config: a second of latents
 * and 50 ms of waveform where the source is kept closely, in proportion where it is balanced,
 * nothing where it is not kept. That is all the original reads; options that name a length win
 * here. */
ace_repaint_choice ace_repaint_choose(const ace_request *r)
{
    enum { AGGRESSIVE, BALANCED, CONSERVATIVE };
    const double latent_frames = 25;
    const double wave_seconds = 0.05;
    double keep = r->repaint_mode == CONSERVATIVE ? 1
                  : r->repaint_mode == BALANCED   ? 1 - r->repaint_strength
                                                  : 0;
    bool frames_asked = r->repaint_latent_crossfade_frames >= 0;
    bool seconds_asked = r->repaint_wav_crossfade_sec >= 0;
    return (ace_repaint_choice){
        .injection = keep,
        .latent_crossfade = frames_asked ? r->repaint_latent_crossfade_frames
                                         : (int64_t)nearbyint(latent_frames * keep),
        .splices = seconds_asked || r->repaint_mode != AGGRESSIVE,
        .crossfade_seconds = seconds_asked ? r->repaint_wav_crossfade_sec : wave_seconds * keep};
}
