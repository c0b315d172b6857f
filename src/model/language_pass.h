/* Inside of a session of the language model: tokens on their way through layers and head. */
#ifndef ACE_MODEL_LANGUAGE_PASS_H
#define ACE_MODEL_LANGUAGE_PASS_H

#include "model/language_model.h"

/* Numbers of one token in one layer of the cache. */
int64_t ace_lm_cache_cols(const ace_block_config *c);

/* Both false, with a failed stream, where there is none such; the former on any failed stream. */
bool ace_lm_exists(ace_lm_session *d, int index, int count, const char *what);
bool ace_lm_range_fits(ace_lm_session *d, const ace_lm_logits *range, int64_t tokens);

/* Weights of the norms of queries and keys so that all keys are about as large, for the same scores
 * (language_balance.c): of one layer on the host, and of a session with int8_cache. */
void ace_lm_balance(float *q, float *k, int64_t head_dim);
void ace_lm_balance_norms(ace_lm_session *d);

/* Where a sequence's keys lie. */
ace_key_rows ace_lm_keys_of(const ace_lm_session *d, int sequence);

/* x f32 [batch·length, hidden], in place; keys and values go to the cache. The session's progress
 * goes from done to done + share. */
void ace_lm_run_layers(ace_lm_session *d, ace_tensor x, const ace_lm_pass *p, double done,
                       double share);

/* Logits of all rows of x, at most ACE_LM_MAX_SEQUENCES: they are wide. f32 [x.rows, count],
 * cut from the arena. */
ace_tensor ace_lm_multiply_head(ace_lm_session *d, ace_tensor x, const ace_lm_logits *range);

#endif
