/* Tags of existing files, ours and others': Vorbis comments (FLAC, Ogg), ID3v2.3 and 2.4 (MP3, WAV)
 * and LIST INFO (WAV), under the keys of audio/tag.h. The bytes are untrusted: what is malformed is
 * left out, and never more than 8 MB and 256 tags are kept. */
#ifndef ACE_AUDIO_TAG_READ_H
#define ACE_AUDIO_TAG_READ_H

#include "audio/tag.h"

#include <stdint.h>

enum { ACE_TAG_LIST_MAX = 256 };

typedef struct ace_tag_list {
    ace_tag tags[ACE_TAG_LIST_MAX]; /* keys and values owned; keys in capitals */
    size_t count;
    size_t bytes;
} ace_tag_list;

/* A file without tags, or of an unknown kind, gives an empty list. Fails with ACESTEP_MEMORY only;
 * the list is then empty. */
ace_status ace_tags_read_memory(const void *data, size_t bytes, ace_tag_list *out, ace_error *err);

/* The same from a file; ACESTEP_IO when it cannot be opened. */
ace_status ace_tags_read(const char *path, ace_tag_list *out, ace_error *err);

void ace_tag_list_free(ace_tag_list *list);

/* For the parsers: adds a copy when it is valid and fits, upper-casing the key; false when memory
 * is short. */
bool ace_tag_list_add(ace_tag_list *list, const char *key, size_t key_bytes, const char *value,
                      size_t value_bytes);

/* The parser of a whole ID3v2 tag at the start of the bytes; false when memory is short. */
bool ace_id3_read(const unsigned char *data, size_t bytes, ace_tag_list *out);

#endif
