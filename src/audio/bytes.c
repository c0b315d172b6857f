#include "audio/bytes.h"

#include "base/checked.h"
#include "base/memory.h"

#include <string.h>

void ace_bytes_free(ace_bytes *bytes)
{
    ace_free(bytes->data);
    memset(bytes, 0, sizeof *bytes);
}

bool ace_bytes_reserve(ace_bytes *bytes, size_t more)
{
    size_t wanted = 0;
    if (bytes->failed || ace_add_overflows(bytes->size, more, &wanted)) {
        bytes->failed = true;
        return false;
    }
    if (wanted <= bytes->capacity) {
        return true;
    }
    size_t grown = bytes->capacity + bytes->capacity / 2 + 256;
    grown = grown > wanted ? grown : wanted;
    unsigned char *data = ace_realloc_array(bytes->data, grown, 1);
    if (data == NULL) {
        bytes->failed = true;
        return false;
    }
    bytes->data = data;
    bytes->capacity = grown;
    return true;
}

void ace_bytes_append(ace_bytes *bytes, const void *data, size_t size)
{
    if (size > 0 && ace_bytes_reserve(bytes, size)) {
        memcpy(bytes->data + bytes->size, data, size);
        bytes->size += size;
    }
}

void ace_bytes_append_text(ace_bytes *bytes, const char *text)
{
    ace_bytes_append(bytes, text, strlen(text));
}

void ace_bytes_append_u8(ace_bytes *bytes, unsigned value)
{
    unsigned char byte = (unsigned char)value;
    ace_bytes_append(bytes, &byte, 1);
}

void ace_bytes_append_le(ace_bytes *bytes, uint64_t value, int width)
{
    for (int i = 0; i < width; i++) {
        ace_bytes_append_u8(bytes, (unsigned)(value >> (8 * i)) & 0xffu);
    }
}

void ace_bytes_append_be(ace_bytes *bytes, uint64_t value, int width)
{
    for (int i = width - 1; i >= 0; i--) {
        ace_bytes_append_u8(bytes, (unsigned)(value >> (8 * i)) & 0xffu);
    }
}

void ace_bytes_splice(ace_bytes *bytes, size_t at, size_t old, const void *data, size_t size)
{
    if (size > old && !ace_bytes_reserve(bytes, size - old)) {
        return;
    }
    size_t rest = bytes->size - at - old;
    memmove(bytes->data + at + size, bytes->data + at + old, rest);
    if (size > 0) {
        memcpy(bytes->data + at, data, size);
    }
    bytes->size = at + size + rest;
}

uint64_t ace_load_le(const unsigned char *at, int width)
{
    uint64_t value = 0;
    for (int i = width - 1; i >= 0; i--) {
        value = value << 8 | at[i];
    }
    return value;
}

uint64_t ace_load_be(const unsigned char *at, int width)
{
    uint64_t value = 0;
    for (int i = 0; i < width; i++) {
        value = value << 8 | at[i];
    }
    return value;
}
