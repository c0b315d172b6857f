#include "support/gguf_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

void gguf_bytes(gguf_file *f, const void *data, size_t bytes)
{
    assert_true(bytes <= sizeof f->data - f->bytes);
    memcpy(f->data + f->bytes, data, bytes);
    f->bytes += bytes;
}

void gguf_int(gguf_file *f, uint64_t value, size_t bytes)
{
    unsigned char little[8];
    for (size_t i = 0; i < 8; i++) {
        little[i] = (unsigned char)(value >> (8 * i));
    }
    gguf_bytes(f, little, bytes);
}

void gguf_text(gguf_file *f, const char *text)
{
    gguf_int(f, strlen(text), 8);
    gguf_bytes(f, text, strlen(text));
}

void gguf_align(gguf_file *f, size_t alignment)
{
    while (f->bytes % alignment != 0) {
        gguf_int(f, 0, 1);
    }
}

void gguf_begin(gguf_file *f, unsigned version, uint64_t tensors, uint64_t pairs)
{
    f->bytes = 0;
    gguf_bytes(f, "GGUF", 4);
    gguf_int(f, version, 4);
    gguf_int(f, tensors, 8);
    gguf_int(f, pairs, 8);
}

static size_t value_bytes(unsigned type)
{
    switch (type) {
    case GGUF_VALUE_BOOL:
        return 1;
    case GGUF_VALUE_U64:
    case GGUF_VALUE_F64:
        return 8;
    default:
        return 4;
    }
}

void gguf_pair(gguf_file *f, const char *key, unsigned type, uint64_t bits)
{
    gguf_text(f, key);
    gguf_int(f, type, 4);
    gguf_int(f, bits, value_bytes(type));
}

void gguf_pair_text(gguf_file *f, const char *key, const char *text)
{
    gguf_text(f, key);
    gguf_int(f, GGUF_VALUE_STRING, 4);
    gguf_text(f, text);
}

void gguf_pair_texts(gguf_file *f, const char *key, const char *const texts[], size_t n)
{
    gguf_text(f, key);
    gguf_int(f, GGUF_VALUE_ARRAY, 4);
    gguf_int(f, GGUF_VALUE_STRING, 4);
    gguf_int(f, n, 8);
    for (size_t i = 0; i < n; i++) {
        gguf_text(f, texts[i]);
    }
}

void gguf_tensor(gguf_file *f, const char *name, int rank, const uint64_t dims[], unsigned type,
                 uint64_t offset)
{
    gguf_text(f, name);
    gguf_int(f, (uint64_t)rank, 4);
    for (int i = 0; i < rank; i++) {
        gguf_int(f, dims[i], 8);
    }
    gguf_int(f, type, 4);
    gguf_int(f, offset, 8);
}
