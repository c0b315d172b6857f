/* FLAC: encoded by libsndfile, whose own tags know neither lyrics nor free names; so its comment
 * block is replaced by ours (xiph.org, "FLAC format": metadata blocks). */
#include "audio/encode.h"
#include "audio/memory_io.h"
#include "audio/tag_blocks.h"

#include <string.h>

enum {
    BLOCK_HEADER = 4,
    LAST_BLOCK = 0x80,
    VORBIS_COMMENT = 4,
    PADDING = 1,
    MARKER = 4 /* "fLaC" */
};

static ace_status encode(const ace_encoding *job, ace_bytes *file, ace_error *err)
{
    const ace_audio *audio = job->audio;
    int bits = job->format->kind == ACE_AUDIO_FLAC16 ? 16 : 24;
    SF_INFO info = {.samplerate = audio->rate,
                    .channels = audio->channels,
                    .format = SF_FORMAT_FLAC | (bits == 16 ? SF_FORMAT_PCM_16 : SF_FORMAT_PCM_24)};
    ace_memory_sink sink = {file, 0};
    SNDFILE *sound = ace_memory_sink_open(&sink, &info);
    if (sound == NULL) {
        return ace_fail(err, ACESTEP_UNSUPPORTED, "FLAC with %d channels at %d Hz: %s",
                        audio->channels, audio->rate, sf_strerror(NULL));
    }
    double level = job->format->flac_level / 8.0;
    sf_command(sound, SFC_SET_COMPRESSION_LEVEL, &level, sizeof level);
    bool complete = true;
    for (int64_t first = 0; first < audio->frames && complete; first += ACE_ENCODE_BLOCK) {
        int32_t block[ACE_ENCODE_BLOCK * ACE_AUDIO_CHANNELS];
        int64_t left = audio->frames - first;
        int64_t frames = left < ACE_ENCODE_BLOCK ? left : ACE_ENCODE_BLOCK;
        ace_block_integers(audio, first, frames, bits, job->format, block);
        for (int64_t i = 0; i < frames * audio->channels; i++) {
            block[i] *= 1 << (32 - bits); /* libsndfile takes the upper bits */
        }
        complete = sf_writef_int(sound, block, frames) == frames && !file->failed;
    }
    sf_close(sound);
    return complete || file->failed
               ? ACESTEP_OK
               : ace_fail(err, ACESTEP_FAILED, "the FLAC encoder gave up at level %d",
                          job->format->flac_level);
}

typedef struct metadata_block {
    unsigned type;
    bool last;
    const unsigned char *body;
    size_t bytes;
} metadata_block;

/* The block at *at, stepping over it; false when the file ends too early. */
static bool next_block(const ace_bytes *file, size_t *at, metadata_block *block)
{
    if (file->size - *at < BLOCK_HEADER) {
        return false;
    }
    const unsigned char *header = file->data + *at;
    block->type = header[0] & 0x7fu;
    block->last = (header[0] & LAST_BLOCK) != 0;
    block->bytes = (size_t)ace_load_be(header + 1, 3);
    block->body = header + BLOCK_HEADER;
    if (file->size - *at - BLOCK_HEADER < block->bytes) {
        return false;
    }
    *at += BLOCK_HEADER + block->bytes;
    return true;
}

static void append_comment(const ace_encoding *job, const metadata_block *old, ace_bytes *out)
{
    const char *vendor = "";
    size_t vendor_bytes = 0;
    if (old->bytes >= 4 && ace_load_le(old->body, 4) <= old->bytes - 4) {
        vendor_bytes = (size_t)ace_load_le(old->body, 4);
        vendor = (const char *)old->body + 4;
    }
    size_t start = out->size;
    ace_bytes_append_be(out, (uint64_t)(LAST_BLOCK | VORBIS_COMMENT) << 24, BLOCK_HEADER);
    ace_vorbis_comment_append(out, vendor, vendor_bytes, job->tags, job->n_tags);
    if (!out->failed) {
        size_t size = out->size - start - BLOCK_HEADER;
        out->data[start + 1] = (unsigned char)(size >> 16);
        out->data[start + 2] = (unsigned char)(size >> 8);
        out->data[start + 3] = (unsigned char)size;
    }
}

/* Copies file to out: its blocks without comments and padding, then our comments, then the sound.
 */
static bool exchange_comments(const ace_encoding *job, const ace_bytes *file, ace_bytes *out)
{
    size_t at = MARKER;
    metadata_block block = {0};
    metadata_block comment = {0};
    ace_bytes_append(out, file->data, MARKER);
    while (!block.last) {
        if (!next_block(file, &at, &block)) {
            return false;
        }
        if (block.type == VORBIS_COMMENT) {
            comment = block;
        } else if (block.type != PADDING) {
            ace_bytes_append_be(out, (uint64_t)block.type << 24 | block.bytes, BLOCK_HEADER);
            ace_bytes_append(out, block.body, block.bytes);
        }
    }
    append_comment(job, &comment, out);
    ace_bytes_append(out, file->data + at, file->size - at);
    return true;
}

ace_status ace_encode_flac(const ace_encoding *job, ace_error *err)
{
    ace_bytes file = {0};
    ace_status status = encode(job, &file, err);
    if (status == ACESTEP_OK && !file.failed &&
        (file.size < MARKER || !exchange_comments(job, &file, job->out))) {
        status = ace_fail(err, ACESTEP_FAILED, "the FLAC encoder wrote no complete file");
    }
    job->out->failed = job->out->failed || file.failed;
    ace_bytes_free(&file);
    return status;
}
