/* WAV (RIFF, "Multimedia Programming Interface and Data Specifications 1.0", IBM and Microsoft
 * 1991). Tags follow the samples, so that a player can start after 44 bytes. */
#include "audio/encode.h"
#include "audio/tag_blocks.h"

#include <string.h>

enum { PCM = 1, IEEE_FLOAT = 3 };

static int sample_bytes(ace_audio_kind kind)
{
    return kind == ACE_AUDIO_WAV16 ? 2 : kind == ACE_AUDIO_WAV24 ? 3 : 4;
}

void ace_wav_header_append(ace_bytes *out, ace_audio_kind kind, int channels, int rate,
                           uint64_t data_bytes, uint64_t tail_bytes)
{
    bool is_float = kind == ACE_AUDIO_WAV32;
    int width = sample_bytes(kind);
    uint64_t frame_bytes = (uint64_t)(channels * width);
    uint64_t padded = data_bytes + (data_bytes & 1);
    uint64_t format_bytes = is_float ? 18 : 16; /* formats other than PCM carry an extension size */
    uint64_t riff = 4 + 8 + format_bytes + (is_float ? 12 : 0) + 8 + padded + tail_bytes;
    bool large = riff > 0xffffffffu;
    ace_bytes_append(out, large ? "RF64" : "RIFF", 4);
    ace_bytes_append_le(out, large ? 0xffffffffu : riff, 4);
    ace_bytes_append(out, "WAVE", 4);
    if (large) {
        enum { DS64_BODY = 28 };
        ace_bytes_append(out, "ds64", 4);
        ace_bytes_append_le(out, DS64_BODY, 4);
        ace_bytes_append_le(out, riff + 8 + DS64_BODY, 8);
        ace_bytes_append_le(out, data_bytes, 8);
        ace_bytes_append_le(out, data_bytes / frame_bytes, 8);
        ace_bytes_append_le(out, 0, 4); /* no table of further chunks */
    }
    ace_bytes_append(out, "fmt ", 4);
    ace_bytes_append_le(out, format_bytes, 4);
    ace_bytes_append_le(out, is_float ? IEEE_FLOAT : PCM, 2);
    ace_bytes_append_le(out, (uint64_t)channels, 2);
    ace_bytes_append_le(out, (uint64_t)rate, 4);
    ace_bytes_append_le(out, (uint64_t)rate * frame_bytes, 4);
    ace_bytes_append_le(out, frame_bytes, 2);
    ace_bytes_append_le(out, (uint64_t)width * 8, 2);
    if (is_float) {
        ace_bytes_append_le(out, 0, 2); /* no extension */
        ace_bytes_append(out, "fact", 4);
        ace_bytes_append_le(out, 4, 4);
        ace_bytes_append_le(out, large ? 0xffffffffu : data_bytes / frame_bytes, 4);
    }
    ace_bytes_append(out, "data", 4);
    ace_bytes_append_le(out, large ? 0xffffffffu : data_bytes, 4);
}

static void append_tags(const ace_encoding *job, ace_bytes *out)
{
    ace_riff_info_append(out, job->tags, job->n_tags);
    ace_bytes id3 = {0};
    ace_id3_append(&id3, job->tags, job->n_tags);
    if (id3.size > 0) {
        ace_bytes_append(out, "id3 ", 4);
        ace_bytes_append_le(out, id3.size, 4);
        ace_bytes_append(out, id3.data, id3.size);
        if (id3.size & 1) {
            ace_bytes_append_u8(out, 0);
        }
    }
    out->failed = out->failed || id3.failed;
    ace_bytes_free(&id3);
}

/* One block of samples as little-endian bytes of the file's width. */
static void append_block(const ace_encoding *job, int64_t first, int64_t frames)
{
    enum { NUMBERS = ACE_ENCODE_BLOCK * ACE_AUDIO_CHANNELS };
    const ace_audio *audio = job->audio;
    int width = sample_bytes(job->format->kind);
    int32_t integers[NUMBERS];
    unsigned char bytes[NUMBERS * 4];
    if (job->format->kind == ACE_AUDIO_WAV32) {
        float floats[NUMBERS];
        ace_block_floats(audio, first, frames, false, floats);
        memcpy(integers, floats, sizeof integers);
    } else {
        ace_block_integers(audio, first, frames, 8 * width, job->format, integers);
    }
    int64_t count = frames * audio->channels;
    unsigned char *at = bytes;
    for (int64_t i = 0; i < count; i++) {
        uint32_t value = (uint32_t)integers[i];
        for (int b = 0; b < width; b++) {
            *at++ = (unsigned char)(value >> (8 * b));
        }
    }
    ace_bytes_append(job->out, bytes, (size_t)(at - bytes));
}

ace_status ace_encode_wav(const ace_encoding *job, ace_error *err)
{
    (void)err;
    const ace_audio *audio = job->audio;
    int width = sample_bytes(job->format->kind);
    uint64_t data_bytes = (uint64_t)audio->frames * (uint64_t)(audio->channels * width);
    ace_bytes tail = {0};
    append_tags(job, &tail);
    ace_wav_header_append(job->out, job->format->kind, audio->channels, audio->rate, data_bytes,
                          tail.size);
    (void)ace_bytes_reserve(job->out, (size_t)data_bytes + 1 + tail.size);
    for (int64_t first = 0; first < audio->frames && !job->out->failed; first += ACE_ENCODE_BLOCK) {
        int64_t left = audio->frames - first;
        append_block(job, first, left < ACE_ENCODE_BLOCK ? left : ACE_ENCODE_BLOCK);
    }
    if (data_bytes & 1) {
        ace_bytes_append_u8(job->out, 0);
    }
    ace_bytes_append(job->out, tail.data, tail.size);
    job->out->failed = job->out->failed || tail.failed;
    ace_bytes_free(&tail);
    return ACESTEP_OK;
}
