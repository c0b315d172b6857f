/* Embedding tables stay on the host: a song uses some hundred rows of 150,000. */
#ifndef ACE_WEIGHTS_EMBEDDING_H
#define ACE_WEIGHTS_EMBEDDING_H

#include "weights/weights.h"

/* Rows ids[n] of the table [vocabulary, cols] as f32 [n, cols]. MODEL when the table is missing or has
 * another shape, ARGUMENT for an id outside it. Synthetic: made up, the same for the same id. */
ace_status ace_embedding_gather(const ace_weights *w, const char *name, int64_t vocabulary,
                                int64_t cols, const int32_t *ids, int64_t n, float *out,
                                ace_error *err);

#endif
