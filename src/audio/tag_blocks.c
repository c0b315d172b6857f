#include "audio/tag_blocks.h"

#include <string.h>
#include <strings.h>

static bool has_value(const ace_tag *tag)
{
    return tag->value != NULL && tag->value[0] != '\0';
}

void ace_vorbis_comment_append(ace_bytes *bytes, const char *vendor, size_t vendor_bytes,
                               const ace_tag *tags, size_t n_tags)
{
    unsigned count = 0;
    for (size_t i = 0; i < n_tags; i++) {
        count += has_value(&tags[i]);
    }
    ace_bytes_append_le(bytes, vendor_bytes, 4);
    ace_bytes_append(bytes, vendor, vendor_bytes);
    ace_bytes_append_le(bytes, count, 4);
    for (size_t i = 0; i < n_tags; i++) {
        if (has_value(&tags[i])) {
            ace_bytes_append_le(bytes, strlen(tags[i].key) + 1 + strlen(tags[i].value), 4);
            ace_bytes_append_text(bytes, tags[i].key);
            ace_bytes_append_u8(bytes, '=');
            ace_bytes_append_text(bytes, tags[i].value);
        }
    }
}

static const struct {
    const char *key;
    const char *chunk;
} info_chunks[] = {
    {"TITLE", "INAM"},    {"ARTIST", "IART"}, {"DESCRIPTION", "ICMT"},
    {"LANGUAGE", "ILNG"}, {"DATE", "ICRD"},   {"ENCODER", "ISFT"},
};

static const char *info_chunk(const ace_tag *tag)
{
    for (size_t i = 0; i < sizeof info_chunks / sizeof info_chunks[0]; i++) {
        if (strcasecmp(tag->key, info_chunks[i].key) == 0 && has_value(tag)) {
            return info_chunks[i].chunk;
        }
    }
    return NULL;
}

void ace_riff_info_append(ace_bytes *bytes, const ace_tag *tags, size_t n_tags)
{
    size_t body = 4;
    for (size_t i = 0; i < n_tags; i++) {
        if (info_chunk(&tags[i]) != NULL) {
            size_t size = strlen(tags[i].value) + 1;
            body += 8 + size + (size & 1);
        }
    }
    if (body == 4) {
        return;
    }
    ace_bytes_append(bytes, "LIST", 4);
    ace_bytes_append_le(bytes, body, 4);
    ace_bytes_append(bytes, "INFO", 4);
    for (size_t i = 0; i < n_tags; i++) {
        const char *chunk = info_chunk(&tags[i]);
        if (chunk != NULL) {
            size_t size = strlen(tags[i].value) + 1; /* the NUL belongs to the value */
            ace_bytes_append(bytes, chunk, 4);
            ace_bytes_append_le(bytes, size, 4);
            ace_bytes_append(bytes, tags[i].value, size);
            if (size & 1) {
                ace_bytes_append_u8(bytes, 0);
            }
        }
    }
}
