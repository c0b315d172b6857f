#include "audio/read.h"

#include "audio/memory_io.h"
#include "audio/resample.h"
#include "base/file_map.h"
#include "base/memory.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const size_t default_max_bytes = (size_t)256 << 20;
static const double default_max_seconds = 600.0;
static const double max_start =
    3600.0; /* decoding to skip costs time: an upload must not ask for days */

enum { MAX_CHANNELS = 8, BLOCK = 4096 /* frames decoded at a time */ };

/* Everything of one reading. */
typedef struct reader {
    const char *name;
    ace_memory_view view;
    SNDFILE *file;
    SF_INFO info;
    float *block;             /* [BLOCK, info.channels], then the first two channels packed */
    ace_resampler *resampler; /* NULL when the file is at 48 kHz already */
    int64_t skip;             /* frames still to leave out */
    int64_t keep;             /* frames to keep at most */
    int64_t kept;
    bool cut; /* keep is a wish, not the limit: stop there without error */
    unsigned repairs;
    int64_t capacity; /* frames out has room for */
} reader;

/* The first bytes of the formats taken in; libsndfile knows many more, mostly forgotten ones, that
 * untrusted bytes should not reach. */
static bool known_start(const unsigned char *data, size_t bytes)
{
    static const char magic[][5] = {"RIFF", "RIFX", "RF64", "FORM", "fLaC", "OggS"};
    if (bytes < 12) {
        return false;
    }
    for (size_t i = 0; i < sizeof magic / sizeof magic[0]; i++) {
        if (memcmp(data, magic[i], 4) == 0) {
            return true;
        }
    }
    bool mpeg_sync = data[0] == 0xff && (data[1] & 0xe0) == 0xe0;
    return mpeg_sync || memcmp(data, "ID3", 3) == 0;
}

static const char *format_name(int format)
{
    switch (format & SF_FORMAT_TYPEMASK) {
    case SF_FORMAT_WAV:
    case SF_FORMAT_WAVEX:
    case SF_FORMAT_RF64:
        return "WAV";
    case SF_FORMAT_AIFF:
        return "AIFF";
    case SF_FORMAT_FLAC:
        return "FLAC";
    case SF_FORMAT_OGG:
        return (format & SF_FORMAT_SUBMASK) == SF_FORMAT_OPUS ? "Ogg Opus" : "Ogg Vorbis";
    case SF_FORMAT_MPEG:
        return "MP3";
    default:
        return NULL;
    }
}

static ace_status refuse(const reader *r, const char *reason, ace_error *err)
{
    return ace_fail(err, ACESTEP_AUDIO, "%s: %s; supported are %s", r->name, reason,
                    ACE_AUDIO_INPUT_FORMATS);
}

/* RIFF files say their size; libsndfile trusts the file's end instead and tells nobody. A size of
 * all ones is how streaming writers say "unknown". */
static bool riff_is_short(const ace_memory_view *view)
{
    if (memcmp(view->data, "RIFF", 4) != 0) {
        return false;
    }
    uint64_t size = ace_load_le(view->data + 4, 4);
    return size < 0xfffffff0u && size + 8 > (uint64_t)view->bytes + 1; /* 1: missing pad byte */
}

static ace_status open_file(reader *r, ace_error *err)
{
    if (!known_start(r->view.data, (size_t)r->view.bytes)) {
        return refuse(r, "not an audio file", err);
    }
    r->file = ace_memory_view_open(&r->view, &r->info);
    if (r->file == NULL || format_name(r->info.format) == NULL) {
        return refuse(r, "damaged or of an unknown kind", err);
    }
    if (r->info.channels < 1 || r->info.channels > MAX_CHANNELS) {
        return ace_fail(err, ACESTEP_AUDIO, "%s: %d channels; 1 to %d can be read", r->name,
                        r->info.channels, MAX_CHANNELS);
    }
    if (r->info.samplerate < ACE_RESAMPLE_RATE_MIN || r->info.samplerate > ACE_RESAMPLE_RATE_MAX) {
        return ace_fail(err, ACESTEP_AUDIO, "%s: sample rate %d Hz; %d to %d Hz can be read",
                        r->name, r->info.samplerate, ACE_RESAMPLE_RATE_MIN, ACE_RESAMPLE_RATE_MAX);
    }
    if (r->info.channels > ACE_AUDIO_CHANNELS) {
        r->repairs |= ACE_AUDIO_DROPPED;
    }
    if (riff_is_short(&r->view)) {
        r->repairs |= ACE_AUDIO_SHORT;
    }
    return ACESTEP_OK;
}

