/* Qwen3-Embedding as ACE-Step uses it: last hidden states of every token, no pooling. The embedding
 * table stays on the host (src/weights/embedding.h): only the rows in use travel. */
#ifndef ACE_MODEL_TEXT_ENCODER_H
#define ACE_MODEL_TEXT_ENCODER_H

#include "model/transformer.h"

typedef struct ace_text_encoder {
    ace_qwen3_config config;
    ace_block layers[ACE_MAX_LAYERS];
    ace_tensor norm;
} ace_text_encoder;

void ace_text_encoder_load(ace_loader *l, const ace_qwen3_config *c, ace_text_encoder *out);

/* embeddings f32 [batch·length, hidden] → y f32, the same shape; y may be the same tensor. mask:
 * host [batch, length], 0 hides a token from the others; the original passes none, and right
 * padding cannot reach earlier tokens through causal attention. */
void ace_text_encoder_forward(ace_stream *s, const ace_text_encoder *m, ace_tensor embeddings,
                              int64_t batch, int64_t length, const uint8_t *mask, ace_tensor y);

#endif
