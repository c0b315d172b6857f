/* Checkpoints written by a test: a few tensors in a temporary safetensors file. */
#ifndef TESTS_SUPPORT_CHECKPOINT_H
#define TESTS_SUPPORT_CHECKPOINT_H

#include "weights/weights.h"

typedef struct checkpoint {
    char header[8192];
    unsigned char data[1 << 16];
    size_t bytes;
    char path[64]; /* empty until written */
} checkpoint;

checkpoint *checkpoint_new(void);
void checkpoint_free(checkpoint *f); /* removes the file, too */

/* type and shape as they stand in the file: "F32", "[2,3]". */
void checkpoint_add(checkpoint *f, const char *name, const char *type, const char *shape,
                    const void *data, size_t bytes);
void checkpoint_add_f32(checkpoint *f, const char *name, const char *shape, const float *values,
                        int64_t n);
/* At most 1024 numbers. */
void checkpoint_add_bf16(checkpoint *f, const char *name, const char *shape, const float *values,
                         int64_t n);

/* Writes and opens it. The header's length is odd: the data begins at an odd address. */
ace_weights *checkpoint_open(checkpoint *f);

/* A file of two pieces. */
void checkpoint_write(const char *path, const void *head, size_t n, const void *tail, size_t m);

#endif
