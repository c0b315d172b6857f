/* The loop from noise to latents: on the host in f32, whatever computes the velocities. It knows no
 * network; that is a callback's business. Items of a batch do not influence each other: each comes
 * out as it would alone, to the bit, if its velocities do. */
#ifndef ACE_SAMPLE_SOLVER_H
#define ACE_SAMPLE_SOLVER_H

#include "sample/sampling.h"

/* The network at latents x and noise level t: v_cond under the condition and, when guided, v_null
 * under the empty one; all [items, frames, channels]. condition 0 is the request's own; 1 replaces
 * it once the share cover_strength of the steps is done (text only, silence as source). All
 * pointers are NULL when planning, v_null also when not guided. Any other status than OK (say,
 * CANCELLED) ends the run with it. */
typedef ace_status ace_velocity(void *context, const float *x, float t, int condition, bool guided,
                                float *v_cond, float *v_null);

/* Standard normals [frames, channels] for a stochastic step of one item. */
typedef ace_status ace_step_noise(void *context, int64_t item, int step, float *out);

/* One evaluation, as the network gave it: before guidance and corrections. */
typedef struct ace_evaluation {
    int step;
    bool corrector; /* the second evaluation of a Heun step */
    float t;
    const float *x, *v_cond,
        *v_null; /* [items, frames, channels]; v_null NULL when not evaluated */
} ace_evaluation;

typedef void ace_trace(void *context, const ace_evaluation *evaluation);

typedef struct ace_solver_io {
    int64_t items, frames, channels;
    const float *noise; /* [items, frames, channels]. NULL: planning. The callbacks then come in the
                           same order without data, and nothing is computed or allocated */
    const float *source; /* clean latents, same shape; needed for cover_noise_strength > 0 and for a
                            region, else NULL */
    const float *region; /* [items, frames], 1 where an item is generated and 0 where its source is
                            kept (all 1: no region); NULL when no item has a region */
    float *latents;      /* result [items, frames, channels]; may be noise itself unless a region is
                            given */
    ace_velocity *velocity;
    ace_step_noise *step_noise; /* needed for ACE_METHOD_SDE */
    ace_trace *trace;           /* may be NULL */
    void *context;              /* of all three */
} ace_solver_io;

/* The levels and the number of steps under condition 0 that a run with these settings will have. */
ace_status ace_solver_schedule(const ace_sampling *s, ace_schedule *schedule, int *cover_steps,
                               ace_error *err);

/* Errors: ARGUMENT (settings, or an input that they need is missing), MEMORY, FAILED when a
 * velocity is not a number, naming step and item, or whatever a callback returned. On failure the
 * content of io->latents is undefined. */
ace_status ace_solver_run(const ace_sampling *s, const ace_solver_io *io, ace_error *err);

#endif
