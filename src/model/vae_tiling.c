#include "model/vae_tiling.h"

/* ---- how far the networks hear: from what one frame is for back to what it is made of -------- */

/* Positions from `low` to `high`. */
typedef struct span {
    int64_t low, high;
} span;

enum {
    OUTER_REACH = 3,                  /* a kernel of 7 */
    LATENT_REACH = 1,                 /* the encoder's last, of 3 */
    RESIDUALS_REACH = 3 * (1 + 3 + 9) /* three kernels of 7, dilated */
};

static span widen(span s, int64_t reach)
{
    return (span){s.low - reach, s.high + reach};
}

static int64_t floor_divide(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* Sample t of ace_conv_transpose1d is made of x[i] and x[i - 1], i = (t + crop) / stride. */
static span before_up(span s, int64_t stride)
{
    return (span){floor_divide(s.low + stride / 2, stride) - 1,
                  floor_divide(s.high + stride / 2, stride)};
}

/* A kernel of 2·stride at every stride, padded by half a stride. */
static span before_down(span s, int64_t stride)
{
    int64_t first = -(stride / 2);
    return (span){s.low * stride + first, s.high * stride + first + 2 * stride - 1};
}

/* Frames of `length` beyond frame 0 on the side where there are more. */
static int64_t frames_beyond(span s, int64_t length)
{
    int64_t before = -floor_divide(s.low, length);
    int64_t after = floor_divide(s.high, length);
    return before > after ? before : after;
}

int64_t ace_vae_decoder_halo(const ace_vae_config *c)
{
    span s = widen((span){0, c->hop - 1}, OUTER_REACH);
    for (int i = 0; i < c->n_blocks; i++) { /* strides stand in the encoder's order */
        s = before_up(widen(s, RESIDUALS_REACH), c->strides[i]);
    }
    return frames_beyond(widen(s, OUTER_REACH), 1);
}

int64_t ace_vae_encoder_halo(const ace_vae_config *c)
{
    span s = widen((span){0, 0}, LATENT_REACH);
    for (int i = c->n_blocks - 1; i >= 0; i--) {
        s = widen(before_down(s, c->strides[i]), RESIDUALS_REACH);
    }
    return frames_beyond(widen(s, OUTER_REACH), c->hop);
}

/* ---- windows --------------------------------------------------------------------------------- */

/* The stretch `first` … `last` - 1 is computed, `core` … `core_end` - 1 of it is kept. */
typedef struct window {
    int64_t first, last;
    int64_t core, core_end;
} window;

static int64_t min(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static window window_at(const ace_vae_tiling *t, int64_t frames, int64_t core)
{
    if (t->core <= 0 || frames <= t->core + 2 * t->halo) {
        return (window){0, frames, 0, frames};
    }
    window w = {.core = core, .core_end = min(core + t->core, frames)};
    w.first = core > t->halo ? core - t->halo : 0;
    w.last = min(w.core_end + t->halo, frames);
    return w;
}

static const float *from(const float *host, int64_t offset)
{
    return host != NULL ? host + offset : NULL;
}

static float *to(float *host, int64_t offset)
{
    return host != NULL ? host + offset : NULL;
}

ace_vae_tiling ace_vae_tiling_of(int64_t chunk, int64_t overlap)
{
    while (chunk > 0 && chunk - 2 * overlap <= 0) {
        overlap /= 2; /* as the original shrinks it */
    }
    return (ace_vae_tiling){.core = chunk > 0 ? chunk - 2 * overlap : 0, .halo = overlap};
}

/* The window's core, [core frames·hop, audio_channels], cut from the arena. */
static ace_tensor decode_window(ace_stream *s, const ace_vae_decoder *d, const float *latents,
                                const window *w)
{
    int64_t n = w->last - w->first;
    ace_tensor x = ace_new_from(s, ACE_F32, n, d->latent_channels,
                                from(latents, w->first * d->latent_channels));
    ace_tensor y = ace_new(s, ACE_F32, n * d->hop, d->audio_channels);
    ace_vae_decoder_forward(s, d, x, y);
    return ace_rows(y, (w->core - w->first) * d->hop, (w->core_end - w->core) * d->hop);
}

void ace_vae_decode_from(ace_stream *s, const ace_vae_decoder *d, const float *latents,
                         int64_t frames, const ace_vae_tiling *tiling, int64_t *done, float *wave)
{
    ace_stream_progress(s, (double)*done / (double)frames);
    while (*done < frames && ace_stream_status(s) == ACESTEP_OK) {
        window w = window_at(tiling, frames, *done);
        ace_arena_mark mark = ace_mark(s);
        ace_tensor kept = decode_window(s, d, latents, &w);
        ace_download(s, to(wave, w.core * d->hop * d->audio_channels), kept);
        ace_reset(s, &mark);
        if (ace_stream_status(s) == ACESTEP_OK) {
            *done = w.core_end;
        }
        ace_stream_progress(s, (double)*done / (double)frames);
    }
}

void ace_vae_decode_tiled(ace_stream *s, const ace_vae_decoder *d, const float *latents,
                          int64_t frames, const ace_vae_tiling *tiling, float *wave)
{
    int64_t done = 0;
    ace_vae_decode_from(s, d, latents, frames, tiling, &done, wave);
}

void ace_vae_decode_resident(ace_stream *s, const ace_vae_decoder *d, const float *latents,
                             int64_t frames, const ace_vae_tiling *tiling, float *wave)
{
    ace_arena_mark all = ace_mark(s);
    ace_tensor song = ace_new(s, ACE_F32, frames * d->hop, d->audio_channels);
    ace_stream_progress(s, 0);
    for (int64_t done = 0; done < frames && ace_stream_status(s) == ACESTEP_OK;) {
        window w = window_at(tiling, frames, done);
        ace_arena_mark mark = ace_mark(s);
        ace_tensor kept = decode_window(s, d, latents, &w);
        ace_copy(s, ace_rows(song, w.core * d->hop, kept.rows), kept);
        ace_reset(s, &mark);
        done = w.core_end;
        ace_stream_progress(s, (double)done / (double)frames);
    }
    ace_download(s, wave, song);
    ace_reset(s, &all);
}

/* The last window takes the samples after the last whole frame along: they are heard too. */
static void encode_window(ace_stream *s, const ace_vae_encoder *e, const float *wave,
                          int64_t samples, const window *w, float *moments)
{
    ace_arena_mark mark = ace_mark(s);
    int64_t frames = samples / e->hop;
    int64_t begin = w->first * e->hop;
    int64_t end = w->last == frames ? samples : w->last * e->hop;
    ace_tensor x = ace_new_from(s, ACE_F32, end - begin, e->audio_channels,
                                from(wave, begin * e->audio_channels));
    ace_tensor y = ace_new(s, ACE_F32, w->last - w->first, 2 * e->latent_channels);
    ace_vae_encoder_forward(s, e, x, y);
    ace_tensor kept = ace_rows(y, w->core - w->first, w->core_end - w->core);
    ace_download(s, to(moments, w->core * 2 * e->latent_channels), kept);
    ace_reset(s, &mark);
}

void ace_vae_encode_tiled(ace_stream *s, const ace_vae_encoder *e, const float *wave,
                          int64_t samples, const ace_vae_tiling *tiling, float *moments)
{
    int64_t frames = samples / e->hop;
    if (frames == 0) {
        ace_stream_fail(s, ACESTEP_AUDIO,
                        "%lld samples of audio are too short: at least %lld are needed",
                        (long long)samples, (long long)e->hop);
    }
    ace_stream_progress(s, 0);
    for (int64_t done = 0; done < frames && ace_stream_status(s) == ACESTEP_OK;) {
        window w = window_at(tiling, frames, done);
        encode_window(s, e, wave, samples, &w, moments);
        done = w.core_end;
        ace_stream_progress(s, (double)done / (double)frames);
    }
}
