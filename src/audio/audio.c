#include "audio/audio.h"

#include "base/checked.h"
#include "base/memory.h"

#include <math.h>
#include <string.h>

/* Below this everything is silence (the reference's test before it uses a recording). */
static const float silence_peak = 1e-6f;

ace_status ace_audio_create(int64_t frames, int channels, int rate, ace_audio *out, ace_error *err)
{
    memset(out, 0, sizeof *out);
    size_t count = 0;
    if (frames < 0 || channels < 1 || rate < 1 ||
        ace_mul_overflows((size_t)frames, (size_t)channels, &count)) {
        return ace_fail(err, ACESTEP_ARGUMENT, "audio of %lld frames, %d channels at %d Hz",
                        (long long)frames, channels, rate);
    }
    out->samples = ace_calloc(count, sizeof *out->samples);
    if (out->samples == NULL) {
        return ace_fail(err, ACESTEP_MEMORY, "no memory for %.1f s of audio",
                        (double)frames / rate);
    }
    out->frames = frames;
    out->channels = channels;
    out->rate = rate;
    return ACESTEP_OK;
}

ace_status ace_audio_reserve(ace_audio *out, int64_t *capacity, int64_t frames, ace_error *err)
{
    if (frames <= *capacity - out->frames) {
        return ACESTEP_OK;
    }
    int64_t wanted = out->frames + frames;
    int64_t grown = *capacity + *capacity / 2;
    wanted = grown > wanted ? grown : wanted;
    float *samples =
        ace_realloc_array(out->samples, (size_t)wanted, (size_t)out->channels * sizeof *samples);
    if (samples == NULL) {
        return ace_fail(err, ACESTEP_MEMORY, "no memory for %.1f s of audio",
                        (double)wanted / out->rate);
    }
    out->samples = samples;
    *capacity = wanted;
    return ACESTEP_OK;
}

void ace_audio_free(ace_audio *audio)
{
    ace_free(audio->samples);
    memset(audio, 0, sizeof *audio);
}

float ace_audio_peak(const ace_audio *audio)
{
    float peak = 0.0f;
    int64_t count = audio->frames * audio->channels;
    for (int64_t i = 0; i < count; i++) {
        float magnitude = fabsf(audio->samples[i]);
        peak = magnitude > peak ? magnitude : peak;
    }
    return peak;
}

bool ace_audio_is_silent(const ace_audio *audio)
{
    return ace_audio_peak(audio) <= silence_peak;
}
