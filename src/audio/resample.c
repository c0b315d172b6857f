#include "audio/resample.h"

#include "base/memory.h"

#include <math.h>
#include <string.h>

/* torchaudio's defaults: zero crossings kept per side, and the edge as a part of Nyquist. */
static const double zero_crossings = 6.0;
static const double roll_off = 0.99;
static const double pi = 3.14159265358979323846;

struct ace_resampler {
    int a; /* rates without their common divisor */
    int b;
    int channels;
    int reach;      /* taps lie in i0 - reach … i0 + reach around i0 = floor(j · a / b) */
    int taps;       /* 2 · reach + 2 */
    float *kernel;  /* [b, taps] */
    float *window;  /* [window_room, channels]: input still needed */
    int64_t base;   /* input index of the window's first frame; starts at -reach */
    int64_t count;  /* frames in the window */
    int64_t room;   /* frames the window can hold */
    int64_t pushed; /* input frames so far */
    int64_t made;   /* output frames so far */
};

static int greatest_common_divisor(int a, int b)
{
    while (b != 0) {
        int rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

int64_t ace_resample_frames(int64_t n, int from, int to)
{
    int divisor = greatest_common_divisor(from, to);
    int64_t a = from / divisor;
    int64_t b = to / divisor;
    return (n / a) * b + ((n % a) * b + a - 1) / a;
}

static double filter(double t, double gain)
{
    if (fabs(t) >= zero_crossings) {
        return 0.0;
    }
    double window = cos(t * pi / zero_crossings / 2.0);
    double sinc = t == 0.0 ? 1.0 : sin(pi * t) / (pi * t);
    return gain * window * window * sinc;
}

/* One row per phase j mod b; tap k of it weighs input floor(j · a / b) - reach + k. */
static void fill_kernel(ace_resampler *r)
{
    double edge = roll_off * (r->a < r->b ? r->a : r->b);
    for (int phase = 0; phase < r->b; phase++) {
        int64_t whole = (int64_t)phase * r->a / r->b;
        for (int k = 0; k < r->taps; k++) {
            double input_time = (double)(whole - r->reach + k) / r->a;
            double t = (input_time - (double)phase / r->b) * edge;
            r->kernel[(int64_t)phase * r->taps + k] = (float)filter(t, edge / r->a);
        }
    }
}

/* Frames of input handled at once; the window holds these and the filter's length. */
enum { BLOCK = 4096 };

ace_status ace_resampler_create(int from, int to, int channels, ace_resampler **out, ace_error *err)
{
    *out = NULL;
    if (from < ACE_RESAMPLE_RATE_MIN || from > ACE_RESAMPLE_RATE_MAX ||
        to < ACE_RESAMPLE_RATE_MIN || to > ACE_RESAMPLE_RATE_MAX || channels < 1) {
        return ace_fail(err, ACESTEP_ARGUMENT,
                        "cannot resample %d channels from %d to %d Hz; rates may be %d to %d Hz",
                        channels, from, to, ACE_RESAMPLE_RATE_MIN, ACE_RESAMPLE_RATE_MAX);
    }
    ace_resampler *r = ace_calloc(1, sizeof *r);
    if (r == NULL) {
        return ace_fail(err, ACESTEP_MEMORY, "no memory for the resampler");
    }
    int divisor = greatest_common_divisor(from, to);
    r->a = from / divisor;
    r->b = to / divisor;
    r->channels = channels;
    double edge = roll_off * (r->a < r->b ? r->a : r->b);
    r->reach = (int)ceil(zero_crossings * r->a / edge);
    r->taps = 2 * r->reach + 2;
    r->room = BLOCK + r->taps;
    r->kernel = ace_malloc_array((size_t)r->b, (size_t)r->taps * sizeof *r->kernel);
    r->window = ace_calloc((size_t)r->room, (size_t)channels * sizeof *r->window);
    if (r->kernel == NULL || r->window == NULL) {
        ace_resampler_free(r);
        return ace_fail(err, ACESTEP_MEMORY, "no memory for the resampler's filter");
    }
    fill_kernel(r);
    r->base = -r->reach;
    r->count = r->reach;
    *out = r;
    return ACESTEP_OK;
}

void ace_resampler_free(ace_resampler *resampler)
{
    if (resampler != NULL) {
        ace_free(resampler->kernel);
        ace_free(resampler->window);
        ace_free(resampler);
    }
}

/* First input frame under the filter of output frame j. */
static int64_t first_input(const ace_resampler *r, int64_t j)
{
    return (j / r->b) * r->a + (j % r->b) * r->a / r->b - r->reach;
}

static void make_frame(const ace_resampler *r, float *out)
{
    const float *kernel = r->kernel + (r->made % r->b) * r->taps;
    const float *x = r->window + (first_input(r, r->made) - r->base) * r->channels;
    for (int c = 0; c < r->channels; c++) {
        double sum = 0.0;
        for (int k = 0; k < r->taps; k++) {
            sum += (double)kernel[k] * x[k * r->channels + c];
        }
        out[c] = (float)sum;
    }
}

/* Makes output frames up to limit as far as the window reaches. */
static ace_status make_frames(ace_resampler *r, int64_t limit, ace_audio *out, int64_t *capacity,
                              ace_error *err)
{
    int64_t end = r->base + r->count;
    while (r->made < limit && first_input(r, r->made) + r->taps <= end) {
        ace_status status = ace_audio_reserve(out, capacity, 1, err);
        if (status != ACESTEP_OK) {
            return status;
        }
        make_frame(r, out->samples + out->frames * out->channels);
        out->frames++;
        r->made++;
    }
    return ACESTEP_OK;
}

/* Drops the input that no later output frame needs. */
static void slide_window(ace_resampler *r)
{
    int64_t unused = first_input(r, r->made) - r->base;
    unused = unused < r->count ? unused : r->count;
    size_t kept = (size_t)(r->count - unused) * (size_t)r->channels * sizeof *r->window;
    memmove(r->window, r->window + unused * r->channels, kept);
    r->base += unused;
    r->count -= unused;
}

/* samples NULL: zeros, from beyond the end of the input. */
static ace_status feed(ace_resampler *r, const float *samples, int64_t frames, int64_t limit,
                       ace_audio *out, int64_t *capacity, ace_error *err)
{
    while (frames > 0) {
        int64_t part = r->room - r->count;
        part = part < frames ? part : frames;
        float *end = r->window + r->count * r->channels;
        size_t numbers = (size_t)part * (size_t)r->channels;
        if (samples != NULL) {
            memcpy(end, samples, numbers * sizeof *end);
            samples += numbers;
        } else {
            memset(end, 0, numbers * sizeof *end);
        }
        r->count += part;
        frames -= part;
        ace_status status = make_frames(r, limit, out, capacity, err);
        if (status != ACESTEP_OK) {
            return status;
        }
        slide_window(r);
    }
    return ACESTEP_OK;
}

ace_status ace_resampler_push(ace_resampler *resampler, const float *samples, int64_t frames,
                              ace_audio *out, int64_t *capacity, ace_error *err)
{
    resampler->pushed += frames;
    return feed(resampler, samples, frames, INT64_MAX, out, capacity, err);
}

ace_status ace_resampler_finish(ace_resampler *resampler, ace_audio *out, int64_t *capacity,
                                ace_error *err)
{
    int64_t total = ace_resample_frames(resampler->pushed, resampler->a, resampler->b);
    return feed(resampler, NULL, resampler->taps, total, out, capacity, err);
}

ace_status ace_audio_resample(const ace_audio *in, int rate, ace_audio *out, ace_error *err)
{
    if (rate == in->rate) {
        ace_status status = ace_audio_create(in->frames, in->channels, rate, out, err);
        if (status == ACESTEP_OK && in->frames > 0) {
            size_t numbers = (size_t)in->frames * (size_t)in->channels;
            memcpy(out->samples, in->samples, numbers * sizeof *out->samples);
        }
        return status;
    }
    memset(out, 0, sizeof *out);
    ace_resampler *r = NULL;
    ace_status status = ace_resampler_create(in->rate, rate, in->channels, &r, err);
    if (status != ACESTEP_OK) {
        return status;
    }
    out->channels = in->channels;
    out->rate = rate;
    int64_t capacity = 0;
    status =
        ace_audio_reserve(out, &capacity, ace_resample_frames(in->frames, in->rate, rate), err);
    if (status == ACESTEP_OK) {
        status = ace_resampler_push(r, in->samples, in->frames, out, &capacity, err);
    }
    if (status == ACESTEP_OK) {
        status = ace_resampler_finish(r, out, &capacity, err);
    }
    ace_resampler_free(r);
    if (status != ACESTEP_OK) {
        ace_audio_free(out);
    }
    return status;
}
