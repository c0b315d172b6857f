/* Adapters on the device: what they add to the matrices of the diffusion transformer, by layer and
 * matrix. They stay for the whole diffusion, also while the layers themselves come and go. */
#ifndef ACE_MODEL_DIT_ADAPTERS_H
#define ACE_MODEL_DIT_ADAPTERS_H

#include "model/added.h"
#include "model/config.h"
#include "weights/adapter.h"
#include "weights/loader.h"

typedef enum ace_dit_matrix {
    ACE_DIT_SELF_QKV,
    ACE_DIT_SELF_OUT,
    ACE_DIT_CROSS_Q,
    ACE_DIT_CROSS_KV,
    ACE_DIT_CROSS_OUT,
    ACE_DIT_GATE_UP,
    ACE_DIT_DOWN,
    ACE_DIT_MATRICES
} ace_dit_matrix;

typedef struct ace_dit_adapters {
    ace_added added[ACE_MAX_LAYERS][ACE_DIT_MATRICES];
} ace_dit_adapters;

/* One adapter as a job uses it: W becomes W + scale · (changed W - W), so that 0 is not at all. */
typedef struct ace_adapter_use {
    const ace_adapter *adapter;
    float scale;
} ace_adapter_use;

/* Does the adapter fit this model? MODEL names the first tensor that does not, with both sizes. */
ace_status ace_dit_adapter_check(const ace_dit_config *c, const ace_adapter *adapter,
                                 ace_error *err);

/* Several adapters add up. Matrices are bf16, or f32 beside f32 activations. Of the loader's
 * checkpoint, the transformer's, DoRA needs the rows that it stretches. */
void ace_dit_adapters_load(ace_loader *l, const ace_dit_config *c, const ace_adapter_use *uses,
                           int n, ace_dit_adapters *out);

/* What is added to one matrix; NULL without adapters. */
static inline const ace_added *ace_dit_added(const ace_dit_adapters *a, int64_t layer,
                                             ace_dit_matrix matrix)
{
    return a != NULL ? &a->added[layer][matrix] : NULL;
}

#endif
