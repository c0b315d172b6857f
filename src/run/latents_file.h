/* Latents as a file: 32-bit little-endian floats without a header, frame after frame, as
 * acestep.cpp's server takes and gives them. How many make a frame (64 in the published models) is
 * the reader's knowledge; nothing in the file says whose latents they are. */
#ifndef ACE_RUN_LATENTS_FILE_H
#define ACE_RUN_LATENTS_FILE_H

#include "run/array.h"

#include <stddef.h>

/* 600 s, as many as the models' silence has. */
enum { ACE_LATENTS_MOST_FRAMES = 15000, ACE_LATENTS_PUBLISHED_CHANNELS = 64 };

/* AUDIO for what cannot be latents: no whole number of frames, more than the most, a value that is
 * no number or larger than any latent. IO when the file cannot be read. */
ace_status ace_latents_read(const char *path, int64_t channels, ace_array *out, ace_error *err);
/* The same from a file in memory; name stands for it in messages. */
ace_status ace_latents_parse(const unsigned char *bytes, size_t n, int64_t channels,
                             const char *name, ace_array *out, ace_error *err);

/* What can be said of a file before its model is known: how many numbers there are, all of them such
 * as latents have, and no more than the longest song of the published models takes. */
ace_status ace_latents_count(const char *path, int64_t *numbers, ace_error *err);

ace_status ace_latents_write(const char *path, const ace_array *latents, ace_error *err);

#endif
