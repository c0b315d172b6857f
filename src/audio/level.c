#include "audio/level.h"

#include "base/dtype.h"
#include "base/memory.h"

#include <ebur128.h>
#include <math.h>
#include <string.h>
#include <strings.h>

static const float silence_peak = 1e-6f;         /* the reference leaves quieter songs alone */
static const float silence_threshold = 0.001f;   /* -60 dBFS */
static const double true_peak_ceiling_db = -1.0; /* EBU R 128, for delivery */

ace_level_options ace_level_options_default(void)
{
    return (ace_level_options){ACE_LEVEL_PEAK, -1.0, -14.0, 10, 0.0, 0.0};
}

ace_status ace_level_mode_parse(const char *name, ace_level_mode *out, ace_error *err)
{
    static const char *const names[] = {[ACE_LEVEL_PEAK] = "peak",
                                        [ACE_LEVEL_NONE] = "none",
                                        [ACE_LEVEL_LUFS] = "lufs",
                                        [ACE_LEVEL_PERCENTILE] = "percentile"};
    for (int i = 0; i < (int)(sizeof names / sizeof names[0]); i++) {
        if (strcasecmp(name, names[i]) == 0) {
            *out = (ace_level_mode)i;
            return ACESTEP_OK;
        }
    }
    return ace_fail(err, ACESTEP_ARGUMENT,
                    "unknown level mode '%.40s'; known are peak, none, lufs, percentile", name);
}

static int64_t sample_count(const ace_audio *audio)
{
    return audio->frames * audio->channels;
}

static double decibels(double amplitude)
{
    double db = amplitude > 0.0 ? 20.0 * log10(amplitude) : ACE_LEVEL_FLOOR_DB;
    return db > ACE_LEVEL_FLOOR_DB ? db : ACE_LEVEL_FLOOR_DB;
}

static void scale(ace_audio *audio, float gain)
{
    int64_t count = sample_count(audio);
    for (int64_t i = 0; i < count; i++) {
        audio->samples[i] *= gain;
    }
}

void ace_level_fit(ace_audio *audio)
{
    float peak = ace_audio_peak(audio);
    if (peak > 1.0f && isfinite(peak)) {
        int64_t count = sample_count(audio);
        for (int64_t i = 0; i < count; i++) {
            audio->samples[i] /= peak;
        }
    }
}

static void to_peak(ace_audio *audio, double target_db)
{
    float peak = ace_audio_peak(audio);
    if (peak >= silence_peak && isfinite(peak)) {
        scale(audio, (float)pow(10.0, target_db / 20.0) / peak);
    }
}

static ace_status open_meter(const ace_audio *audio, ebur128_state **out, ace_error *err)
{
    *out = ebur128_init((unsigned)audio->channels, (unsigned long)audio->rate,
                        EBUR128_MODE_I | EBUR128_MODE_TRUE_PEAK);
    if (*out == NULL) {
        return ace_fail(err, ACESTEP_MEMORY, "no memory for the loudness meter");
    }
    if (ebur128_add_frames_float(*out, audio->samples, (size_t)audio->frames) != EBUR128_SUCCESS) {
        ebur128_destroy(out);
        return ace_fail(err, ACESTEP_MEMORY, "no memory to measure %.1f s of audio",
                        ace_audio_seconds(audio));
    }
    return ACESTEP_OK;
}

/* Loudness in LUFS (-infinity for silence) and true peak as an amplitude. */
static ace_status measure_loudness(const ace_audio *audio, double *lufs, double *true_peak,
                                   ace_error *err)
{
    ebur128_state *meter = NULL;
    ace_status status = open_meter(audio, &meter, err);
    if (status != ACESTEP_OK) {
        return status;
    }
    if (ebur128_loudness_global(meter, lufs) != EBUR128_SUCCESS) {
        *lufs = -HUGE_VAL;
    }
    *true_peak = 0.0;
    for (int c = 0; c < audio->channels; c++) {
        double peak = 0.0;
        if (ebur128_true_peak(meter, (unsigned)c, &peak) == EBUR128_SUCCESS && peak > *true_peak) {
            *true_peak = peak;
        }
    }
    ebur128_destroy(&meter);
    return ACESTEP_OK;
}

