/* Songs to files. The bytes are a function of samples, format and tags alone: no time stamps, no
 * random serial numbers, so that the same song is the same file (with the same encoder libraries on
 * the same kind of CPU, for the lossy ones). */
#ifndef ACE_AUDIO_WRITE_H
#define ACE_AUDIO_WRITE_H

#include "audio/bytes.h"
#include "audio/format.h"
#include "audio/tag.h"

/* The whole file in memory, 1 or 2 channels. Numbers that are no numbers become 0; magnitudes above
 * 1 are cut except in WAV32. Appends to *out, which the caller frees; on failure it is empty. */
ace_status ace_audio_encode(const ace_audio *audio, const ace_audio_format *format,
                            const ace_tag *tags, size_t n_tags, ace_bytes *out, ace_error *err);

/* The same as a file that is either complete or not there (base/file_write.h). */
ace_status ace_audio_write(const char *path, const ace_audio *audio, const ace_audio_format *format,
                           const ace_tag *tags, size_t n_tags, ace_error *err);

/* To another rate with soxr at its very high quality, for output only: the engine's inputs go
 * through ace_audio_resample. *out is a new buffer. */
ace_status ace_audio_convert_rate(const ace_audio *in, int rate, ace_audio *out, ace_error *err);

#endif
