/* The recorded sample_* cases: settings, inputs, and a network that answers with the recorded
 * velocities and remembers what it was asked. */
#ifndef TESTS_SUPPORT_SAMPLING_CASE_H
#define TESTS_SUPPORT_SAMPLING_CASE_H

#include "sample/solver.h"
#include "support/golden.h"

typedef struct sampling_case {
    golden g;
    ace_sampling sampling;
    double timesteps[32];
    int64_t items, frames, channels;
    int64_t rows; /* of an evaluation: items, or twice that with guidance */
    float *noise, *source, *step_noise;
    bool has_trajectory;
} sampling_case;

/* Stays where it is: its settings point into it. */
void sampling_case_open(const char *name, sampling_case *c);
void sampling_case_close(sampling_case *c);

#endif
