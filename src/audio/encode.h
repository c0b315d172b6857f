/* The encoders behind ace_audio_encode, one per container. */
#ifndef ACE_AUDIO_ENCODE_H
#define ACE_AUDIO_ENCODE_H

#include "audio/write.h"

/* What an encoder gets: checked, at the file's rate, 1 or 2 channels, at least one frame. */
typedef struct ace_encoding {
    const ace_audio *audio;
    const ace_audio_format *format;
    const ace_tag *tags;
    size_t n_tags;
    ace_bytes *out; /* appended to; out->failed is turned into ACESTEP_MEMORY by the caller */
} ace_encoding;

typedef ace_status ace_encoder(const ace_encoding *job, ace_error *err);

ace_encoder ace_encode_wav;
ace_encoder ace_encode_flac;
ace_encoder ace_encode_vorbis;
ace_encoder ace_encode_mp3;
ace_encoder ace_encode_opus;

/* Frames handed to an encoder at a time. libvorbis wants small blocks. */
enum { ACE_ENCODE_BLOCK = 4096 };

/* Finite samples of `frames` frames from `first` on; clamp: cut to ±1. */
void ace_block_floats(const ace_audio *audio, int64_t first, int64_t frames, bool clamp,
                      float *out);

/* The same as integers of `bits` bits, 1.0 = 2^(bits - 1). Dither as the format says, for 16 bits.
 */
void ace_block_integers(const ace_audio *audio, int64_t first, int64_t frames, int bits,
                        const ace_audio_format *format, int32_t *out);

/* Header of a WAV file up to its sample data; tail: bytes of the chunks after the data. RF64 (EBU
 * Tech 3306) when 32 bits cannot hold the sizes. */
void ace_wav_header_append(ace_bytes *out, ace_audio_kind kind, int channels, int rate,
                           uint64_t data_bytes, uint64_t tail_bytes);

#endif