static ace_status prepare(reader *r, const ace_audio_limits *limits, ace_audio *out, ace_error *err)
{
    double max_seconds = limits->max_seconds > 0.0 ? limits->max_seconds : default_max_seconds;
    if (!(limits->start >= 0.0 && limits->start <= max_start) || !(limits->length >= 0.0)) {
        return ace_fail(err, ACESTEP_ARGUMENT,
                        "%s: cannot trim from %g s for %g s; the start may be 0 to %g s", r->name,
                        limits->start, limits->length, max_start);
    }
    r->cut = limits->length > 0.0 && limits->length <= max_seconds;
    r->skip = (int64_t)(limits->start * r->info.samplerate);
    r->keep = (int64_t)((r->cut ? limits->length : max_seconds) * r->info.samplerate);
    r->block = ace_malloc_array((size_t)BLOCK * sizeof *r->block, MAX_CHANNELS);
    if (r->block == NULL) {
        return ace_fail(err, ACESTEP_MEMORY, "%s: no memory to decode", r->name);
    }
    out->channels = ACE_AUDIO_CHANNELS;
    out->rate = ACE_AUDIO_RATE;
    if (r->info.samplerate == ACE_AUDIO_RATE) {
        return ACESTEP_OK;
    }
    return ace_resampler_create(r->info.samplerate, ACE_AUDIO_RATE, ACE_AUDIO_CHANNELS,
                                &r->resampler, err);
}

static float finite(reader *r, float x)
{
    if (!isfinite(x)) {
        r->repairs |= ACE_AUDIO_NOT_FINITE;
        return 0.0f;
    }
    return x;
}

/* Packs the block to stereo: in place when it shrinks, from the end when mono grows. */
static void to_stereo(reader *r, int64_t frames)
{
    int channels = r->info.channels;
    if (channels == 1) {
        for (int64_t i = frames - 1; i >= 0; i--) {
            float x = finite(r, r->block[i]);
            r->block[2 * i] = x;
            r->block[2 * i + 1] = x;
        }
        return;
    }
    for (int64_t i = 0; i < frames; i++) {
        r->block[2 * i] = finite(r, r->block[i * channels]);
        r->block[2 * i + 1] = finite(r, r->block[i * channels + 1]);
    }
}

/* Hands the frames on to out, at 48 kHz. */
static ace_status deliver(reader *r, const float *samples, int64_t frames, ace_audio *out,
                          ace_error *err)
{
    if (r->resampler != NULL) {
        return ace_resampler_push(r->resampler, samples, frames, out, &r->capacity, err);
    }
    ace_status status = ace_audio_reserve(out, &r->capacity, frames, err);
    if (status == ACESTEP_OK) {
        size_t numbers = (size_t)frames * ACE_AUDIO_CHANNELS;
        memcpy(out->samples + out->frames * ACE_AUDIO_CHANNELS, samples, numbers * sizeof *samples);
        out->frames += frames;
    }
    return status;
}

/* One decoded block: what is before the start is dropped, what is beyond the end ends the reading.
 */
static ace_status take_block(reader *r, int64_t frames, ace_audio *out, bool *done, ace_error *err)
{
    int64_t first = r->skip < frames ? r->skip : frames;
    r->skip -= first;
    int64_t count = frames - first;
    if (count > r->keep - r->kept) {
        if (!r->cut) {
            return ace_fail(err, ACESTEP_AUDIO, "%s: longer than %.0f s; trim it", r->name,
                            (double)r->keep / r->info.samplerate);
        }
        count = r->keep - r->kept;
        *done = true;
    }
    if (count == 0) {
        return ACESTEP_OK;
    }
    to_stereo(r, frames);
    r->kept += count;
    return deliver(r, r->block + first * ACE_AUDIO_CHANNELS, count, out, err);
}

