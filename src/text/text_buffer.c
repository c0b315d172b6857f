#include "text/text_buffer.h"

#include "base/checked.h"
#include "base/memory.h"

#include <stdio.h>
#include <string.h>

enum { FIRST_CAPACITY = 64 };

char *ace_text_reserve(ace_text_buffer *buffer, size_t bytes)
{
    size_t wanted = 0;
    if (buffer->failed || ace_add_overflows(buffer->bytes, bytes, &wanted)) {
        buffer->failed = true;
        return NULL;
    }
    if (wanted > buffer->capacity || buffer->data == NULL) {
        size_t capacity = buffer->capacity != 0 ? buffer->capacity : FIRST_CAPACITY;
        while (capacity < wanted) {
            if (ace_mul_overflows(capacity, 2, &capacity)) {
                buffer->failed = true;
                return NULL;
            }
        }
        char *grown = ace_realloc_array(buffer->data, capacity, 1);
        if (grown == NULL) {
            buffer->failed = true;
            return NULL;
        }
        buffer->data = grown;
        buffer->capacity = capacity;
    }
    return buffer->data + buffer->bytes;
}

void ace_text_append(ace_text_buffer *buffer, const char *data, size_t bytes)
{
    char *room = ace_text_reserve(buffer, bytes);
    if (room != NULL && bytes != 0) {
        memcpy(room, data, bytes);
        buffer->bytes += bytes;
    }
}

void ace_text_append_string(ace_text_buffer *buffer, const char *text)
{
    ace_text_append(buffer, text, strlen(text));
}

void ace_text_append_integer(ace_text_buffer *buffer, long long value)
{
    char digits[24];
    int n = snprintf(digits, sizeof digits, "%lld", value);
    ace_text_append(buffer, digits, (size_t)n);
}

char *ace_text_take(ace_text_buffer *buffer)
{
    ace_text_append(buffer, "", 1);
    char *text = buffer->failed ? NULL : buffer->data;
    if (text == NULL) {
        ace_free(buffer->data);
    }
    memset(buffer, 0, sizeof *buffer);
    return text;
}

void ace_text_free(ace_text_buffer *buffer)
{
    ace_free(buffer->data);
    memset(buffer, 0, sizeof *buffer);
}
