#include "sample/sampling.h"

#include <math.h>
#include <stddef.h>

void ace_sampling_defaults(bool turbo, ace_sampling *out)
{
    *out = (ace_sampling){
        .turbo = turbo,
        .method = ACE_METHOD_EULER,
        .steps = turbo ? 8 : 32,
        .shift = turbo ? 3.0 : 1.0,
        .guidance_scale = turbo ? 1.0 : 7.0,
        .guidance = ACE_GUIDANCE_APG,
        .cfg_interval_start = 0.0,
        .cfg_interval_end = 1.0,
        .cover_strength = 1.0,
        .dcw = {.mode = ACE_DCW_OFF, .scaler = 0.05, .high_scaler = 0.02},
    };
}

typedef struct bound {
    const char *option;
    double value, least, most;
} bound;

ace_status ace_sampling_check(const ace_sampling *s, ace_error *err)
{
    const bound bounds[] = {
        {"guidance_scale", s->guidance_scale, 0.0, 100.0},
        {"cfg_interval_start", s->cfg_interval_start, 0.0, 1.0},
        {"cfg_interval_end", s->cfg_interval_end, s->cfg_interval_start, 1.0},
        {"audio_cover_strength", s->cover_strength, 0.0, 1.0},
        {"cover_noise_strength", s->cover_noise_strength, 0.0, 1.0},
        {"velocity_norm_threshold", s->velocity_norm_threshold, 0.0, HUGE_VAL},
        {"velocity_ema_factor", s->velocity_ema_factor, 0.0, 1.0},
        {"dcw_scaler", s->dcw.scaler, 0.0, 1.0},
        {"dcw_high_scaler", s->dcw.high_scaler, 0.0, 1.0},
        {"repaint injection", s->repaint_injection, 0.0, 1.0},
        {"repaint_latent_crossfade_frames", (double)s->repaint_crossfade, 0.0, 250.0},
    };
    for (size_t i = 0; i < sizeof bounds / sizeof bounds[0]; i++) {
        const bound *b = &bounds[i];
        if (!(b->value >= b->least && b->value <= b->most)) { /* NaN too */
            return ace_fail(err, ACESTEP_ARGUMENT, "%s: %g is not in %g to %g", b->option, b->value,
                            b->least, b->most);
        }
    }
    return ACESTEP_OK;
}
