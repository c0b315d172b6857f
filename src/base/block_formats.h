/* The block-quantised number formats of GGUF files, decoded to f32. Layouts as in ggml's quantisation
 * definitions (ggml-common.h); written from the format's description. */
#ifndef ACE_BASE_BLOCK_FORMATS_H
#define ACE_BASE_BLOCK_FORMATS_H

#include "base/dtype.h"

#include <stdint.h>

/* Numbers per block (1 for plain types) and bytes per block. */
int64_t ace_block_elements(ace_dtype t);
size_t ace_block_bytes(ace_dtype t);

/* Decodes n numbers (a multiple of the block size) of any float or block type to f32. data need not be
 * aligned. */
void ace_decode_row(ace_dtype t, const void *data, int64_t n, float *out);

#endif
