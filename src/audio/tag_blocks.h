/* Tags in the binary forms the containers keep them in. Each function appends to bytes; running out
 * of memory shows in bytes->failed. The tags have passed ace_tags_check. */
#ifndef ACE_AUDIO_TAG_BLOCKS_H
#define ACE_AUDIO_TAG_BLOCKS_H

#include "audio/bytes.h"
#include "audio/tag.h"

/* A Vorbis comment header without its container's framing: vendor, count, KEY=value strings. */
void ace_vorbis_comment_append(ace_bytes *bytes, const char *vendor, size_t vendor_bytes,
                               const ace_tag *tags, size_t n_tags);

/* A whole ID3v2.4 tag, or nothing when there are no tags. */
void ace_id3_append(ace_bytes *bytes, const ace_tag *tags, size_t n_tags);

/* A RIFF chunk LIST INFO, or nothing when no tag has a place in it. */
void ace_riff_info_append(ace_bytes *bytes, const ace_tag *tags, size_t n_tags);

#endif
