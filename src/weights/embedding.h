/* Rows of an embedding table, gathered on the host: the table itself stays in the mapped file. */
#ifndef ACE_WEIGHTS_EMBEDDING_H
#define ACE_WEIGHTS_EMBEDDING_H

#include "weights/weights.h"

/* out [n, cols] = table[ids[i]], the table being [vocabulary, cols] or longer, of any float or
 * block type.
 * ACESTEP_MODEL when the tensor is missing, has another shape or holds NaN in a gathered row;
 * ACESTEP_ARGUMENT for an id outside the table. A synthetic source makes up a row per id. */
ace_status ace_embedding_gather(const ace_weights *w, const char *name, int64_t vocabulary,
                                int64_t cols, const int32_t *ids, int64_t n, float *out,
                                ace_error *err);

#endif
