/* The timbre of silence: what the condition encoder hears where no reference is given. It depends
 * on the checkpoint and on how the device computes, and on nothing else, while hearing it is nine
 * tenths of the stage's work: so it is heard once, and kept in memory and in the cache on disk.
 *
 * Whether it is known is part of a plan: it becomes known only when a stage has ended. */
#ifndef ACE_RUN_SILENCE_TIMBRE_H
#define ACE_RUN_SILENCE_TIMBRE_H

#include "run/models.h"
#include "run/pack_cache.h"

typedef struct ace_silence_timbre {
    float *states[2]; /* [encoder.hidden], owned: with plain and with int8 weights; NULL: unknown */
    int64_t width;
    ace_digest key[2];
    bool has_keys; /* false: in memory only */
    ace_pack_cache *cache;
} ace_silence_timbre;

/* How the numbers come about. */
typedef struct ace_timbre_numerics {
    ace_dtype plain, activation;
    int device; /* ace_cpu_device_numerics */
} ace_timbre_numerics;

/* Looks up what an earlier engine has kept. Borrows the cache. */
void ace_silence_timbre_open(ace_silence_timbre *t, const ace_models *models,
                             const ace_timbre_numerics *numerics, ace_pack_cache *cache);
void ace_silence_timbre_close(ace_silence_timbre *t); /* a zeroed one is fine */

/* NULL: unknown. matrix: of the condition encoder's weights. */
const float *ace_silence_timbre_of(const ace_silence_timbre *t, ace_dtype matrix);
/* Keeps a copy, as well as it can. */
void ace_silence_timbre_keep(ace_silence_timbre *t, ace_dtype matrix, const float *states);

#endif
