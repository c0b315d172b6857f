/* Optional corrections of velocities and latents, all off by default. One item at a time. */
#ifndef ACE_SAMPLE_CORRECTION_H
#define ACE_SAMPLE_CORRECTION_H

#include <stdint.h>

/* Shortens v so that ‖v‖ ≤ threshold·‖x‖, norms over all n numbers. */
void ace_velocity_clamp(int64_t n, double threshold, const float *x, float *v);

/* v ← (1 − factor)·v + factor·previous. */
void ace_velocity_smooth(int64_t n, double factor, const float *previous, float *v);

/* Differential correction in the wavelet domain: pulls the latents of the next level away from the
 * current estimate of the data, low and high band of a one-level Haar transform along time with
 * their own strength. */
typedef enum ace_dcw_mode {
    ACE_DCW_OFF,
    ACE_DCW_LOW,    /* low band, t·scaler */
    ACE_DCW_HIGH,   /* high band, (1 − t)·scaler */
    ACE_DCW_DOUBLE, /* both: t·scaler and (1 − t)·high_scaler */
    ACE_DCW_PIXEL   /* no transform: scaler at every level */
} ace_dcw_mode;

typedef struct ace_dcw {
    ace_dcw_mode mode;
    double scaler;      /* 0.05 */
    double high_scaler; /* 0.02 */
} ace_dcw;

/* x: latents after the step from t; data: the estimate x_before − t·v; both [frames, channels]. */
void ace_dcw_apply(const ace_dcw *dcw, float t, int64_t frames, int64_t channels, const float *data,
                   float *x);

#endif
