/* How a song is sampled: the settings between the noise and the final latents. A value; the custom
 * time steps are borrowed. */
#ifndef ACE_SAMPLE_SAMPLING_H
#define ACE_SAMPLE_SAMPLING_H

#include "sample/correction.h"
#include "sample/guidance.h"
#include "sample/schedule.h"

typedef enum ace_method {
    ACE_METHOD_EULER, /* "ode" */
    ACE_METHOD_HEUN,  /* second order, two evaluations a step */
    ACE_METHOD_SDE    /* jump to the data estimate, then noise it anew to the next level */
} ace_method;

typedef struct ace_sampling {
    bool turbo; /* distilled model: fixed schedules, no guidance */
    ace_method method;

    int steps;
    double shift;
    const double *timesteps; /* NULL, or instead of steps and shift; see ace_schedule_request */
    int n_timesteps;

    double guidance_scale; /* on above 1; turbo models ignore it */
    ace_guidance guidance;
    double cfg_interval_start, cfg_interval_end; /* guided while start ≤ t ≤ end, compared in f32 */
    bool always_evaluate_null; /* outside the interval too, where the result does not need it: for
                                  comparison with recordings of the original */

    double cover_strength;       /* share of the steps that see the source or the codes, 0 … 1 */
    double cover_noise_strength; /* > 0: start from the source, noised to level 1 − strength */

    double velocity_norm_threshold; /* 0: off */
    double velocity_ema_factor;     /* 0: off */
    ace_dcw dcw;

    double repaint_injection;  /* share of the steps after which the source is put back outside the
                                  repainted region, 0 … 1 */
    int64_t repaint_crossfade; /* frames, at the end; 0: no cross-fade */
} ace_sampling;

/* Turbo: 8 steps, shift 3, no guidance. Otherwise 32 steps, shift 1, APG at 7. The rest is off. */
void ace_sampling_defaults(bool turbo, ace_sampling *out);

/* Everything but the schedule, which ace_schedule_make checks. ARGUMENT error naming the option. */
ace_status ace_sampling_check(const ace_sampling *s, ace_error *err);

#endif
