/* Keeping what lies outside a repainted region: during sampling by putting the source back at the
 * current noise level, at the end by a cross-fade. region is [frames], 1 inside (generated anew)
 * and 0 outside (kept). One item at a time. */
#ifndef ACE_SAMPLE_REPAINT_H
#define ACE_SAMPLE_REPAINT_H

#include <stdint.h>

/* Steps after which the source is put back: ratio · steps, halves to even. */
int ace_repaint_injected_steps(int steps, double ratio);

/* Frames outside: x ← level·noise + (1 − level)·source. noise, source, x: [frames, channels]. */
void ace_repaint_inject(int64_t frames, int64_t channels, float level, const float *noise,
                        const float *source, const float *region, float *x);

/* x ← w·x + (1 − w)·source, where w is 1 inside and falls to 0 over `crossfade` frames outside each
 * edge, fewer where the song ends before that. */
void ace_repaint_blend(int64_t frames, int64_t channels, int64_t crossfade, const float *source,
                       const float *region, float *x);

#endif