static ace_status to_lufs(ace_audio *audio, double target, ace_error *err)
{
    double lufs = 0.0;
    double true_peak = 0.0;
    ace_status status = measure_loudness(audio, &lufs, &true_peak, err);
    if (status == ACESTEP_OK && isfinite(lufs) && true_peak >= (double)silence_peak) {
        double gain = pow(10.0, (target - lufs) / 20.0);
        double highest = pow(10.0, true_peak_ceiling_db / 20.0) / true_peak;
        scale(audio, (float)(gain < highest ? gain : highest));
    }
    return status;
}

/* Adds the magnitudes' bits to the histogram: the upper half of all, or, with upper >= 0, the lower
 * half of those with that upper half. Bits of non-negative floats sort like the floats. */
static void count_bits(const ace_audio *audio, int64_t upper, uint32_t *histogram)
{
    int64_t count = sample_count(audio);
    for (int64_t i = 0; i < count; i++) {
        uint32_t bits = ace_f32_bits(fabsf(audio->samples[i]));
        if (upper < 0) {
            histogram[bits >> 16]++;
        } else if (bits >> 16 == upper) {
            histogram[bits & 0xffffu]++;
        }
    }
}

/* The bin where, counted from the top, entry number *rank (0: the largest) lies; *rank is then
 * within the bin. */
static uint32_t bin_from_top(const uint32_t *histogram, int64_t *rank)
{
    for (uint32_t bin = 0x10000; bin-- > 0;) {
        if (*rank < histogram[bin]) {
            return bin;
        }
        *rank -= histogram[bin];
    }
    return 0;
}

/* Magnitude number rank of all, the largest being number 0: radix selection in two passes. */
static ace_status ranked_magnitude(const ace_audio *audio, int64_t rank, float *out, ace_error *err)
{
    uint32_t *histogram = ace_calloc(0x10000, sizeof *histogram);
    if (histogram == NULL) {
        return ace_fail(err, ACESTEP_MEMORY, "no memory to measure the level");
    }
    count_bits(audio, -1, histogram);
    uint32_t upper = bin_from_top(histogram, &rank);
    memset(histogram, 0, 0x10000 * sizeof *histogram);
    count_bits(audio, upper, histogram);
    uint32_t lower = bin_from_top(histogram, &rank);
    ace_free(histogram);
    *out = ace_f32_from_bits(upper << 16 | lower);
    return ACESTEP_OK;
}

static ace_status to_percentile(ace_audio *audio, int peak_clip, ace_error *err)
{
    int64_t count = sample_count(audio);
    float level = 0.0f;
    ace_status status = ranked_magnitude(audio, count * peak_clip / 1000000, &level, err);
    if (status == ACESTEP_OK && level >= silence_peak && isfinite(level)) {
        for (int64_t i = 0; i < count; i++) {
            audio->samples[i] = fminf(fmaxf(audio->samples[i] / level, -1.0f), 1.0f);
        }
    }
    return status;
}

void ace_level_fade(ace_audio *audio, double in_seconds, double out_seconds)
{
    double limit = (double)audio->frames;
    int64_t in = (int64_t)fmin(fmax(in_seconds * audio->rate, 0.0), limit);
    int64_t out = (int64_t)fmin(fmax(out_seconds * audio->rate, 0.0), limit);
    int64_t last = audio->frames - 1;
    for (int c = 0; c < audio->channels; c++) {
        for (int64_t i = 0; i < in; i++) {
            audio->samples[i * audio->channels + c] *= (float)((double)i / (double)in);
        }
        for (int64_t i = 0; i < out; i++) {
            audio->samples[(last - i) * audio->channels + c] *= (float)((double)i / (double)out);
        }
    }
}

