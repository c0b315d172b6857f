/* The noise levels at which the network is evaluated: t = 1 is noise, t = 0 is data. */
#ifndef ACE_SAMPLE_SCHEDULE_H
#define ACE_SAMPLE_SCHEDULE_H

#include "base/status.h"

#include <stdbool.h>

enum { ACE_MAX_STEPS = 1000 };

typedef struct ace_schedule {
    int steps;
    float t[ACE_MAX_STEPS + 1]; /* t[0] ≥ t[1] ≥ … ≥ t[steps - 1] > t[steps] = 0 */
} ace_schedule;

typedef struct ace_schedule_request {
    bool turbo;
    int steps;               /* 1 … ACE_MAX_STEPS; turbo models always take 8 */
    double shift;            /* > 0; turbo: the nearest of 1, 2 and 3, halves go down */
    const double *timesteps; /* NULL: from steps and shift. Otherwise these levels, in [0, 1],
                                strictly falling; zeros at the end may be left out. Steps and shift
                                are then ignored. Turbo models take the first 20, each replaced by
                                the nearest level they were distilled for, and fall back to their
                                table when no level is above 0 */
    int n_timesteps;
} ace_schedule_request;

/* ARGUMENT error naming the value at fault. */
ace_status ace_schedule_make(const ace_schedule_request *request, ace_schedule *out,
                             ace_error *err);

/* Drops what lies before the step whose level is nearest (of two equally near, the earlier), for
 * runs that start from partly noised audio. */
void ace_schedule_start_at(ace_schedule *s, double level);

/* Steps that see the source or the codes: strength · steps, rounded towards 0. */
int ace_schedule_cover_steps(const ace_schedule *s, double strength);

#endif
