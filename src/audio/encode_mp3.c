/* MP3 by LAME, behind an ID3v2.4 tag of our own: LAME's writer refuses lyrics. */
#include "audio/encode.h"
#include "audio/tag_blocks.h"

#include <lame/lame.h>
#include <stdarg.h>

/* LAME's manual: a block of n frames needs at most 1.25 n + 7200 bytes. */
enum { MP3_ROOM = ACE_ENCODE_BLOCK * 5 / 4 + 7200 };

/* LAME reports through these; our callers get a status instead. */
static void ignore_report(const char *format, va_list args)
{
    (void)format;
    (void)args;
}

/* The rates of MPEG 1 and 2 layer III; LAME writes nonsense at others without a word. */
static bool rate_is_known(int rate)
{
    static const int rates[] = {16000, 22050, 24000, 32000, 44100, 48000};
    for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        if (rate == rates[i]) {
            return true;
        }
    }
    return false;
}

static bool configure(lame_t lame, const ace_encoding *job)
{
    const ace_audio_format *format = job->format;
    lame_set_errorf(lame, ignore_report);
    lame_set_debugf(lame, ignore_report);
    lame_set_msgf(lame, ignore_report);
    lame_set_num_channels(lame, job->audio->channels);
    lame_set_mode(lame, job->audio->channels == 1 ? MONO : JOINT_STEREO);
    lame_set_in_samplerate(lame, job->audio->rate);
    lame_set_out_samplerate(lame, job->audio->rate);
    lame_set_quality(lame, 2); /* LAME's "high quality, not too slow" */
    lame_set_write_id3tag_automatic(lame, 0);
    lame_set_bWriteVbrTag(lame, 1); /* its frame tells players the exact length */
    if (format->mp3_vbr >= 0) {
        lame_set_VBR(lame, vbr_mtrh);
        lame_set_VBR_q(lame, format->mp3_vbr);
    } else {
        lame_set_VBR(lame, vbr_off);
        lame_set_brate(lame, format->mp3_bitrate);
    }
    return rate_is_known(job->audio->rate) && lame_init_params(lame) >= 0;
}

static bool encode(lame_t lame, const ace_encoding *job)
{
    const ace_audio *audio = job->audio;
    unsigned char bytes[MP3_ROOM];
    int written = 0;
    for (int64_t first = 0; first < audio->frames; first += ACE_ENCODE_BLOCK) {
        float block[ACE_ENCODE_BLOCK * ACE_AUDIO_CHANNELS];
        int64_t left = audio->frames - first;
        int frames = (int)(left < ACE_ENCODE_BLOCK ? left : ACE_ENCODE_BLOCK);
        ace_block_floats(audio, first, frames, true, block);
        written =
            audio->channels == 1
                ? lame_encode_buffer_ieee_float(lame, block, block, frames, bytes, MP3_ROOM)
                : lame_encode_buffer_interleaved_ieee_float(lame, block, frames, bytes, MP3_ROOM);
        if (written < 0) {
            return false;
        }
        ace_bytes_append(job->out, bytes, (size_t)written);
    }
    written = lame_encode_flush(lame, bytes, MP3_ROOM);
    if (written > 0) {
        ace_bytes_append(job->out, bytes, (size_t)written);
    }
    return written >= 0;
}

/* The first frame was left empty for LAME's description of the stream, known only at the end. */
static void fill_info_frame(lame_t lame, size_t start, ace_bytes *out)
{
    unsigned char frame[2880]; /* the largest MPEG audio frame */
    size_t size = lame_get_lametag_frame(lame, frame, sizeof frame);
    if (size > 0 && size <= sizeof frame && !out->failed && out->size - start >= size) {
        ace_bytes_splice(out, start, size, frame, size);
    }
}

ace_status ace_encode_mp3(const ace_encoding *job, ace_error *err)
{
    lame_t lame = lame_init();
    if (lame == NULL) {
        return ace_fail(err, ACESTEP_MEMORY, "no memory for the MP3 encoder");
    }
    ace_status status = ACESTEP_OK;
    ace_id3_append(job->out, job->tags, job->n_tags);
    size_t start = job->out->size;
    if (!configure(lame, job)) {
        status = ace_fail(err, ACESTEP_UNSUPPORTED,
                          "MP3 of %d kbit/s at %d Hz is not possible; use 44100 or 48000 Hz",
                          job->format->mp3_bitrate, job->audio->rate);
    } else if (!encode(lame, job)) {
        status = ace_fail(err, ACESTEP_FAILED, "the MP3 encoder gave up");
    } else {
        fill_info_frame(lame, start, job->out);
    }
    lame_close(lame);
    return status;
}
