/* Is a safetensors file whole? Its header tells where its last tensor ends. */
#ifndef ACE_STORE_TENSORS_H
#define ACE_STORE_TENSORS_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

/* The bytes that a file with this header (after the eight of its length) must have. MODEL when it
 * is no header. */
ace_status ace_store_tensors_bytes(const char *header, size_t bytes, const char *name,
                                   uint64_t *file_bytes, ace_error *err);

/* MODEL where the file is cut, too long, or no safetensors file. */
ace_status ace_store_tensors_check(int folder, const char *name, ace_error *err);

#endif
