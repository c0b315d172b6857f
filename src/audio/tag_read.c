#include "audio/tag_read.h"

#include "audio/bytes.h"
#include "audio/ogg.h"
#include "base/file_map.h"
#include "base/memory.h"

#include <string.h>

/* Of all tags together, and of the part of a file looked at for an Ogg header. */
static const size_t max_bytes = (size_t)8 << 20;

void ace_tag_list_free(ace_tag_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        ace_free((void *)list->tags[i].key);
    }
    memset(list, 0, sizeof *list);
}

/* Key and value share one block: "KEY\0value\0". */
bool ace_tag_list_add(ace_tag_list *list, const char *key, size_t key_bytes, const char *value,
                      size_t value_bytes)
{
    const char *end = memchr(value, '\0', value_bytes);
    value_bytes = end != NULL ? (size_t)(end - value) : value_bytes;
    if (list->count == ACE_TAG_LIST_MAX || value_bytes == 0 ||
        value_bytes > max_bytes - list->bytes || key_bytes > 255) {
        return true;
    }
    char *block = ace_calloc(key_bytes + value_bytes + 2, 1);
    if (block == NULL) {
        return false;
    }
    for (size_t i = 0; i < key_bytes; i++) {
        block[i] = key[i] >= 'a' && key[i] <= 'z' ? (char)(key[i] - 'a' + 'A') : key[i];
    }
    memcpy(block + key_bytes + 1, value, value_bytes);
    ace_tag tag = {block, block + key_bytes + 1};
    if (strlen(block) != key_bytes || ace_tags_check(&tag, 1, NULL) != ACESTEP_OK) {
        ace_free(block);
        return true;
    }
    list->tags[list->count++] = tag;
    list->bytes += value_bytes;
    return true;
}

/* Vendor, count, then KEY=value strings, each with its length in front. */
static bool read_vorbis_comment(const unsigned char *data, size_t bytes, ace_tag_list *out)
{
    if (bytes < 4 || ace_load_le(data, 4) > bytes - 4) {
        return true;
    }
    size_t at = 4 + (size_t)ace_load_le(data, 4);
    if (bytes - at < 4) {
        return true;
    }
    at += 4; /* the count: the end of the bytes is a better guide */
    while (bytes - at >= 4) {
        size_t size = (size_t)ace_load_le(data + at, 4);
        at += 4;
        if (size > bytes - at) {
            return true;
        }
        const char *text = (const char *)data + at;
        const char *equals = memchr(text, '=', size);
        if (equals != NULL) {
            size_t key_bytes = (size_t)(equals - text);
            if (!ace_tag_list_add(out, text, key_bytes, equals + 1, size - key_bytes - 1)) {
                return false;
            }
        }
        at += size;
    }
    return true;
}

static bool read_flac(const unsigned char *data, size_t bytes, ace_tag_list *out)
{
    enum { VORBIS_COMMENT = 4 };
    size_t at = 4;
    bool last = false;
    while (!last && bytes - at >= 4) {
        last = (data[at] & 0x80) != 0;
        unsigned type = data[at] & 0x7fu;
        size_t size = (size_t)ace_load_be(data + at + 1, 3);
        at += 4;
        if (size > bytes - at) {
            return true;
        }
        if (type == VORBIS_COMMENT) {
            return read_vorbis_comment(data + at, size, out);
        }
        at += size;
    }
    return true;
}

