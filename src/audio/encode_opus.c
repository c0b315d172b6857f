/* Ogg Opus by libopusenc. */
#include "audio/encode.h"
#include "audio/ogg.h"

#include <opusenc.h>

static int sink_write(void *user, const unsigned char *data, opus_int32 size)
{
    ace_bytes *out = user;
    ace_bytes_append(out, data, (size_t)size);
    return out->failed ? 1 : 0;
}

static int sink_close(void *user)
{
    (void)user;
    return 0;
}

static OggOpusComments *make_comments(const ace_encoding *job)
{
    OggOpusComments *comments = ope_comments_create();
    for (size_t i = 0; comments != NULL && i < job->n_tags; i++) {
        const ace_tag *tag = &job->tags[i];
        if (tag->value != NULL && tag->value[0] != '\0' &&
            ope_comments_add(comments, tag->key, tag->value) != OPE_OK) {
            ope_comments_destroy(comments);
            comments = NULL;
        }
    }
    return comments;
}

static int encode(OggOpusEnc *encoder, const ace_encoding *job)
{
    const ace_audio *audio = job->audio;
    int code = ope_encoder_ctl(encoder, OPUS_SET_BITRATE(job->format->opus_bitrate * 1000));
    if (code ==
        OPE_OK) { /* a file, unlike a call, may borrow bits: 3 to 6 dB less noise on tones */
        code = ope_encoder_ctl(encoder, OPUS_SET_VBR_CONSTRAINT(0));
    }
    if (code == OPE_OK) {
        code = ope_encoder_ctl(encoder, OPE_SET_SERIALNO(ACE_OGG_SERIAL));
    }
    for (int64_t first = 0; first < audio->frames && code == OPE_OK; first += ACE_ENCODE_BLOCK) {
        float block[ACE_ENCODE_BLOCK * ACE_AUDIO_CHANNELS];
        int64_t left = audio->frames - first;
        int frames = (int)(left < ACE_ENCODE_BLOCK ? left : ACE_ENCODE_BLOCK);
        ace_block_floats(audio, first, frames, true, block);
        code = ope_encoder_write_float(encoder, block, frames);
    }
    return code == OPE_OK ? ope_encoder_drain(encoder) : code;
}

ace_status ace_encode_opus(const ace_encoding *job, ace_error *err)
{
    OggOpusComments *comments = make_comments(job);
    if (comments == NULL) {
        return ace_fail(err, ACESTEP_MEMORY, "no memory for the tags");
    }
    OpusEncCallbacks callbacks = {sink_write, sink_close};
    int code = OPE_OK;
    OggOpusEnc *encoder = ope_encoder_create_callbacks(
        &callbacks, job->out, comments, job->audio->rate, job->audio->channels, 0, &code);
    if (encoder != NULL) {
        code = encode(encoder, job);
        ope_encoder_destroy(encoder);
    }
    ope_comments_destroy(comments);
    if (code != OPE_OK && !job->out->failed) {
        return ace_fail(err, code == OPE_ALLOC_FAIL ? ACESTEP_MEMORY : ACESTEP_FAILED,
                        "the Opus encoder gave up: %s", ope_strerror(code));
    }
    return ACESTEP_OK;
}
