/* From the modules of adapters to what is added to one packed matrix. A LoRA, and a LoHa of small
 * ranks (the products of their rows are r² ranks), become ranks of the low-rank addition; a LoKr
 * becomes a Kronecker product, and so does a LoHa of large ranks, with [1] ⊗ Δ. */
#ifndef ACE_MODEL_ADAPTER_TERMS_H
#define ACE_MODEL_ADAPTER_TERMS_H

#include "model/added.h"
#include "weights/adapter.h"

/* One module, on one run of the matrix' rows. */
typedef struct ace_adapter_term {
    const ace_adapter *adapter;
    const ace_adapter_module *module;
    ace_adapter_target target;
    float scale; /* as used */
    int part;    /* terms of one run have the same number, and lie together */
    int64_t first_row;
    const float *stretch; /* DoRA: a factor for each row of the module; NULL: there is none, or
                             nothing is computed */
} ace_adapter_term;

void ace_adapter_terms_load(ace_stream *s, const ace_adapter_term *terms, int n, int64_t rows,
                            ace_added *out);

#endif