static ace_status decode(reader *r, ace_audio *out, ace_error *err)
{
    sf_count_t decoded = 0;
    bool done = false;
    while (!done) {
        sf_count_t got = sf_readf_float(r->file, r->block, BLOCK);
        if (got <= 0) {
            break;
        }
        decoded += got;
        ace_status status = take_block(r, got, out, &done, err);
        if (status != ACESTEP_OK) {
            return status;
        }
    }
    if (!done && r->info.frames != SF_COUNT_MAX && decoded < r->info.frames) {
        r->repairs |= ACE_AUDIO_SHORT;
    }
    if (r->kept == 0) {
        return decoded > 0
                   ? ace_fail(err, ACESTEP_AUDIO, "%s: ends before the start asked for", r->name)
                   : ace_fail(err, ACESTEP_AUDIO, "%s: holds no sound", r->name);
    }
    if (r->resampler != NULL) {
        return ace_resampler_finish(r->resampler, out, &r->capacity, err);
    }
    return ACESTEP_OK;
}

/* Comes last, since decoding lossy files and resampling both overshoot full scale. */
static void clamp_samples(ace_audio *audio)
{
    int64_t count = audio->frames * audio->channels;
    for (int64_t i = 0; i < count; i++) {
        audio->samples[i] = fminf(fmaxf(audio->samples[i], -1.0f), 1.0f);
    }
}

static void close_reader(reader *r)
{
    if (r->file != NULL) {
        sf_close(r->file);
    }
    ace_free(r->block);
    ace_resampler_free(r->resampler);
}

ace_status ace_audio_read_memory(const void *data, size_t bytes, const char *name,
                                 const ace_audio_limits *limits, ace_audio *out,
                                 ace_audio_source *source, ace_error *err)
{
    ace_audio_limits none = {0};
    limits = limits != NULL ? limits : &none;
    memset(out, 0, sizeof *out);
    size_t max_bytes = limits->max_bytes != 0 ? limits->max_bytes : default_max_bytes;
    if (bytes > max_bytes) {
        return ace_fail(err, ACESTEP_AUDIO, "%s: %zu MB; at most %zu MB can be read", name,
                        bytes >> 20, max_bytes >> 20);
    }
    reader r = {.name = name, .view = {data, (sf_count_t)bytes, 0}};
    ace_status status = open_file(&r, err);
    if (status == ACESTEP_OK) {
        status = prepare(&r, limits, out, err);
    }
    if (status == ACESTEP_OK) {
        status = decode(&r, out, err);
    }
    if (status == ACESTEP_OK) {
        clamp_samples(out);
    } else {
        ace_audio_free(out);
    }
    if (source != NULL) {
        *source = (ace_audio_source){r.info.samplerate, r.info.channels, r.kept, r.repairs,
                                     format_name(r.info.format)};
    }
    close_reader(&r);
    return status;
}

ace_status ace_audio_read(const char *path, const ace_audio_limits *limits, ace_audio *out,
                          ace_audio_source *source, ace_error *err)
{
    memset(out, 0, sizeof *out);
    ace_file file;
    ace_status status = ace_file_open(path, &file, err);
    if (status == ACESTEP_OK) {
        status = ace_audio_read_memory(file.data, file.bytes, path, limits, out, source, err);
        ace_file_close(&file);
    }
    return status;
}

bool ace_audio_repairs_text(const char *name, unsigned repairs, char *text, size_t capacity)
{
    if (capacity > 0) {
        text[0] = '\0';
    }
    if (repairs == 0) {
        return false;
    }
    (void)snprintf(text, capacity, "%s:%s%s%s", name,
                   repairs & ACE_AUDIO_SHORT ? " shorter than its header says;" : "",
                   repairs & ACE_AUDIO_NOT_FINITE ? " samples that are no numbers became 0;" : "",
                   repairs & ACE_AUDIO_DROPPED ? " only the first two channels are used;" : "");
    size_t end = strlen(text);
    if (end > 0 && text[end - 1] == ';') {
        text[end - 1] = '\0';
    }
    return true;
}
