/* What the two halves of the Oobleck autoencoder share: Snake parameters, residual units and the
 * two buffers that all levels work in. Activations are channels-last, [samples, channels]. */
#ifndef ACE_MODEL_VAE_BLOCKS_H
#define ACE_MODEL_VAE_BLOCKS_H

#include "weights/loader.h"

enum { ACE_VAE_RESIDUAL_UNITS = 3 };

/* Snake as the convolutions take it: e^alpha and 1 / (e^beta + 1e-9), f32 [1, channels]. */
typedef struct ace_vae_snake {
    ace_tensor alpha, inv_beta;
} ace_vae_snake;

/* x + conv1(snake(conv7(snake(x)))), conv7 with the unit's dilation. */
typedef struct ace_vae_residual {
    ace_vae_snake snake[2];
    ace_matrix conv[2];
    ace_tensor bias[2];
    int64_t dilation;
} ace_vae_residual;

/* Two buffers of the widest level. `current` holds the level's activations, `spare` is free; the
 * next level is computed from the one into the other. */
typedef struct ace_vae_buffers {
    ace_tensor current, spare;
} ace_vae_buffers;

/* prefix: name without ".alpha", ".weight_v", … */
ace_vae_snake ace_vae_snake_load(ace_loader *l, const char *prefix, int64_t channels);
/* The units `<prefix>.res_unit1` … 3 of one level. */
void ace_vae_residuals_load(ace_loader *l, const char *prefix, int64_t channels,
                            ace_vae_residual out[ACE_VAE_RESIDUAL_UNITS]);
/* In place on buffers->current [samples, channels]; the spare buffer is overwritten. */
void ace_vae_residuals_forward(ace_stream *s, const ace_vae_residual units[ACE_VAE_RESIDUAL_UNITS],
                               const ace_vae_buffers *buffers);

/* Two buffers for `elements` numbers each, in the stream's activation type. */
ace_vae_buffers ace_vae_buffers_new(ace_stream *s, int64_t elements);
/* The beginning of a buffer as [rows, cols]. */
ace_tensor ace_vae_view(ace_tensor buffer, int64_t rows, int64_t cols);
void ace_vae_buffers_swap(ace_vae_buffers *buffers);

#endif
