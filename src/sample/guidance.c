#include "sample/guidance.h"

#include "base/checked.h"
#include "base/memory.h"

#include <math.h>
#include <string.h>

/* apg_guidance.py of the original. Its weight of the parallel part is 0. */
static const float MOMENTUM = -0.75f;
static const double NORM_THRESHOLD = 2.5;
static const double LEAST_NORM = 1e-12;

/* adg_forward there. 3.14 is the original's number, not π. */
static const double MOST_ANGLE = 3.14 / 6.0;
static const double LEAST_SINE = 1e-3;

ace_status ace_apg_create(int64_t items, int64_t frames, int64_t channels, ace_apg *out,
                          ace_error *err)
{
    size_t n = 0;
    *out = (ace_apg){.items = items, .frames = frames, .channels = channels};
    if (!ace_mul_overflows((size_t)items, (size_t)frames, &n) &&
        !ace_mul_overflows(n, (size_t)channels, &n)) {
        out->momentum = ace_calloc(n, sizeof *out->momentum);
        out->sums = ace_calloc(3 * (size_t)channels, sizeof *out->sums);
    }
    if (out->momentum == NULL || out->sums == NULL) {
        ace_apg_free(out);
        return ace_fail(err, ACESTEP_MEMORY, "guidance: no memory for %lld items of %lld frames",
                        (long long)items, (long long)frames);
    }
    return ACESTEP_OK;
}

void ace_apg_free(ace_apg *g)
{
    ace_free(g->momentum);
    ace_free(g->sums);
    *g = (ace_apg){.items = 0};
}

void ace_apg_guide(ace_apg *g, int64_t item, double scale, const float *v_null, float *v)
{
    int64_t channels = g->channels;
    float *r = g->momentum + item * g->frames * channels;
    double *rr = g->sums; /* Σ R², Σ v², Σ R·v over time */
    double *vv = rr + channels;
    double *rv = vv + channels;
    memset(g->sums, 0, 3 * (size_t)channels * sizeof *g->sums);
    for (int64_t t = 0; t < g->frames; t++) {
        for (int64_t c = 0; c < channels; c++) {
            int64_t i = t * channels + c;
            r[i] = v[i] - v_null[i] + MOMENTUM * r[i];
            rr[c] += (double)r[i] * (double)r[i];
            vv[c] += (double)v[i] * (double)v[i];
            rv[c] += (double)r[i] * (double)v[i];
        }
    }
    /* What is added: the difference, its norm limited, without its share along v. */
    for (int64_t c = 0; c < channels; c++) {
        double limit = fmin(1.0, NORM_THRESHOLD / sqrt(rr[c])); /* 1 when the norm is 0 */
        double norm = fmax(sqrt(vv[c]), LEAST_NORM);
        rr[c] = limit;
        rv[c] = limit * rv[c] / (norm * norm);
    }
    float gain = (float)(scale - 1.0);
    for (int64_t t = 0; t < g->frames; t++) {
        for (int64_t c = 0; c < channels; c++) {
            int64_t i = t * channels + c;
            double orthogonal = rr[c] * (double)r[i] - rv[c] * (double)v[i];
            v[i] += gain * (float)orthogonal;
        }
    }
}

/* The turn of one frame from its unconditional estimate b towards and past its conditional one a:
 * guided a = along_a·a + along_d·d + along_b·b, where d = a − b. */
typedef struct turn {
    double along_a, along_d, along_b;
} turn;

static turn adg_turn(double aa, double bb, double ab, double scale)
{
    double weight = fmax(scale - 1.0, 0.0) + 1e-3;
    double lengths = fmax(sqrt(aa) * sqrt(bb), LEAST_NORM);
    double angle = acos(fmax(-1.0, fmin(1.0, ab / lengths)));
    double wider = fmax(-MOST_ANGLE, fmin(MOST_ANGLE, weight * angle));
    double sine = sin(angle);
    double gain = sine > LEAST_SINE ? sin(wider) / sine : weight;
    double share = (ab - bb) / (bb + 1e-8); /* d·b / ‖b‖² */
    return (turn){.along_a = cos(wider), .along_d = gain, .along_b = -gain * share};
}

void ace_adg_guide(int64_t frames, int64_t channels, double scale, float t, const float *x,
                   const float *v_null, float *v)
{
    for (int64_t f = 0; f < frames; f++) {
        const float *xf = x + f * channels;
        const float *nf = v_null + f * channels;
        float *vf = v + f * channels;
        double aa = 0.0;
        double bb = 0.0;
        double ab = 0.0;
        for (int64_t c = 0; c < channels; c++) {
            double a = (double)(xf[c] - t * vf[c]);
            double b = (double)(xf[c] - t * nf[c]);
            aa += a * a;
            bb += b * b;
            ab += a * b;
        }
        turn to = adg_turn(aa, bb, ab, scale);
        for (int64_t c = 0; c < channels; c++) {
            double a = (double)(xf[c] - t * vf[c]);
            double b = (double)(xf[c] - t * nf[c]);
            double guided = to.along_a * a + to.along_d * (a - b) + to.along_b * b;
            vf[c] = (float)(((double)xf[c] - guided) / (double)t);
        }
    }
}

void ace_cfg_guide(int64_t n, double scale, const float *v_null, float *v)
{
    float s = (float)scale;
    for (int64_t i = 0; i < n; i++) {
        v[i] = v_null[i] + s * (v[i] - v_null[i]);
    }
}
