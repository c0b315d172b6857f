/* How closely repainting keeps what it does not make anew: what a request's options come to. */
#ifndef ACE_RUN_REPAINT_H
#define ACE_RUN_REPAINT_H

#include "run/request.h"

typedef struct ace_repaint_choice {
    double injection;         /* share of the steps after which the source is put back */
    int64_t latent_crossfade; /* frames of latents */
    bool splices;             /* outside the region the song is the recording itself, … */
    double crossfade_seconds; /* … after a fade as long as this */
} ace_repaint_choice;

ace_repaint_choice ace_repaint_choose(const ace_request *r);

#endif
