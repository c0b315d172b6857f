/* A growing run of bytes. A failed growth is remembered, so that writers append without checks and
 * ask once at the end. */
#ifndef ACE_AUDIO_BYTES_H
#define ACE_AUDIO_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ace_bytes {
    unsigned char *data; /* owned */
    size_t size;
    size_t capacity;
    bool failed; /* memory ran out; the content is incomplete */
} ace_bytes;

void ace_bytes_free(ace_bytes *bytes); /* also empties it */

/* Makes room for `more` bytes after size; false when memory is short. */
bool ace_bytes_reserve(ace_bytes *bytes, size_t more);

void ace_bytes_append(ace_bytes *bytes, const void *data, size_t size);
void ace_bytes_append_text(ace_bytes *bytes, const char *text); /* without its NUL */
void ace_bytes_append_u8(ace_bytes *bytes, unsigned value);

/* Integers of 16, 24, 32 or 64 bits, as `width` bytes. */
void ace_bytes_append_le(ace_bytes *bytes, uint64_t value, int width);
void ace_bytes_append_be(ace_bytes *bytes, uint64_t value, int width);

/* Replaces `old` bytes at `at` by `size` bytes of data. */
void ace_bytes_splice(ace_bytes *bytes, size_t at, size_t old, const void *data, size_t size);

/* Reads an integer of `width` bytes. */
uint64_t ace_load_le(const unsigned char *at, int width);
uint64_t ace_load_be(const unsigned char *at, int width);

#endif
