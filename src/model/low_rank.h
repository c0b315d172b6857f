/* Low-rank additions to a packed matrix: y += B·(A·x), beside the product and never merged into the
 * weights, whatever their type. A fused matrix has one A for all its parts, since they share x, and
 * a B for each run of its rows. */
#ifndef ACE_MODEL_LOW_RANK_H
#define ACE_MODEL_LOW_RANK_H

#include "device/stream.h"

/* Layers that are fused into one matrix, at most. */
enum { ACE_FUSED_PARTS = 3 };

typedef struct ace_low_rank_part {
    int64_t first_rank, rank; /* rows of A that belong to it */
    int64_t first_row;        /* of the matrix */
    ace_matrix up;            /* B [rows, rank], scales included */
} ace_low_rank_part;

typedef struct ace_low_rank {
    ace_matrix down; /* A [all ranks, in] */
    ace_low_rank_part part[ACE_FUSED_PARTS];
    int n_parts; /* 0: nothing is added */
} ace_low_rank;

/* y += gate ⊙ B·(A·x), gate as in ace_epilogue: [groups, columns of y], or empty. */
void ace_low_rank_add(ace_stream *s, ace_tensor y, ace_tensor x, const ace_low_rank *added,
                      ace_tensor gate);

/* Those columns of a gate; an empty one stays empty. */
static inline ace_tensor ace_gate_cols(ace_tensor gate, int64_t first, int64_t n)
{
    return gate.addr != 0 ? ace_cols(gate, first, n) : gate;
}

#endif
