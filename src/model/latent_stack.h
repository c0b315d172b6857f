/* Embedding with bias, bidirectional blocks (sliding by layer index), final norm: the shape that
 * the lyric, timbre, pooling and detokenising encoders share. */
#ifndef ACE_MODEL_LATENT_STACK_H
#define ACE_MODEL_LATENT_STACK_H

#include "model/transformer.h"

typedef struct ace_latent_stack { /* embed → blocks → norm, bidirectional */
    ace_matrix embed;
    ace_tensor embed_bias;
    ace_block layers[ACE_MAX_LAYERS];
    int64_t n_layers;
    ace_tensor norm;
} ace_latent_stack;

/* `<prefix>.embed_tokens` [hidden, width] with bias, `<prefix>.layers.N`, `<prefix>.norm`. */
void ace_latent_stack_load(ace_loader *l, const ace_dit_config *c, const char *prefix,
                           int64_t width, int64_t n_layers, ace_latent_stack *out);

/* The blocks and the final norm on x f32 [batch·length, hidden], in place. */
void ace_latent_stack_forward(ace_stream *s, const ace_dit_config *c, const ace_latent_stack *m,
                              ace_tensor x, ace_sequences seq);

#endif
