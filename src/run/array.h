/* What stages hand to each other: f32 [rows, cols] on the host, owned. */
#ifndef ACE_RUN_ARRAY_H
#define ACE_RUN_ARRAY_H

#include "base/status.h"

#include <stdint.h>

typedef struct ace_array {
    float *values;
    int64_t rows, cols;
} ace_array;

ace_status ace_array_create(int64_t rows, int64_t cols, ace_array *out, ace_error *err); /* zeros */
void ace_array_free(ace_array *a); /* a zeroed one is fine */

#endif
