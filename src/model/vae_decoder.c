#include "model/vae_decoder.h"

#include <stdio.h>
#include <string.h>

enum { OUTER_KERNEL = 7 };

static void load_level(ace_loader *l, int index, int64_t in, ace_vae_decoder_level *out)
{
    char block[64];
    char name[96];
    (void)snprintf(block, sizeof block, "decoder.block.%d", index);
    (void)snprintf(name, sizeof name, "%s.snake1", block);
    out->snake = ace_vae_snake_load(l, name, in);
    (void)snprintf(name, sizeof name, "%s.conv_t1", block);
    out->up = ace_load_conv_transpose(l, name, in, out->channels, out->stride);
    (void)snprintf(name, sizeof name, "%s.conv_t1.bias", block);
    out->bias = ace_load_vector(l, name, out->channels);
    ace_vae_residuals_load(l, block, out->channels, out->residuals);
}

void ace_vae_decoder_load(ace_loader *l, const ace_vae_config *c, ace_vae_decoder *out)
{
    memset(out, 0, sizeof *out);
    out->latent_channels = c->latent_channels;
    out->audio_channels = c->audio_channels;
    out->hop = c->hop;
    out->n_levels = c->n_blocks;
    int64_t channels = c->decoder_channels * c->multiples[c->n_blocks - 1];
    out->first = ace_load_conv(l, "decoder.conv1", channels, c->latent_channels, OUTER_KERNEL);
    out->first_bias = ace_load_vector(l, "decoder.conv1.bias", channels);
    for (int i = 0; i < c->n_blocks; i++) {
        /* The configuration is written in the encoder's order, and a 1 stands before its multiples.
         */
        int mirrored = c->n_blocks - 1 - i;
        ace_vae_decoder_level *level = &out->level[i];
        level->stride = c->strides[mirrored];
        level->channels = c->decoder_channels * (mirrored > 0 ? c->multiples[mirrored - 1] : 1);
        load_level(l, i, channels, level);
        channels = level->channels;
    }
    out->last_snake = ace_vae_snake_load(l, "decoder.snake1", channels);
    out->last = ace_load_conv(l, "decoder.conv2", c->audio_channels, channels, OUTER_KERNEL);
}

static void observe(ace_stream *s, const ace_vae_decoder *d, const char *name, ace_tensor t)
{
    if (d->observer.observe != NULL && ace_stream_status(s) == ACESTEP_OK) {
        d->observer.observe(d->observer.context, s, name, t);
    }
}

static void observe_level(ace_stream *s, const ace_vae_decoder *d, int level, const char *part,
                          ace_tensor t)
{
    char name[48];
    (void)snprintf(name, sizeof name, "block%d%s", level, part);
    observe(s, d, name, t);
}

static int64_t widest(const ace_vae_decoder *d, int64_t frames)
{
    int64_t samples = frames;
    int64_t most = samples * d->first.shape.rows;
    for (int i = 0; i < d->n_levels; i++) {
        samples *= d->level[i].stride;
        int64_t elements = samples * d->level[i].channels;
        most = elements > most ? elements : most;
    }
    return most;
}

static void forward_level(ace_stream *s, const ace_vae_decoder *d, int index,
                          ace_vae_buffers *buffers)
{
    const ace_vae_decoder_level *level = &d->level[index];
    ace_conv_transpose c = {.stride = level->stride,
                            .crop = level->stride / 2,
                            .snake_alpha = level->snake.alpha,
                            .snake_inv_beta = level->snake.inv_beta,
                            .bias = level->bias};
    ace_tensor x = buffers->current;
    buffers->spare = ace_vae_view(buffers->spare, x.rows * level->stride, level->channels);
    ace_conv_transpose1d(s, buffers->spare, x, &level->up, &c);
    ace_vae_buffers_swap(buffers);
    observe_level(s, d, index, ".conv_t1", buffers->current);
    ace_vae_residuals_forward(s, level->residuals, buffers);
    observe_level(s, d, index, "", buffers->current);
}

void ace_vae_decoder_forward(ace_stream *s, const ace_vae_decoder *d, ace_tensor latents,
                             ace_tensor wave)
{
    ace_arena_mark mark = ace_mark(s);
    ace_vae_buffers buffers = ace_vae_buffers_new(s, widest(d, latents.rows));
    ace_conv outer = {.stride = 1, .dilation = 1, .pad = OUTER_KERNEL / 2};
    buffers.current = ace_vae_view(buffers.current, latents.rows, d->first.shape.rows);
    ace_conv1d(s, buffers.current, latents, &d->first, &outer,
               &(ace_epilogue){.bias = d->first_bias});
    observe(s, d, "conv1", buffers.current);
    for (int i = 0; i < d->n_levels; i++) {
        forward_level(s, d, i, &buffers);
    }
    outer.snake_alpha = d->last_snake.alpha;
    outer.snake_inv_beta = d->last_snake.inv_beta;
    ace_conv1d(s, wave, buffers.current, &d->last, &outer, NULL);
    ace_reset(s, &mark);
}
