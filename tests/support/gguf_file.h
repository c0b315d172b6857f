/* GGUF files written by a test, in memory. */
#ifndef TESTS_SUPPORT_GGUF_FILE_H
#define TESTS_SUPPORT_GGUF_FILE_H

#include <stddef.h>
#include <stdint.h>

typedef struct gguf_file {
    unsigned char data[1 << 15];
    size_t bytes;
} gguf_file;

/* Codes of value types and tensor types in the format. */
enum {
    GGUF_VALUE_U32 = 4,
    GGUF_VALUE_I32 = 5,
    GGUF_VALUE_F32 = 6,
    GGUF_VALUE_BOOL = 7,
    GGUF_VALUE_STRING = 8,
    GGUF_VALUE_ARRAY = 9,
    GGUF_VALUE_U64 = 10,
    GGUF_VALUE_F64 = 12,
    GGUF_TENSOR_F32 = 0,
    GGUF_TENSOR_F16 = 1,
    GGUF_TENSOR_Q4_0 = 2,
    GGUF_TENSOR_Q8_0 = 8,
    GGUF_TENSOR_BF16 = 30
};

void gguf_int(gguf_file *f, uint64_t value, size_t bytes);
void gguf_text(gguf_file *f, const char *text);
void gguf_bytes(gguf_file *f, const void *data, size_t bytes);
/* Zeros up to a multiple. */
void gguf_align(gguf_file *f, size_t alignment);

/* Magic, version and counts; then so many pairs, so many tensors, gguf_align, the data. */
void gguf_begin(gguf_file *f, unsigned version, uint64_t tensors, uint64_t pairs);
void gguf_pair(gguf_file *f, const char *key, unsigned type, uint64_t bits);
void gguf_pair_text(gguf_file *f, const char *key, const char *text);
void gguf_pair_texts(gguf_file *f, const char *key, const char *const texts[], size_t n);
/* dims as GGUF stores them: innermost first. */
void gguf_tensor(gguf_file *f, const char *name, int rank, const uint64_t dims[], unsigned type,
                 uint64_t offset);

#endif
