#include "sample/repaint.h"

#include <math.h>
#include <stdbool.h>

int ace_repaint_injected_steps(int steps, double ratio)
{
    return (int)rint((double)steps * ratio);
}

static bool inside(const float *region, int64_t frame)
{
    return region[frame] > 0.5f;
}

void ace_repaint_inject(int64_t frames, int64_t channels, float level, const float *noise,
                        const float *source, const float *region, float *x)
{
    for (int64_t f = 0; f < frames; f++) {
        if (inside(region, f)) {
            continue;
        }
        for (int64_t i = f * channels; i < (f + 1) * channels; i++) {
            x[i] = level * noise[i] + (1.0f - level) * source[i];
        }
    }
}

/* Height of a ramp of up to `crossfade` frames at `distance` from the edge (1: next to it), when
 * `available` frames lie between the edge and the end of the song. */
static float ramp(int64_t distance, int64_t crossfade, int64_t available)
{
    int64_t length = available < crossfade ? available : crossfade;
    return distance > length ? 0.0f : (float)(length + 1 - distance) / (float)(length + 1);
}

/* Weight of the generated frame f: the higher of the ramps of the regions before and after it. */
static float weight(const float *region, int64_t frames, int64_t f, int64_t crossfade)
{
    if (inside(region, f)) {
        return 1.0f;
    }
    float w = 0.0f;
    for (int64_t d = 1; d <= crossfade && f - d >= 0; d++) {
        if (inside(region, f - d)) {
            w = ramp(d, crossfade, frames - (f - d) - 1);
            break;
        }
    }
    for (int64_t d = 1; d <= crossfade && f + d < frames; d++) {
        if (inside(region, f + d)) {
            w = fmaxf(w, ramp(d, crossfade, f + d));
            break;
        }
    }
    return w;
}

void ace_repaint_blend(int64_t frames, int64_t channels, int64_t crossfade, const float *source,
                       const float *region, float *x)
{
    for (int64_t f = 0; f < frames; f++) {
        float w = weight(region, frames, f, crossfade);
        if (w == 1.0f) {
            continue; /* generated frames stay as they are, to the bit */
        }
        for (int64_t i = f * channels; i < (f + 1) * channels; i++) {
            x[i] = w * x[i] + (1.0f - w) * source[i];
        }
    }
}
