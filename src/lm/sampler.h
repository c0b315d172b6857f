/* From logits to the next token, on the host. */
#ifndef ACE_LM_SAMPLER_H
#define ACE_LM_SAMPLER_H

#include <stdbool.h>
#include <stdint.h>

/* Where the original's two backends differ: acestep/llm_inference.py (PyTorch), and
 * third_parts/nano-vllm/nanovllm/layers/sampler.py. */
typedef enum ace_lm_order {
    ACE_LM_ORDER_VLLM, /* temperature, then top-k, then top-p on tempered probabilities */
    ACE_LM_ORDER_PT    /* top-k, then top-p on untempered ones, then temperature */
} ace_lm_order;

typedef struct ace_lm_sampling {
    double temperature; /* ≤ 0: the most probable token */
    int64_t top_k;      /* 0: off; logits equal to the k-th are all kept */
    double top_p;       /* ≥ 1: off */
    double min_p; /* share of the largest probability below which a token is dropped, after all
                     other filters and the temperature; 0: off */
    ace_lm_order order;
} ace_lm_sampling;

/* Classifier-free guidance: out = uncond + scale · (cond - uncond), [n]; out may be cond or uncond.
 * Either side -inf: -inf. */
void ace_lm_guide(float *out, const float *cond, const float *uncond, int64_t n, double scale);

/* Repetition penalty (Keskar et al. 2019, CTRL): logits of ids seen already, each once, divided by
 * the penalty where positive, else multiplied. logits[n] are those of tokens first … first + n - 1;
 * other ids are passed over. seen[n_seen] may repeat ids; mark: [n] bytes, zero before and after.
 */
void ace_lm_penalise(float *logits, int64_t first, int64_t n, const int32_t *seen, int64_t n_seen,
                     double penalty, uint8_t *mark);

/* Working memory of the two functions below, for up to n logits. */
typedef struct ace_lm_scratch {
    float *value;  /* [n] */
    float *weight; /* [n] */
    int32_t *index;
    int64_t n;
} ace_lm_scratch;

bool ace_lm_scratch_create(int64_t n, ace_lm_scratch *out); /* false: no memory */
void ace_lm_scratch_free(ace_lm_scratch *s);

/* probability[n] of each logit after all filters, 0 where dropped; -inf logits are dropped. With
 * temperature ≤ 0 one is 1 (the first of equals). Of equal logits at the edge of top-p some may
 * stay: the last ones in the order of vllm, which sorts upwards, the first ones in that of PyTorch.
 * False when nothing is left: all are -inf, or one is NaN or +inf. */
bool ace_lm_distribution(const ace_lm_sampling *s, const float *logits, int64_t n,
                         float *probability, ace_lm_scratch *scratch);

/* The index whose share of the distribution holds `uniform` of [0, 1), shares in the order of
 * indices; -1 where ace_lm_distribution would be false. Time O(n), not O(n log n). */
int64_t ace_lm_sample(const ace_lm_sampling *s, const float *logits, int64_t n, double uniform,
                      ace_lm_scratch *scratch);

#endif
