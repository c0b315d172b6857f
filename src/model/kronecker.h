/* Kronecker products added to a packed matrix: y += (W1 ⊗ W2)·x as two small products, W1 [a, b]
 * and W2 [c, d] instead of one [a·c, b·d]. x is seen as b runs of d numbers:
 *
 *   (W1 ⊗ W2)·x = rows of W1 · X · W2ᵀ,  X [b, d]
 *
 * so that W2 multiplies each run and W1 mixes runs, in whichever order has less between the two. */
#ifndef ACE_MODEL_KRONECKER_H
#define ACE_MODEL_KRONECKER_H

#include "device/stream.h"

typedef struct ace_kronecker {
    int64_t first_row;      /* of the matrix */
    ace_tensor outer;       /* W1, f32 [a, b], scales included */
    ace_matrix inner;       /* W2 [c, d], or [c, rank] of a W2 that is a product */
    ace_matrix inner_down;  /* then [rank, d]; else no rows */
    ace_tensor row_factors; /* f32 [1, a·c] that rows are stretched by, or empty */
} ace_kronecker;

/* y += gate ⊙ row_factors ⊙ (W1 ⊗ W2)·x, y being the columns from first_row on of a wider one; gate
 * as in ace_epilogue, of all columns. */
void ace_kronecker_add(ace_stream *s, ace_tensor y, ace_tensor x, const ace_kronecker *k,
                       ace_tensor gate);

/* The product of two gates, each [groups, n] or [1, n] or empty: a's rows. */
ace_tensor ace_gate_product(ace_stream *s, ace_tensor a, ace_tensor row);

#endif
