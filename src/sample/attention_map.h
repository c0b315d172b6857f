/* What an attention head looks at: its probabilities, which no fused kernel keeps. */
#ifndef ACE_SAMPLE_ATTENTION_MAP_H
#define ACE_SAMPLE_ATTENTION_MAP_H

#include "base/status.h"

#include <stdint.h>

/* One head on the host, f32. */
typedef struct ace_attention_head {
    const float *q; /* [queries, head_dim] */
    const float *k; /* [keys, head_dim] */
    int64_t queries, keys, head_dim;
    float scale;
} ace_attention_head;

/* softmax over all keys of q·kᵀ·scale; of it the keys first … first + n - 1, one row each:
 * out [n, queries]. Takes head_dim + 16 numbers of work per key. */
ace_status ace_attention_map(const ace_attention_head *head, int64_t first, int64_t n, float *out,
                             ace_error *err);

#endif
