#include "model/vae_tiling.h"

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
