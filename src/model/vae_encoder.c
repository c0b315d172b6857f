#include "model/vae_encoder.h"

#include <stdio.h>
#include <string.h>

enum { FIRST_KERNEL = 7, LAST_KERNEL = 3 };

static void load_level(ace_loader *l, int index, int64_t in, ace_vae_encoder_level *out)
{
    char block[64];
    char name[96];
    (void)snprintf(block, sizeof block, "encoder.block.%d", index);
    ace_vae_residuals_load(l, block, in, out->residuals);
    (void)snprintf(name, sizeof name, "%s.snake1", block);
    out->snake = ace_vae_snake_load(l, name, in);
    (void)snprintf(name, sizeof name, "%s.conv1", block);
    out->down = ace_load_conv(l, name, out->channels, in, (int)(2 * out->stride));
    (void)snprintf(name, sizeof name, "%s.conv1.bias", block);
    out->bias = ace_load_vector(l, name, out->channels);
}

void ace_vae_encoder_load(ace_loader *l, const ace_vae_config *c, ace_vae_encoder *out)
{
    memset(out, 0, sizeof *out);
    out->latent_channels = c->latent_channels;
    out->audio_channels = c->audio_channels;
    out->hop = c->hop;
    out->n_levels = c->n_blocks;
    int64_t channels = c->encoder_hidden;
    out->first = ace_load_conv(l, "encoder.conv1", channels, c->audio_channels, FIRST_KERNEL);
    out->first_bias = ace_load_vector(l, "encoder.conv1.bias", channels);
    for (int i = 0; i < c->n_blocks; i++) {
        ace_vae_encoder_level *level = &out->level[i];
        level->stride = c->strides[i];
        level->channels = c->encoder_hidden * c->multiples[i];
        load_level(l, i, channels, level);
        channels = level->channels;
    }
    int64_t moments = 2 * c->latent_channels;
    out->last_snake = ace_vae_snake_load(l, "encoder.snake1", channels);
    out->last = ace_load_conv(l, "encoder.conv2", moments, channels, LAST_KERNEL);
    out->last_bias = ace_load_vector(l, "encoder.conv2.bias", moments);
}

static int64_t widest(const ace_vae_encoder *e, int64_t samples)
{
    int64_t most = samples * e->first.shape.rows;
    for (int i = 0; i < e->n_levels; i++) {
        samples /= e->level[i].stride;
        int64_t elements = samples * e->level[i].channels;
        most = elements > most ? elements : most;
    }
    return most;
}

static void forward_level(ace_stream *s, const ace_vae_encoder_level *level,
                          ace_vae_buffers *buffers)
{
    ace_vae_residuals_forward(s, level->residuals, buffers);
    ace_conv c = {.stride = level->stride,
                  .dilation = 1,
                  .pad = level->stride / 2,
                  .snake_alpha = level->snake.alpha,
                  .snake_inv_beta = level->snake.inv_beta};
    ace_tensor x = buffers->current;
    buffers->spare = ace_vae_view(buffers->spare, x.rows / level->stride, level->channels);
    ace_conv1d(s, buffers->spare, x, &level->down, &c, &(ace_epilogue){.bias = level->bias});
    ace_vae_buffers_swap(buffers);
}

void ace_vae_encoder_forward(ace_stream *s, const ace_vae_encoder *e, ace_tensor wave,
                             ace_tensor moments)
{
    ace_arena_mark mark = ace_mark(s);
    ace_vae_buffers buffers = ace_vae_buffers_new(s, widest(e, wave.rows));
    ace_conv first = {.stride = 1, .dilation = 1, .pad = FIRST_KERNEL / 2};
    buffers.current = ace_vae_view(buffers.current, wave.rows, e->first.shape.rows);
    ace_conv1d(s, buffers.current, wave, &e->first, &first, &(ace_epilogue){.bias = e->first_bias});
    for (int i = 0; i < e->n_levels; i++) {
        forward_level(s, &e->level[i], &buffers);
    }
    ace_conv last = {.stride = 1,
                     .dilation = 1,
                     .pad = LAST_KERNEL / 2,
                     .snake_alpha = e->last_snake.alpha,
                     .snake_inv_beta = e->last_snake.inv_beta};
    ace_conv1d(s, moments, buffers.current, &e->last, &last, &(ace_epilogue){.bias = e->last_bias});
    ace_reset(s, &mark);
}
