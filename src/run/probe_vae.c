/* Cases of the autoencoder. Recorded arrays are channels-first, ours channels-last. */
#include "base/block_formats.h"
#include "model/vae_decoder.h"
#include "model/vae_encoder.h"
#include "model/vae_posterior.h"
#include "model/vae_tiling.h"
#include "run/probe_case.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* The first Snake is fused into the convolution behind it; recordings want it by itself. */
static void observe_snake(ace_probe *p, const float *conv1, int64_t rows, int64_t channels)
{
    const ace_weights *w = p->workshop->models.vae;
    const ace_weight *alpha = ace_weights_find(w, "decoder.block.0.snake1.alpha");
    const ace_weight *beta = ace_weights_find(w, "decoder.block.0.snake1.beta");
    const int64_t dim[] = {1, channels, rows};
    if (alpha == NULL || beta == NULL || ace_probe_elements(alpha) != channels ||
        ace_probe_elements(beta) != channels) {
        return;
    }
    float *a = ace_probe_alloc(p, channels, sizeof *a);
    float *b = ace_probe_alloc(p, channels, sizeof *b);
    float *y = ace_probe_alloc(p, rows * channels, sizeof *y);
    if (p->status != ACESTEP_OK) {
        return;
    }
    ace_decode_row(alpha->dtype, alpha->data, channels, a);
    ace_decode_row(beta->dtype, beta->data, channels, b);
    for (int64_t c = 0; c < channels; c++) {
        for (int64_t r = 0; r < rows; r++) {
            double v = (double)conv1[r * channels + c];
            double s = sin(exp((double)a[c]) * v);
            y[c * rows + r] = (float)(v + s * s / (exp((double)b[c]) + 1e-9));
        }
    }
    ace_probe_put(p, "out.mid.block0.snake1", y, 3, dim);
}

static void observe(void *context, ace_stream *s, const char *name, ace_tensor t)
{
    ace_probe *p = context;
    char full[96];
    const int64_t dim[] = {1, t.cols, t.rows};
    float *rows = ace_probe_alloc(p, t.rows * t.cols, sizeof *rows);
    float *columns = ace_probe_alloc(p, t.rows * t.cols, sizeof *columns);
    (void)snprintf(full, sizeof full, "out.mid.%s", name);
    if (p->status != ACESTEP_OK || ace_probe_tensor(p, full, true) == NULL) {
        return; /* whole songs have more of these than anyone wants */
    }
    ace_download(s, rows, t);
    ace_transpose(rows, t.rows, t.cols, columns);
    ace_probe_put(p, full, columns, 3, dim);
    if (strcmp(name, "conv1") == 0) {
        observe_snake(p, rows, t.rows, t.cols);
    }
}

/* [batch, channels, n] → [batch, n, channels] or back, item by item. */
static float *turned(ace_probe *p, const float *in, int64_t batch, int64_t rows, int64_t cols)
{
    float *out = ace_probe_alloc(p, batch * rows * cols, sizeof *out);
    for (int64_t b = 0; b < batch && p->status == ACESTEP_OK; b++) {
        ace_transpose(in + b * rows * cols, rows, cols, out + b * rows * cols);
    }
    return out;
}

/* wave [samples, 2] of frames first … first + n - 1 as [1, 2, n·hop] */
static void put_frames(ace_probe *p, const char *name, const float *wave, int64_t first, int64_t n)
{
    int64_t hop = p->workshop->models.vae_config.hop;
    const int64_t dim[] = {1, 2, n * hop};
    float *columns = turned(p, wave + first * hop * 2, 1, n * hop, 2);
    ace_probe_put(p, name, columns, 3, dim);
}

/* vae_decode_40_tiled_16_4: windows of 16 frames that overlap by 4 on each side. */
static void put_tiled(ace_probe *p, ace_stage *stage, const ace_vae_decoder *decoder,
                      const float *latents, int64_t frames, const float *whole, int chunk,
                      int overlap)
{
    int64_t hop = p->workshop->models.vae_config.hop;
    ace_vae_tiling tiling = {.core = chunk - 2 * overlap, .halo = overlap};
    float *wave = ace_probe_alloc(p, frames * hop * 2, sizeof *wave);
    float *difference = ace_probe_alloc(p, frames, sizeof *difference);
    const int64_t dim[] = {frames};
    if (p->status != ACESTEP_OK || frames < 18 || tiling.core < 1) {
        ace_probe_fail(p, ACESTEP_ARGUMENT, "too short for its tiles");
        return;
    }
    ace_vae_decode_tiled(&stage->stream, decoder, latents, frames, &tiling, wave);
    for (int64_t i = 0; i < frames * hop * 2; i++) {
        float d = fabsf(wave[i] - whole[i]);
        float *worst = &difference[i / (hop * 2)];
        *worst = d > *worst ? d : *worst;
    }
    put_frames(p, "out.tiled_first_4_frames", wave, 0, 4);
    put_frames(p, "out.tiled_frames_14_18", wave, 14, 4);
    ace_probe_put(p, "out.abs_diff_to_untiled_per_frame", difference, 1, dim);
}

