#include "sample/schedule.h"

#include <math.h>
#include <string.h>

enum { TURBO_STEPS = 8, TURBO_SHIFTS = 3, TURBO_MOST = 20, TURBO_LEVELS = 20 };

/* Larger shifts crowd the levels closer than f32 can tell apart. */
static const double MOST_SHIFT = 100.0;

/* The levels of the distilled models for shift 1, 2 and 3 (SHIFT_TIMESTEPS in
 * modeling_acestep_v15_turbo.py). */
static const double turbo_table[TURBO_SHIFTS][TURBO_STEPS] = {
    {1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125},
    {1.0, 0.9333333333333333, 0.8571428571428571, 0.7692307692307693, 0.6666666666666666,
     0.5454545454545454, 0.4, 0.2222222222222222},
    {1.0, 0.9545454545454546, 0.9, 0.8333333333333334, 0.75, 0.6428571428571429, 0.5, 0.3},
};

/* All of them, falling (VALID_TIMESTEPS there). */
static const double turbo_levels[TURBO_LEVELS] = {
    1.0,
    0.9545454545454546,
    0.9333333333333333,
    0.9,
    0.875,
    0.8571428571428571,
    0.8333333333333334,
    0.7692307692307693,
    0.75,
    0.6666666666666666,
    0.6428571428571429,
    0.625,
    0.5454545454545454,
    0.5,
    0.4,
    0.375,
    0.3,
    0.25,
    0.2222222222222222,
    0.125,
};

static void take_turbo_table(double shift, ace_schedule *out)
{
    int row = shift <= 1.5 ? 0 : shift <= 2.5 ? 1 : 2;
    out->steps = TURBO_STEPS;
    for (int i = 0; i < TURBO_STEPS; i++) {
        out->t[i] = (float)turbo_table[row][i];
    }
}

/* Point i of n + 1 evenly spaced points from 1 to 0, rounded as torch.linspace does: counted from
 * the nearer end. */
static float evenly_spaced(int i, int n)
{
    float step = -1.0f / (float)n;
    return i < (n + 1) / 2 ? 1.0f + step * (float)i : -step * (float)(n - i);
}

static void take_formula(int steps, double shift, ace_schedule *out)
{
    float s = (float)shift;
    out->steps = steps;
    for (int i = 0; i < steps; i++) {
        float t = evenly_spaced(i, steps);
        out->t[i] = s * t / (1.0f + (s - 1.0f) * t);
    }
}

static double nearest_turbo_level(double t)
{
    double best = turbo_levels[0];
    for (int i = 1; i < TURBO_LEVELS; i++) {
        if (fabs(turbo_levels[i] - t) < fabs(best - t)) {
            best = turbo_levels[i];
        }
    }
    return best;
}

static ace_status check_timesteps(const double *t, int n, ace_error *err)
{
    if (n > ACE_MAX_STEPS) {
        return ace_fail(err, ACESTEP_ARGUMENT, "timesteps: %d values, at most %d are possible", n,
                        ACE_MAX_STEPS);
    }
    for (int i = 0; i < n; i++) {
        if (!(t[i] >= 0.0 && t[i] <= 1.0)) {
            return ace_fail(err, ACESTEP_ARGUMENT, "timesteps: value %d is %g, not in 0 to 1",
                            i + 1, t[i]);
        }
        if (i > 0 && !((float)t[i] < (float)t[i - 1])) {
            return ace_fail(err, ACESTEP_ARGUMENT,
                            "timesteps: value %d (%g) is not below the one before it (%g)", i + 1,
                            t[i], t[i - 1]);
        }
    }
    return ACESTEP_OK;
}

static ace_status take_timesteps(const ace_schedule_request *r, int n, ace_schedule *out,
                                 ace_error *err)
{
    ace_status status = check_timesteps(r->timesteps, n, err);
    if (status != ACESTEP_OK) {
        return status;
    }
    if (n > 0 && (float)r->timesteps[n - 1] == 0.0f) { /* below what f32 can hold */
        return ace_fail(err, ACESTEP_ARGUMENT, "timesteps: value %d (%g) is too small", n,
                        r->timesteps[n - 1]);
    }
    out->steps = r->turbo && n > TURBO_MOST ? TURBO_MOST : n;
    for (int i = 0; i < out->steps; i++) {
        double t = r->timesteps[i];
        out->t[i] = (float)(r->turbo ? nearest_turbo_level(t) : t);
    }
    return ACESTEP_OK;
}

static int without_trailing_zeros(const double *t, int n)
{
    while (n > 0 && t[n - 1] == 0.0) {
        n--;
    }
    return n;
}

static ace_status check_steps_and_shift(const ace_schedule_request *r, ace_error *err)
{
    if (!r->turbo && (r->steps < 1 || r->steps > ACE_MAX_STEPS)) {
        return ace_fail(err, ACESTEP_ARGUMENT, "inference_steps: %d is not in 1 to %d", r->steps,
                        ACE_MAX_STEPS);
    }
    if (!(r->shift > 0.0 && r->shift <= MOST_SHIFT)) {
        return ace_fail(err, ACESTEP_ARGUMENT, "shift: %g is not above 0 and at most %g", r->shift,
                        MOST_SHIFT);
    }
    return ACESTEP_OK;
}

ace_status ace_schedule_make(const ace_schedule_request *request, ace_schedule *out, ace_error *err)
{
    ace_status status = ACESTEP_OK;
    int given = request->timesteps == NULL
                    ? 0
                    : without_trailing_zeros(request->timesteps, request->n_timesteps);
    bool only_zeros = request->timesteps != NULL && request->n_timesteps > 0 && given == 0;
    if (only_zeros && !request->turbo) {
        return ace_fail(err, ACESTEP_ARGUMENT, "timesteps: no value is above 0");
    }
    *out = (ace_schedule){.steps = 0};
    if (given > 0) {
        return take_timesteps(request, given, out, err);
    }
    status = check_steps_and_shift(request, err);
    if (status != ACESTEP_OK) {
        return status;
    }
    if (request->turbo) {
        take_turbo_table(request->shift, out);
    } else {
        take_formula(request->steps, request->shift, out);
    }
    return ACESTEP_OK;
}

void ace_schedule_start_at(ace_schedule *s, double level)
{
    int nearest = 0;
    for (int i = 1; i < s->steps; i++) {
        if (fabs((double)s->t[i] - level) < fabs((double)s->t[nearest] - level)) {
            nearest = i;
        }
    }
    s->steps -= nearest;
    memmove(s->t, s->t + nearest, (size_t)(s->steps + 1) * sizeof s->t[0]);
}

int ace_schedule_cover_steps(const ace_schedule *s, double strength)
{
    return (int)((double)s->steps * strength);
}
