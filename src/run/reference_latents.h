/* The cut of a reference that was given as latents: what the timbre encoder hears of it. */
#ifndef ACE_RUN_REFERENCE_LATENTS_H
#define ACE_RUN_REFERENCE_LATENTS_H

#include "audio/reference.h"
#include "run/array.h"

/* A third of `rows` frames each from the front, the middle and the back, one after another, as
 * ace_reference_cut does it with samples: with 750 rows ten seconds each. Latents of just so many
 * frames come out as they are. u places the pieces. */
ace_status ace_reference_latents_cut(const ace_array *in, int64_t rows,
                                     const double u[ACE_REFERENCE_PIECES], ace_array *out,
                                     ace_error *err);

#endif
