/* Low-rank additions to a packed matrix: y += B·(A·x), beside the product and never merged into the
 * weights, whatever their type. A fused matrix has one A for all its parts, since they share x, and
 * a B for each run of its rows. */
#ifndef ACE_MODEL_LOW_RANK_H
#define ACE_MODEL_LOW_RANK_H

#include "device/stream.h"

enum { ACE_LOW_RANK_PARTS = 3 };

typedef struct ace_low_rank_part {
    int64_t first_rank, rank; /* rows of A that belong to it */
    int64_t first_row;        /* of the matrix */
    ace_matrix up;            /* B [rows, rank], scales included */
} ace_low_rank_part;

typedef struct ace_low_rank {
    ace_matrix down; /* A [all ranks, in] */
    ace_low_rank_part part[ACE_LOW_RANK_PARTS];
    int n_parts; /* 0: nothing is added */
} ace_low_rank;

/* ace_linear with what `added` adds (NULL: nothing), under the same epilogue. A swiglu matrix that
 * is added to yields gate and up as they are: y has as many columns as the matrix has rows. */
void ace_linear_added(ace_stream *s, ace_tensor y, ace_tensor x, const ace_matrix *w,
                      const ace_low_rank *added, const ace_epilogue *e);

static inline bool ace_adds(const ace_low_rank *added)
{
    return added != NULL && added->n_parts > 0;
}

#endif
