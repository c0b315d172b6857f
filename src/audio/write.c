#include "audio/write.h"

#include "audio/encode.h"
#include "base/file_write.h"
#include "base/memory.h"

#include <math.h>
#include <soxr.h>
#include <string.h>

static ace_encoder *encoder_for(ace_audio_kind kind)
{
    switch (kind) {
    case ACE_AUDIO_FLAC:
    case ACE_AUDIO_FLAC16:
        return ace_encode_flac;
    case ACE_AUDIO_WAV16:
    case ACE_AUDIO_WAV24:
    case ACE_AUDIO_WAV32:
        return ace_encode_wav;
    case ACE_AUDIO_MP3:
        return ace_encode_mp3;
    case ACE_AUDIO_OPUS:
        return ace_encode_opus;
    case ACE_AUDIO_VORBIS:
        break;
    }
    return ace_encode_vorbis;
}

ace_status ace_audio_convert_rate(const ace_audio *in, int rate, ace_audio *out, ace_error *err)
{
    int64_t frames = (int64_t)ceil((double)in->frames * rate / in->rate);
    ace_status status = ace_audio_create(frames, in->channels, rate, out, err);
    if (status != ACESTEP_OK) {
        return status;
    }
    soxr_io_spec_t layout = soxr_io_spec(SOXR_FLOAT32_I, SOXR_FLOAT32_I);
    soxr_quality_spec_t quality = soxr_quality_spec(SOXR_VHQ, 0);
    size_t done = 0;
    soxr_error_t failure =
        soxr_oneshot(in->rate, rate, (unsigned)in->channels, in->samples, (size_t)in->frames, NULL,
                     out->samples, (size_t)frames, &done, &layout, &quality, NULL);
    if (failure != NULL) {
        ace_audio_free(out);
        return ace_fail(err, ACESTEP_FAILED, "no conversion from %d to %d Hz: %s", in->rate, rate,
                        failure);
    }
    return ACESTEP_OK;
}

static ace_status check_audio(const ace_audio *audio, ace_error *err)
{
    if (audio->frames < 1 || audio->channels < 1 || audio->channels > ACE_AUDIO_CHANNELS ||
        audio->rate < 1) {
        return ace_fail(err, ACESTEP_ARGUMENT,
                        "cannot write %lld frames of %d channels at %d Hz: need 1 or 2 channels",
                        (long long)audio->frames, audio->channels, audio->rate);
    }
    return ACESTEP_OK;
}

/* The rate the file will have. Opus knows one above telephone quality. */
static int file_rate(const ace_audio *audio, const ace_audio_format *format)
{
    if (format->kind == ACE_AUDIO_OPUS) {
        return 48000;
    }
    return format->rate != 0 ? format->rate : audio->rate;
}

static ace_status encode_at_rate(ace_encoding *job, ace_error *err)
{
    int rate = file_rate(job->audio, job->format);
    ace_audio converted = {0};
    ace_status status = ACESTEP_OK;
    if (rate != job->audio->rate) {
        status = ace_audio_convert_rate(job->audio, rate, &converted, err);
        job->audio = &converted;
    }
    if (status == ACESTEP_OK) {
        status = encoder_for(job->format->kind)(job, err);
    }
    ace_audio_free(&converted);
    return status;
}

ace_status ace_audio_encode(const ace_audio *audio, const ace_audio_format *format,
                            const ace_tag *tags, size_t n_tags, ace_bytes *out, ace_error *err)
{
    ace_status status = check_audio(audio, err);
    if (status == ACESTEP_OK) {
        status = ace_audio_format_check(format, err);
    }
    if (status == ACESTEP_OK) {
        status = ace_tags_check(tags, n_tags, err);
    }
    if (status == ACESTEP_OK) {
        ace_encoding job = {audio, format, tags, n_tags, out};
        status = encode_at_rate(&job, err);
    }
    if (status == ACESTEP_OK && out->failed) {
        status = ace_fail(err, ACESTEP_MEMORY, "no memory for a %s file of %.1f s",
                          ace_audio_format_name(format->kind), ace_audio_seconds(audio));
    }
    if (status != ACESTEP_OK) {
        ace_bytes_free(out);
    }
    return status;
}

ace_status ace_audio_write(const char *path, const ace_audio *audio, const ace_audio_format *format,
                           const ace_tag *tags, size_t n_tags, ace_error *err)
{
    ace_bytes bytes = {0};
    ace_status status = ace_audio_encode(audio, format, tags, n_tags, &bytes, err);
    if (status == ACESTEP_OK) {
        status = ace_file_write(path, bytes.data, bytes.size, err);
    }
    ace_bytes_free(&bytes);
    return status;
}