static void run_decode(ace_probe *p, ace_stage *stage, const ace_vae_decoder *decoder)
{
    const ace_weight *shape = ace_probe_tensor(p, "in.latents", false);
    float *columns = ace_probe_f32(p, "in.latents", false);
    const ace_vae_config *c = &p->workshop->models.vae_config;
    if (p->status != ACESTEP_OK || shape->rank != 3 || shape->dim[1] != c->latent_channels) {
        ace_probe_fail(p, ACESTEP_ARGUMENT, "in.latents is not [batch, channels, frames]");
        return;
    }
    int64_t batch = shape->dim[0];
    int64_t frames = shape->dim[2];
    float *latents = turned(p, columns, batch, c->latent_channels, frames);
    float *wave = ace_probe_alloc(p, batch * frames * c->hop * 2, sizeof *wave);
    ace_vae_tiling whole = {0};
    for (int64_t b = 0; b < batch && p->status == ACESTEP_OK; b++) {
        ace_vae_decode_tiled(&stage->stream, decoder, latents + b * frames * c->latent_channels,
                             frames, &whole, wave + b * frames * c->hop * 2);
    }
    int chunk = 0;
    int overlap = 0;
    const char *tiled = strstr(p->name, "_tiled_");
    if (tiled != NULL && sscanf(tiled, "_tiled_%d_%d", &chunk, &overlap) == 2) {
        put_tiled(p, stage, decoder, latents, frames, wave, chunk, overlap);
        return;
    }
    const int64_t dim[] = {batch, 2, frames * c->hop};
    ace_probe_put(p, "out.waveform", turned(p, wave, batch, frames * c->hop, 2), 3, dim);
}

static void run_encode(ace_probe *p, ace_stage *stage, const ace_vae_encoder *encoder)
{
    const ace_weight *shape = ace_probe_tensor(p, "in.waveform", false);
    float *columns = ace_probe_f32(p, "in.waveform", false);
    float *eps_columns = ace_probe_f32(p, "in.eps", true);
    const ace_vae_config *c = &p->workshop->models.vae_config;
    if (p->status != ACESTEP_OK || shape->rank != 3 || shape->dim[1] != 2) {
        ace_probe_fail(p, ACESTEP_ARGUMENT, "in.waveform is not [batch, 2, samples]");
        return;
    }
    int64_t batch = shape->dim[0];
    int64_t samples = shape->dim[2];
    int64_t frames = samples / c->hop;
    int64_t channels = c->latent_channels;
    int64_t n = frames * channels;
    float *wave = turned(p, columns, batch, 2, samples);
    float *moments = ace_probe_alloc(p, 2 * n, sizeof *moments);
    float *parts[4]; /* mean, raw scale, standard deviation, sample: [batch, frames, channels] */
    for (int i = 0; i < 4; i++) {
        parts[i] = ace_probe_alloc(p, batch * n, sizeof(float));
    }
    float *eps = eps_columns != NULL ? turned(p, eps_columns, batch, channels, frames) : NULL;
    ace_vae_tiling whole = {0};
    for (int64_t b = 0; b < batch && p->status == ACESTEP_OK; b++) {
        ace_vae_encode_tiled(&stage->stream, encoder, wave + b * samples * 2, samples, &whole,
                             moments);
        for (int64_t i = 0; i < n; i++) {
            double raw = (double)moments[i / channels * 2 * channels + channels + i % channels];
            parts[0][b * n + i] = moments[i / channels * 2 * channels + i % channels];
            parts[1][b * n + i] = (float)raw;
            parts[2][b * n + i] = (float)((raw > 20 ? raw : log1p(exp(raw))) + 1e-4);
        }
        ace_vae_posterior(moments, frames, channels, eps != NULL ? eps + b * n : NULL,
                          parts[3] + b * n);
    }
    static const char *const names[] = {"out.mean", "out.scale_raw", "out.std", "out.sample"};
    const int64_t dim[] = {batch, channels, frames};
    for (int i = 0; i < 4; i++) {
        ace_probe_put(p, names[i], turned(p, parts[i], batch, frames, channels), 3, dim);
    }
}

void ace_probe_vae(ace_probe *p)
{
    const ace_models *m = &p->workshop->models;
    bool encodes = ace_probe_tensor(p, "in.waveform", true) != NULL;
    ace_vae_decoder *decoder = ace_probe_alloc(p, 1, sizeof *decoder);
    ace_vae_encoder *encoder = ace_probe_alloc(p, 1, sizeof *encoder);
    ace_stage stage;
    if (!ace_probe_begin(p, &stage, m->vae)) {
        return;
    }
    if (encodes) {
        ace_vae_encoder_load(&stage.loader, &m->vae_config, encoder);
    } else {
        ace_vae_decoder_load(&stage.loader, &m->vae_config, decoder);
        decoder->observer = (ace_observer){observe, p};
    }
    if (ace_stage_load_end(&stage) == ACESTEP_OK) {
        if (encodes) {
            run_encode(p, &stage, encoder);
        } else {
            run_decode(p, &stage, decoder);
        }
    }
    ace_probe_end(p, &stage);
}
