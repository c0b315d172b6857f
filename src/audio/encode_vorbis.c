/* Ogg Vorbis by libsndfile, which gives each file a random serial number and knows few tags: both
 * are set afterwards. */
#include "audio/encode.h"
#include "audio/memory_io.h"
#include "audio/ogg.h"

static ace_status encode(const ace_encoding *job, ace_bytes *file, ace_error *err)
{
    const ace_audio *audio = job->audio;
    SF_INFO info = {.samplerate = audio->rate,
                    .channels = audio->channels,
                    .format = SF_FORMAT_OGG | SF_FORMAT_VORBIS};
    ace_memory_sink sink = {file, 0};
    SNDFILE *sound = ace_memory_sink_open(&sink, &info);
    if (sound == NULL) {
        return ace_fail(err, ACESTEP_UNSUPPORTED, "Ogg Vorbis with %d channels at %d Hz: %s",
                        audio->channels, audio->rate, sf_strerror(NULL));
    }
    double quality = job->format->ogg_quality / 10.0;
    sf_command(sound, SFC_SET_VBR_ENCODING_QUALITY, &quality, sizeof quality);
    bool complete = true;
    for (int64_t first = 0; first < audio->frames && complete; first += ACE_ENCODE_BLOCK) {
        float block[ACE_ENCODE_BLOCK * ACE_AUDIO_CHANNELS];
        int64_t left = audio->frames - first;
        int64_t frames = left < ACE_ENCODE_BLOCK ? left : ACE_ENCODE_BLOCK;
        ace_block_floats(audio, first, frames, true, block);
        complete = sf_writef_float(sound, block, frames) == frames && !file->failed;
    }
    sf_close(sound);
    return complete || file->failed
               ? ACESTEP_OK
               : ace_fail(err, ACESTEP_FAILED, "the Vorbis encoder gave up at quality %g", quality);
}

ace_status ace_encode_vorbis(const ace_encoding *job, ace_error *err)
{
    ace_bytes file = {0};
    ace_status status = encode(job, &file, err);
    if (status == ACESTEP_OK && !file.failed &&
        !ace_ogg_vorbis_retag(&file, job->tags, job->n_tags, job->out) && !job->out->failed) {
        status = ace_fail(err, ACESTEP_FAILED, "the Vorbis encoder wrote no complete file");
    }
    job->out->failed = job->out->failed || file.failed;
    ace_bytes_free(&file);
    return status;
}