static ace_status check_options(const ace_level_options *options, ace_error *err)
{
    if (!(options->target_db >= -60.0 && options->target_db <= 0.0)) {
        return ace_fail(err, ACESTEP_ARGUMENT, "target level %g dB; -60 to 0", options->target_db);
    }
    if (!(options->target_lufs >= -70.0 && options->target_lufs <= 0.0)) {
        return ace_fail(err, ACESTEP_ARGUMENT, "target loudness %g LUFS; -70 to 0",
                        options->target_lufs);
    }
    if (options->peak_clip < 0 || options->peak_clip > 999) {
        return ace_fail(err, ACESTEP_ARGUMENT, "peak clip %d; 0 to 999", options->peak_clip);
    }
    if (!(options->fade_in >= 0.0) || !(options->fade_out >= 0.0)) {
        return ace_fail(err, ACESTEP_ARGUMENT, "fades of %g and %g s; 0 or more", options->fade_in,
                        options->fade_out);
    }
    return ACESTEP_OK;
}

ace_status ace_level_apply(ace_audio *audio, const ace_level_options *options, ace_error *err)
{
    ace_status status = check_options(options, err);
    if (status != ACESTEP_OK || audio->frames == 0) {
        return status;
    }
    if (options->mode != ACE_LEVEL_NONE) {
        ace_level_fit(audio);
    }
    switch (options->mode) {
    case ACE_LEVEL_PEAK:
        to_peak(audio, options->target_db);
        break;
    case ACE_LEVEL_LUFS:
        status = to_lufs(audio, options->target_lufs, err);
        break;
    case ACE_LEVEL_PERCENTILE:
        status = to_percentile(audio, options->peak_clip, err);
        break;
    case ACE_LEVEL_NONE:
        break;
    }
    if (status == ACESTEP_OK) {
        ace_level_fade(audio, options->fade_in, options->fade_out);
    }
    return status;
}

static bool frame_is_silent(const ace_audio *audio, int64_t frame)
{
    for (int c = 0; c < audio->channels; c++) {
        if (fabsf(audio->samples[frame * audio->channels + c]) >= silence_threshold) {
            return false;
        }
    }
    return true;
}

static void measure_silence(const ace_audio *audio, ace_level_report *out)
{
    int64_t leading = 0;
    int64_t trailing = 0;
    while (leading < audio->frames && frame_is_silent(audio, leading)) {
        leading++;
    }
    while (trailing < audio->frames && frame_is_silent(audio, audio->frames - 1 - trailing)) {
        trailing++;
    }
    out->leading_silence = (double)leading / audio->rate;
    out->trailing_silence = (double)trailing / audio->rate;
}

ace_status ace_level_measure(const ace_audio *audio, ace_level_report *out, ace_error *err)
{
    *out =
        (ace_level_report){ACE_LEVEL_FLOOR_DB, ACE_LEVEL_FLOOR_DB, ACE_LEVEL_FLOOR_DB, 0, 0, 0, 0};
    if (audio->frames == 0) {
        return ACESTEP_OK;
    }
    int64_t count = sample_count(audio);
    for (int64_t i = 0; i < count; i++) {
        out->clipped += fabsf(audio->samples[i]) >= 1.0f;
        out->not_finite += !isfinite(audio->samples[i]);
    }
    out->peak_db = decibels((double)ace_audio_peak(audio));
    measure_silence(audio, out);
    double lufs = 0.0;
    double true_peak = 0.0;
    ace_status status = measure_loudness(audio, &lufs, &true_peak, err);
    if (status == ACESTEP_OK) {
        out->lufs = lufs > ACE_LEVEL_FLOOR_DB ? lufs : ACE_LEVEL_FLOOR_DB;
        out->true_peak_db = decibels(true_peak);
    }
    return status;
}
