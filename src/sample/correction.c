#include "sample/correction.h"

#include <math.h>

static double norm(int64_t n, const float *x)
{
    double sum = 0.0;
    for (int64_t i = 0; i < n; i++) {
        sum += (double)x[i] * (double)x[i];
    }
    return sqrt(sum);
}

void ace_velocity_clamp(int64_t n, double threshold, const float *x, float *v)
{
    double limit = threshold * (norm(n, x) + 1e-10) / (norm(n, v) + 1e-10);
    if (limit >= 1.0) {
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        v[i] *= (float)limit;
    }
}

void ace_velocity_smooth(int64_t n, double factor, const float *previous, float *v)
{
    float keep = (float)(1.0 - factor);
    float take = (float)factor;
    for (int64_t i = 0; i < n; i++) {
        v[i] = keep * v[i] + take * previous[i];
    }
}

static void band_strengths(const ace_dcw *dcw, float t, float *low, float *high)
{
    double level = (double)t;
    *low = 0.0f;
    *high = 0.0f;
    switch (dcw->mode) {
    case ACE_DCW_OFF:
        break;
    case ACE_DCW_LOW:
        *low = (float)(level * dcw->scaler);
        break;
    case ACE_DCW_HIGH:
        *high = (float)((1.0 - level) * dcw->scaler);
        break;
    case ACE_DCW_DOUBLE:
        *low = (float)(level * dcw->scaler);
        *high = (float)((1.0 - level) * dcw->high_scaler);
        break;
    case ACE_DCW_PIXEL: /* equal strength in both bands is no transform at all */
        *low = (float)dcw->scaler;
        *high = (float)dcw->scaler;
        break;
    }
}

void ace_dcw_apply(const ace_dcw *dcw, float t, int64_t frames, int64_t channels, const float *data,
                   float *x)
{
    float low;
    float high;
    band_strengths(dcw, t, &low, &high);
    for (int64_t f = 0; f < frames; f += 2) {
        for (int64_t c = 0; c < channels; c++) {
            int64_t i = f * channels + c;
            int64_t j = i + channels;
            float first = x[i] - data[i];
            float second = f + 1 < frames ? x[j] - data[j] : 0.0f; /* padded with one zero frame */
            float mean = 0.5f * low * (first + second);
            float half = 0.5f * high * (first - second);
            x[i] += mean + half;
            if (f + 1 < frames) {
                x[j] += mean - half;
            }
        }
    }
}