/* Comments are the second packet; Vorbis and Opus mark it differently. */
static bool read_ogg(const unsigned char *data, size_t bytes, ace_tag_list *out)
{
    static const char vorbis[7] = {3, 'v', 'o', 'r', 'b', 'i', 's'};
    static const char opus[8] = {'O', 'p', 'u', 's', 'T', 'a', 'g', 's'};
    ace_bytes first = {0};
    ace_bytes packet = {0};
    size_t at = 0;
    int segment = 0;
    bytes = bytes < max_bytes ? bytes : max_bytes;
    bool fine = true;
    if (ace_ogg_read_packet(data, bytes, &at, &segment, &first) &&
        ace_ogg_read_packet(data, bytes, &at, &segment, &packet) && !packet.failed) {
        size_t mark = 0;
        if (packet.size > sizeof vorbis && memcmp(packet.data, vorbis, sizeof vorbis) == 0) {
            mark = sizeof vorbis;
        } else if (packet.size > sizeof opus && memcmp(packet.data, opus, sizeof opus) == 0) {
            mark = sizeof opus;
        }
        fine = mark == 0 || read_vorbis_comment(packet.data + mark, packet.size - mark, out);
    }
    fine = fine && !first.failed && !packet.failed;
    ace_bytes_free(&first);
    ace_bytes_free(&packet);
    return fine;
}

static bool read_info_list(const unsigned char *data, size_t bytes, ace_tag_list *out)
{
    static const struct {
        const char *chunk;
        const char *key;
    } names[] = {{"INAM", "TITLE"},    {"IART", "ARTIST"}, {"ICMT", "DESCRIPTION"},
                 {"ILNG", "LANGUAGE"}, {"ICRD", "DATE"},   {"ISFT", "ENCODER"}};
    size_t at = 4;
    while (bytes - at >= 8) {
        size_t size = (size_t)ace_load_le(data + at + 4, 4);
        if (size > bytes - at - 8) {
            return true;
        }
        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
            if (memcmp(data + at, names[i].chunk, 4) == 0 &&
                !ace_tag_list_add(out, names[i].key, strlen(names[i].key),
                                  (const char *)data + at + 8, size)) {
                return false;
            }
        }
        at += 8 + size;
        at += at < bytes ? size & 1 : 0;
    }
    return true;
}

/* The `id3 ` chunk knows more than LIST INFO, which counts only where there is no other. */
static bool read_wav(const unsigned char *data, size_t bytes, ace_tag_list *out)
{
    const unsigned char *info = NULL;
    size_t info_bytes = 0;
    size_t at = 12;
    while (bytes - at >= 8) {
        const unsigned char *chunk = data + at;
        size_t size = (size_t)ace_load_le(chunk + 4, 4);
        if (size > bytes - at - 8) {
            break;
        }
        if (memcmp(chunk, "id3 ", 4) == 0 || memcmp(chunk, "ID3 ", 4) == 0) {
            return ace_id3_read(chunk + 8, size, out);
        }
        if (memcmp(chunk, "LIST", 4) == 0 && size >= 4 && memcmp(chunk + 8, "INFO", 4) == 0) {
            info = chunk + 8;
            info_bytes = size;
        }
        at += 8 + size;
        at += at < bytes ? size & 1 : 0;
    }
    return info == NULL || read_info_list(info, info_bytes, out);
}

ace_status ace_tags_read_memory(const void *data, size_t bytes, ace_tag_list *out, ace_error *err)
{
    memset(out, 0, sizeof *out);
    bool fine = true;
    if (bytes < 12) {
        return ACESTEP_OK;
    }
    if (memcmp(data, "fLaC", 4) == 0) {
        fine = read_flac(data, bytes, out);
    } else if (memcmp(data, "OggS", 4) == 0) {
        fine = read_ogg(data, bytes, out);
    } else if (memcmp(data, "ID3", 3) == 0) {
        fine = ace_id3_read(data, bytes, out);
    } else if (memcmp(data, "RIFF", 4) == 0 || memcmp(data, "RF64", 4) == 0) {
        fine = read_wav(data, bytes, out);
    }
    if (!fine) {
        ace_tag_list_free(out);
        return ace_fail(err, ACESTEP_MEMORY, "no memory for the file's tags");
    }
    return ACESTEP_OK;
}

ace_status ace_tags_read(const char *path, ace_tag_list *out, ace_error *err)
{
    memset(out, 0, sizeof *out);
    ace_file file;
    ace_status status = ace_file_open(path, &file, err);
    if (status == ACESTEP_OK) {
        status = ace_tags_read_memory(file.data, file.bytes, out, err);
        ace_file_close(&file);
    }
    return status;
}
