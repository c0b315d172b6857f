/* Classifier-free guidance: from the velocity under the condition and the one under the empty
 * condition to the velocity that is followed. All work on one item and in place: v comes in
 * conditional and leaves guided. */
#ifndef ACE_SAMPLE_GUIDANCE_H
#define ACE_SAMPLE_GUIDANCE_H

#include "base/status.h"

#include <stdint.h>

typedef enum ace_guidance {
    ACE_GUIDANCE_APG, /* adaptive projected guidance */
    ACE_GUIDANCE_ADG, /* angle-based dynamic guidance */
    ACE_GUIDANCE_CFG  /* plain */
} ace_guidance;

/* Adaptive projected guidance (Sadat, Hilliges, Weber, "Eliminating oversaturation and artifacts of
 * high guidance scales in diffusion models", 2024) with reverse momentum. Remembers the running
 * difference of every item. Owns its buffers; one thread at a time. */
typedef struct ace_apg {
    int64_t items, frames, channels;
    float *momentum; /* [items, frames, channels], starts at 0 */
    double *sums;    /* [3, channels], scratch */
} ace_apg;

ace_status ace_apg_create(int64_t items, int64_t frames, int64_t channels, ace_apg *out,
                          ace_error *err);
void ace_apg_free(ace_apg *g); /* zeroed is fine */

/* v_null, v: [frames, channels] of one item. Norms and projections run along time, per channel. */
void ace_apg_guide(ace_apg *g, int64_t item, double scale, const float *v_null, float *v);

/* Turns each frame's data estimate x − t·v by an angle. x, v_null, v: [frames, channels]; t > 0. */
void ace_adg_guide(int64_t frames, int64_t channels, double scale, float t, const float *x,
                   const float *v_null, float *v);

/* v ← v_null + scale·(v − v_null), n numbers. */
void ace_cfg_guide(int64_t n, double scale, const float *v_null, float *v);

#endif
