/* What adapters add to one packed matrix, beside the product and never merged into the weights,
 * whatever their type and wherever they are. */
#ifndef ACE_MODEL_ADDED_H
#define ACE_MODEL_ADDED_H

#include "model/kronecker.h"
#include "model/low_rank.h"

enum { ACE_MAX_ADAPTERS = 8, ACE_MAX_KRONECKERS = ACE_MAX_ADAPTERS * ACE_FUSED_PARTS };

typedef struct ace_added {
    ace_low_rank low_rank;
    ace_kronecker kronecker[ACE_MAX_KRONECKERS];
    int n_kroneckers;
    ace_tensor row_factors; /* DoRA: f32 [1, rows] that the product is stretched by, or empty */
} ace_added;

/* ace_linear with what `added` adds (NULL: nothing), under the same epilogue, which has no bias. A
 * swiglu matrix that is added to yields gate and up as they are: y has as many columns as the
 * matrix has rows. */
void ace_linear_added(ace_stream *s, ace_tensor y, ace_tensor x, const ace_matrix *w,
                      const ace_added *added, const ace_epilogue *e);

static inline bool ace_adds(const ace_added *added)
{
    return added != NULL &&
           (added->low_rank.n_parts > 0 || added->n_kroneckers > 0 || added->row_factors.addr != 0);
}

#endif
