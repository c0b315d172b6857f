#include "model/vae_blocks.h"

#include <math.h>
#include <stdio.h>

enum { RESIDUAL_KERNEL = 7, NAME_BYTES = 128 };

static float inverse_beta(float log_beta)
{
    return 1.0f / (expf(log_beta) + 1e-9f); /* the constant of Oobleck's Snake1d */
}

ace_vae_snake ace_vae_snake_load(ace_loader *l, const char *prefix, int64_t channels)
{
    char name[NAME_BYTES];
    ace_vae_snake snake;
    (void)snprintf(name, sizeof name, "%s.alpha", prefix);
    snake.alpha = ace_load_vector_mapped(l, name, channels, expf);
    (void)snprintf(name, sizeof name, "%s.beta", prefix);
    snake.inv_beta = ace_load_vector_mapped(l, name, channels, inverse_beta);
    return snake;
}

static void load_residual(ace_loader *l, const char *prefix, int64_t channels, int64_t dilation,
                          ace_vae_residual *out)
{
    static const int kernel[] = {RESIDUAL_KERNEL, 1};
    out->dilation = dilation;
    for (int i = 0; i < 2; i++) {
        char name[NAME_BYTES];
        (void)snprintf(name, sizeof name, "%.100s.snake%d", prefix, i + 1);
        out->snake[i] = ace_vae_snake_load(l, name, channels);
        (void)snprintf(name, sizeof name, "%.100s.conv%d", prefix, i + 1);
        out->conv[i] = ace_load_conv(l, name, channels, channels, kernel[i]);
        (void)snprintf(name, sizeof name, "%.100s.conv%d.bias", prefix, i + 1);
        out->bias[i] = ace_load_vector(l, name, channels);
    }
}

void ace_vae_residuals_load(ace_loader *l, const char *prefix, int64_t channels,
                            ace_vae_residual out[ACE_VAE_RESIDUAL_UNITS])
{
    static const int64_t dilation[ACE_VAE_RESIDUAL_UNITS] = {1, 3, 9};
    for (int i = 0; i < ACE_VAE_RESIDUAL_UNITS; i++) {
        char name[NAME_BYTES];
        (void)snprintf(name, sizeof name, "%.80s.res_unit%d", prefix, i + 1);
        load_residual(l, name, channels, dilation[i], &out[i]);
    }
}

void ace_vae_residuals_forward(ace_stream *s, const ace_vae_residual units[ACE_VAE_RESIDUAL_UNITS],
                               const ace_vae_buffers *buffers)
{
    ace_tensor x = buffers->current;
    ace_tensor hidden = ace_vae_view(buffers->spare, x.rows, x.cols);
    for (int i = 0; i < ACE_VAE_RESIDUAL_UNITS; i++) {
        const ace_vae_residual *u = &units[i];
        ace_conv wide = {.stride = 1,
                         .dilation = u->dilation,
                         .pad = u->dilation * (RESIDUAL_KERNEL / 2),
                         .snake_alpha = u->snake[0].alpha,
                         .snake_inv_beta = u->snake[0].inv_beta};
        ace_conv pointwise = {.stride = 1,
                              .dilation = 1,
                              .snake_alpha = u->snake[1].alpha,
                              .snake_inv_beta = u->snake[1].inv_beta};
        ace_conv1d(s, hidden, x, &u->conv[0], &wide, &(ace_epilogue){.bias = u->bias[0]});
        ace_conv1d(s, x, hidden, &u->conv[1], &pointwise,
                   &(ace_epilogue){.bias = u->bias[1], .accumulate = true});
    }
}

ace_vae_buffers ace_vae_buffers_new(ace_stream *s, int64_t elements)
{
    ace_vae_buffers b;
    b.current = ace_new(s, s->activation, 1, elements);
    b.spare = ace_new(s, s->activation, 1, elements);
    return b;
}

ace_tensor ace_vae_view(ace_tensor buffer, int64_t rows, int64_t cols)
{
    return ace_reshape(buffer, rows, cols);
}

void ace_vae_buffers_swap(ace_vae_buffers *buffers)
{
    ace_tensor t = buffers->current;
    buffers->current = buffers->spare;
    buffers->spare = t;
}
