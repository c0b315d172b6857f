/* The original's padded batches, exactly: for checking against recordings, never for songs. There,
 * rows of shorter items are padded, hidden lyric positions still produce vectors, and the diffusion
 * transformer hears all of them. The engine encodes every item alone instead (condition_encoder.h).
 */
#ifndef ACE_MODEL_CONDITION_REFERENCE_H
#define ACE_MODEL_CONDITION_REFERENCE_H

#include "model/condition_encoder.h"

typedef struct ace_padded_condition {
    int64_t batch, text_length, lyric_length;
    const float *text;         /* [batch, text_length, text_dim] */
    const int64_t *text_mask;  /* [batch, text_length] */
    const float *lyrics;       /* [batch, lyric_length, text_dim] */
    const int64_t *lyric_mask; /* [batch, lyric_length] */
    int64_t n_refs, timbre_frames;
    const float *timbre;      /* [n_refs, timbre_frames, channels] */
    const int64_t *ref_order; /* [n_refs]: batch item of each reference */
} ace_padded_condition;

/* Host arrays, owned by the caller; those of the parts may be NULL. slots =
 * ace_condition_slots(in). */
typedef struct ace_packed_condition {
    float *states;         /* [batch, lyric_length + slots + text_length, hidden] */
    int64_t *mask;         /* the same without hidden */
    float *lyric_encoded;  /* [batch, lyric_length, hidden] */
    float *timbre;         /* [batch, slots, hidden] */
    int64_t *timbre_mask;  /* [batch, slots] */
    float *text_projected; /* [batch, text_length, hidden] */
} ace_packed_condition;

/* References of the item that has most; at least 1. */
int64_t ace_condition_slots(const ace_padded_condition *in);

void ace_condition_encode_padded(ace_stream *s, const ace_condition_encoder *m,
                                 const ace_padded_condition *in, const ace_packed_condition *out);

#endif
